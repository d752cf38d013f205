"""``demo --check``: replicates under load, then proves that both sides are equal."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from warp_resources.cli.console import say
from warp_resources.cli.demo.compare import Comparison, compare
from warp_resources.cli.demo.stage import Stage, counted, end, stage, start, traffic
from warp_resources.connectors.mongodb.demo_data import COLLECTIONS

LOAD_SECONDS = 20.0
_LOOK_AGAIN_SECONDS = 1.0


def check(folder: Path, destination: str) -> bool:
    """Run the demonstration without Dagster, bounded in time; whether source and destination are equal."""
    with stage(folder, destination, schedule=None) as scene, traffic(scene) as changing:
        say("Starting cartridge-warp run")
        command = [sys.executable, "-m", "warp_resources.cli.app", "--config", str(scene.config), "run"]
        # Not where the user is, whose folder may have an .env with settings for something else.
        runner = start(command, cwd=folder)
        try:
            _load(runner)
            counts = counted(changing)
            listed = ", ".join(f"{count:,} {kind}" for kind, count in sorted(counts.items()))
            say(f"Stopped the changes: {sum(counts.values()):,} in all ({listed})")
            found = _compared(scene)
        finally:
            code = end(runner, signal.SIGTERM)
    return _told(found, code)


def _load(runner: subprocess.Popen[bytes]) -> None:
    say(f"Replicating for {LOAD_SECONDS:.0f} s while the source changes")
    try:
        runner.wait(LOAD_SECONDS)
    except subprocess.TimeoutExpired:
        return
    say(f"cartridge-warp run ended by itself with code {runner.returncode}")


def _compared(scene: Stage) -> list[Comparison]:
    """Compare until all is equal, as long as the destination may take for what is on its way.

    Nothing changes the source any more, so a table that is equal stays so and is not read again.
    """
    began = time.monotonic()
    found: dict[tuple[str, str], Comparison] = {}
    while True:
        for schema, table in COLLECTIONS:
            if (schema, table) not in found or not found[schema, table].is_equal:
                found[schema, table] = compare(scene.mongo_uri, scene.served.reading, schema, table)
        waited = time.monotonic() - began
        if all(one.is_equal for one in found.values()):
            say(f"Drained and compared within {waited:.1f} s")
            return list(found.values())
        if waited > scene.served.drain_seconds:
            return list(found.values())
        time.sleep(_LOOK_AGAIN_SECONDS)


def _told(found: list[Comparison], code: int) -> bool:
    for one in found:
        verdict = "equal    " if one.is_equal else "DIFFERENT"
        say(
            f"{verdict} {one.schema}.{one.table}: {one.documents:,} documents, {one.rows:,} rows, "
            f"{one.values:,} values, {one.dead_letters} of them kept as dead letters"
        )
        for text in one.differences:
            say(f"    {text}")
        if one.difference_count > len(one.differences):
            say(f"    and {one.difference_count - len(one.differences):,} more")
    is_good = all(one.is_equal for one in found) and code == 0
    rows = sum(one.documents for one in found)
    if code:
        say(f"cartridge-warp run ended with code {code}")
    say(f"OK: {rows:,} rows are equal in every column" if is_good else "FAILED: source and destination differ")
    return is_good
