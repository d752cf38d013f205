"""The demonstration to look at: the servers, the changing shop and Dagster over them, until Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import psutil

from warp_resources.cli.console import say
from warp_resources.cli.demo.stage import SCHEMAS, Stage, end, stage, start, traffic
from warp_resources.cli.written import DAGSTER, WORKSPACE, text_of
from warp_resources.config import WarpConfig
from warp_resources.connectors.interfaces import StateStore
from warp_resources.connectors.mongodb.demo_data import CATALOG, SHOP
from warp_resources.connectors.ports import free_port
from warp_resources.errors import OperatorError, WarpError
from warp_resources.pipeline.options import open_destination

HOST = "127.0.0.1"
_READY_SECONDS, _DRAIN_SECONDS, _LOOK_SECONDS = 120.0, 12.0, 0.5

_GUIDE = """
  {url}            Dagster
  {url}/assets     every table as an asset, in the groups {stream} (streamed) and {batch} (each minute)
  {url}/automation the sensor and the schedule that keep them in step

  Try this: open an asset and look at its plots, or materialise a slice of it.
  {mongo}
      mongosh; insert, change or delete something in {stream}.orders
  {postgres}
      psql; select count(*), max(_warp_synced_at) from {stream}.orders
  Its log: {log}

Ctrl-C stops everything and leaves nothing behind.
"""


def show(port: int | None) -> None:
    """Run until Ctrl-C."""
    with stage(schedule="* * * * *") as scene, traffic(scene), _dagster(scene, port or free_port(HOST)) as dagster:
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
        "CARTRIDGE_WARP_CONFIG": str(scene.config),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
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
        say("Stopping Dagster and what it started")
        _stop(dagster, scene)


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
            postgres=scene.postgres_uri,
            log=_log(scene),
        )
    )


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False


def _stop(dagster: subprocess.Popen[bytes], scene: Stage) -> None:
    """End Dagster first, so that nobody renews a mandate, then the drainers, which are sessions of their own."""
    family = _descendants(dagster.pid)
    end(dagster, signal.SIGINT)
    try:
        _withdraw(scene)
    except WarpError as error:
        say(f"The mandates could not be withdrawn: {error}")
    _reap(family)
    _reap(_strangers(scene))


def _withdraw(scene: Stage) -> None:
    destination = open_destination(WarpConfig.from_file(scene.config))
    store = destination.state_store()
    try:
        for schema in SCHEMAS:
            store.set_mandate(schema, timedelta(0))
        _wait_until_free(store)
    finally:
        store.close()
        destination.close()


def _wait_until_free(store: StateStore) -> None:
    deadline = time.monotonic() + _DRAIN_SECONDS
    while time.monotonic() < deadline:
        if not any(store.lease_holder(f"stream:{schema}") for schema in SCHEMAS):
            return
        time.sleep(_LOOK_SECONDS)


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _strangers(scene: Stage) -> list[psutil.Process]:
    """Processes of this demonstration that have lost their parent: only they know its configuration file."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("CARTRIDGE_WARP_CONFIG") == str(scene.config):
                found.append(process)
        except psutil.Error:
            continue
    return found


def _reap(processes: list[psutil.Process]) -> None:
    for process in processes:
        try:
            process.terminate()
        except psutil.NoSuchProcess:
            continue
    _, alive = psutil.wait_procs(processes, timeout=10)
    for process in alive:
        process.kill()
    psutil.wait_procs(alive, timeout=5)


def _log(scene: Stage) -> Path:
    return scene.folder / "dagster.log"


def _tail(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-20:])
