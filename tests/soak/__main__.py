"""``python -m tests.soak``: everything together at random, until the time is up or something differs."""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import signal
import sys
import time

from tests.soak.plan import ROUND_SECONDS, plan
from tests.soak.runs import Broken
from tests.soak.servers import Servers
from tests.soak.soak import DAGSTER, RUN, Soak, new_folder


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--driver", choices=[RUN, DAGSTER], default=RUN)
    told = parser.parse_args()
    seed = random.randrange(10**6) if told.seed is None else told.seed
    folder = new_folder(seed)
    print(f"seed {seed}, {told.minutes:g} minutes, folder {folder}", flush=True)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    with Servers(folder) as servers:
        code = _soak(Soak(folder, seed, servers, told.driver), told.minutes * 60)
    if code == 0:
        shutil.rmtree(folder)
    return code


def _soak(soak: Soak, seconds: float) -> int:
    began, number = time.monotonic(), 0
    try:
        soak.begin()
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            soak.tell(f"round {number}")
            soak.play(plan(soak.seed, number), ROUND_SECONDS)
            number += 1
        soak.end()
        return 0
    except BaseException as error:
        print(f"\nseed {soak.seed} broke in round {number}, see {soak.folder}", flush=True)
        print("\n".join(soak.told), flush=True)
        print(error, flush=True)
        if not isinstance(error, Broken):
            raise
        return 1
    finally:
        soak.runs.close()
        _sum_up(soak, number, time.monotonic() - began)


def _sum_up(soak: Soak, number: int, seconds: float) -> None:
    print(f"seed {soak.seed}: {number} rounds clean, {seconds / 60:.1f} minutes")
    print(f"slowest recovery {max(soak.recoveries, default=0.0):.1f} s, slowest stop {soak.runs.slowest_stop:.1f} s")
    with contextlib.suppress(Broken):
        soak.runs.ended.update(soak.runs.read_log())
    for counted in (soak.counts, soak.journal.done, soak.runs.ended):
        print(", ".join(f"{name} {count}" for name, count in sorted(counted.items())))


if __name__ == "__main__":
    sys.exit(main())
