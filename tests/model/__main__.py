"""Explores the models in larger scopes than the tests do, and says how much there was to see."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

from tests.model import batch_model, verify_model
from tests.model.exploring import Outcome
from tests.model.protocol import explored
from tests.model.scopes import LARGE, SMALL


def main() -> int:
    """Print a line for each scope; 1 where a rule is missing."""
    seconds, states, is_right = 0.0, 0, True
    for name, look in _all():
        began = time.process_time()
        outcome = look()
        took = time.process_time() - began
        print(
            f"{name:40}{outcome.state_count:10} states{outcome.end_count:8} ends{outcome.depth:5} deep{took:8.1f} s",
            flush=True,
        )
        if outcome.violation is not None:
            print(outcome.violation)
            is_right = False
        seconds, states = seconds + took, states + outcome.state_count
    print(f"{'all':40}{states:10} states{seconds:34.1f} s")
    return 0 if is_right else 1


def _all() -> Iterator[tuple[str, Callable[[], Outcome]]]:
    for scope in (*SMALL, *LARGE):
        yield scope.name, partial(explored, scope)
    yield "batch: ticks and windows", partial(batch_model.explored, writes=4, lapses=2)
    both = (batch_model.TICK, batch_model.RESYNC)
    yield "batch: ticks and a resync", partial(batch_model.explored, kinds=both, writes=2, lapses=2)
    yield "verify", partial(verify_model.explored, writes=6)


if __name__ == "__main__":
    sys.exit(main())
