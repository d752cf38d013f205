"""Tells a stream in which nothing happens from one that is behind, by how often its marker is to move."""

from __future__ import annotations

from dataclasses import dataclass

from warp_resources.config import WarpConfig
from warp_resources.model.capabilities import Capabilities
from warp_resources.pipeline.options import write_interval

IDLE_MARKER_SECONDS = 10.0
"""An idle stream of a destination that is cheap to write to moves its marker more often than this."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a destination's markers move: while there is work, and while there is none."""

    interval_seconds: float
    idle_seconds: float

    @classmethod
    def of(cls, config: WarpConfig, capabilities: Capabilities) -> Pace:
        interval = write_interval(config, capabilities).total_seconds()
        return cls(interval, capabilities.idle_save.total_seconds())

    @property
    def silence_seconds(self) -> float:
        """From then on a marker that has not moved is behind, whatever there is to do."""
        return max(IDLE_MARKER_SECONDS, self.idle_seconds * 1.5 + self.interval_seconds)

    def lag(self, unreached: float, silent: float) -> float:
        """How far a stream is behind, in seconds.

        Args:
            unreached: since when the log has been further than the stream has come.
            silent: for how long the marker has not moved.
        """
        return max(unreached, silent) if silent > self.silence_seconds else unreached
