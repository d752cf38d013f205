"""Says how soon a child process that ended is started again."""

from __future__ import annotations

from dataclasses import dataclass

SERVED_SECONDS = 3.0
"""Who was killed after this long had been at work: nothing says that the next one would not be."""
STEADY_SECONDS = 60.0
"""Who lived for this long ends the series of failures before it, however it ended itself."""
_FIRST_DELAY, _LONGEST_AFTER_KILL, _LONGEST = 0.5, 2.0, 60.0


@dataclass(frozen=True, slots=True)
class Restarts:
    """The series of failures that a process is in; ``failures`` counts those that each came soon after its start."""

    failures: int = 0

    def after(self, code: int, seconds: float) -> Restarts:
        """The series once a process has ended with this code, after so many seconds; negative codes are signals."""
        has_served = code == 0 or seconds >= STEADY_SECONDS or (code < 0 and seconds >= SERVED_SECONDS)
        return Restarts(0 if has_served else self.failures + 1)

    def delay(self, code: int) -> float:
        """Seconds to wait after such an end: doubled with each failure, but short where somebody killed it."""
        longest = _LONGEST_AFTER_KILL if code < 0 else _LONGEST
        # The power alone would outgrow a float.
        return float(min(longest, _FIRST_DELAY * 2 ** min(self.failures, 16)))
