"""Sets the stage of the demonstration: two servers, their data, a configuration and the traffic."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from warp_resources.cli.console import say
from warp_resources.cli.demo.destinations import DESTINATIONS, Served
from warp_resources.cli.progress import RowProgress
from warp_resources.connectors.mongodb.demo import CHANGES_PER_SECOND, fill
from warp_resources.connectors.mongodb.demo_data import CATALOG, COLLECTIONS, SHOP
from warp_resources.connectors.mongodb.embedded import EmbeddedMongod
from warp_resources.connectors.ports import free_port

TRAFFIC = "warp_resources.connectors.mongodb.demo"
_STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Stage:
    """Where everything is; the folder goes when the demonstration ends."""

    folder: Path
    config: Path
    mongo_uri: str
    served: Served


@contextmanager
def stage(folder: Path, destination: str, *, schedule: str | None) -> Iterator[Stage]:
    """Servers with data in ``folder``, and a configuration for them."""
    title, serve = DESTINATIONS[destination]
    say(f"Starting MongoDB (a replica set) and {title}")
    with EmbeddedMongod(folder / "mongodb") as mongod, serve(folder) as served:
        try:
            _fill(mongod.uri)
            config = folder / "warp.yaml"
            config.write_text(_configuration(mongod.uri, served, schedule), encoding="utf-8")
            yield Stage(folder, config, mongod.uri, served)
        finally:
            say(f"Stopping MongoDB and {title}")


@contextmanager
def traffic(stage: Stage) -> Iterator[subprocess.Popen[bytes]]:
    """A process that keeps changing the source; ``counted`` ends it and tells what it did."""
    say(f"Changing the source from now on, about {CHANGES_PER_SECOND} times a second")
    child = start([sys.executable, "-m", TRAFFIC, stage.mongo_uri], stdout=subprocess.PIPE)
    try:
        yield child
    finally:
        end(child, signal.SIGTERM)


def counted(child: subprocess.Popen[bytes]) -> dict[str, int]:
    """End the traffic and return its counts by kind of change."""
    child.send_signal(signal.SIGTERM)
    printed, _ = child.communicate(timeout=_STOP_SECONDS)
    return dict(json.loads(printed)) if printed else {}


def start(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start a child in a session of its own: Ctrl-C reaches this process only, which ends the rest in order."""
    return subprocess.Popen(command, start_new_session=True, **options)


def end(child: subprocess.Popen[bytes], number: signal.Signals) -> int:
    """Ask a child to end, then make it; its exit code."""
    if child.poll() is None:
        child.send_signal(number)
    try:
        return child.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        return child.wait()


def _fill(uri: str) -> None:
    estimates = {f"{database}.{name}": count for (database, name), (_, count) in COLLECTIONS.items()}
    with RowProgress(estimates, lines=False) as progress:
        began = time.monotonic()
        count = fill(uri, on_rows=progress.add)
    say(f"Made a shop of {count:,} documents in {len(COLLECTIONS)} collections ({time.monotonic() - began:.1f} s)")


def _configuration(mongo_uri: str, served: Served, schedule: str | None) -> str:
    batch: dict[str, object] = {"name": CATALOG, "mode": "batch"}
    batch |= {"schedule": schedule} if schedule else {"polling_interval": "1s"}
    return yaml.safe_dump(
        {
            "mode": "multi",
            "source": {"type": "mongodb", "connection_string": mongo_uri},
            "destination": dict(served.options),
            "schemas": [{"name": SHOP, "mode": "stream"}, batch],
            "monitoring": {"prometheus": {"port": free_port()}},
            "logging": {"level": "WARNING", "format": "plain"},
        },
        sort_keys=False,
    )
