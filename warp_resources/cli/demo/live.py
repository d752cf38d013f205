"""The demonstration to look at: the servers, the changing shop and Dagster over them, until Ctrl-C."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from warp_resources.cli.console import say
from warp_resources.cli.demo.ending import end_marked, ignore_signals
from warp_resources.cli.demo.stage import Stage, stage, start, traffic
from warp_resources.cli.written import DAGSTER, WORKSPACE, text_of
from warp_resources.connectors.mongodb.demo_data import CATALOG, SHOP
from warp_resources.connectors.ports import free_port
from warp_resources.errors import OperatorError

HOST = "127.0.0.1"
_READY_SECONDS, _LOOK_SECONDS = 120.0, 0.5
_CONFIG = "CARTRIDGE_WARP_CONFIG"

_GUIDE = """
  {url}            Dagster
  {url}/assets     every table as an asset, in the groups {stream} (streamed) and {batch} (each minute)
  {url}/automation the sensor and the schedule that keep them in step

  Try this: open an asset and look at its plots, or materialise a slice of it.
  {mongo}
      mongosh; insert, change or delete something in {stream}.orders
  {destination}
  Its log: {log}

Ctrl-C stops everything and leaves nothing behind.
"""


def show(folder: Path, destination: str, port: int | None) -> None:
    """Run until Ctrl-C."""
    with (
        stage(folder, destination, schedule="* * * * *") as scene,
        traffic(scene),
        _dagster(scene, port or free_port(HOST)) as dagster,
    ):
        code = dagster.wait()
        raise OperatorError("Dagster ended by itself", remedy=f"Read {_log(scene)}", code=code)


@contextmanager
def _dagster(scene: Stage, port: int) -> Iterator[subprocess.Popen[bytes]]:
    say("Starting Dagster, which takes some seconds")
    home = scene.folder / "dagster"
    home.mkdir()
    for name in (DAGSTER, WORKSPACE):
        (home / name).write_text(text_of(name), encoding="utf-8")
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(home),
        _CONFIG: str(scene.config),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        "TMPDIR": str(scene.folder),
    }
    command = [sys.executable, "-m", "dagster", "dev", "-w", str(home / WORKSPACE), "-h", HOST, "-p", str(port)]
    with _log(scene).open("wb") as log:
        dagster = start(command, stdout=log, stderr=log, env=environment, cwd=home)
    try:
        _wait_until_served(dagster, f"http://{HOST}:{port}", scene)
        yield dagster
    except OperatorError:
        say(_tail(_log(scene)))
        raise
    finally:
        ignore_signals()
        say("Stopping Dagster and what it started, which takes some seconds")
        # Drainers are sessions of their own; like all that Dagster starts, they know this configuration.
        end_marked(_CONFIG, str(scene.config))


def _wait_until_served(dagster: subprocess.Popen[bytes], url: str, scene: Stage) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while not _answers(f"{url}/server_info"):
        if dagster.poll() is not None or time.monotonic() > deadline:
            raise OperatorError("Dagster did not start", remedy=f"Read {_log(scene)}")
        time.sleep(_LOOK_SECONDS)
    say(
        _GUIDE.format(
            url=url,
            stream=SHOP,
            batch=CATALOG,
            mongo=scene.mongo_uri,
            destination=scene.served.hint.format(schema=SHOP),
            log=_log(scene),
        )
    )


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False


def _log(scene: Stage) -> Path:
    return scene.folder / "dagster.log"


def _tail(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-20:])
