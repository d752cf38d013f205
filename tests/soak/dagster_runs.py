"""Drives the product by ``dagster dev`` in a soak: drainers for the streams, scheduled runs for the batches."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import ClassVar

import psutil

from tests.soak.runs import KILLED, Broken, Runs
from warp_resources.connectors.ports import free_port

ROOT = Path(__file__).parents[2]
FILES = ("workspace.yaml", "dagster.yaml")
_STOP_SECONDS, _DRAINER_SECONDS = 60.0, 60.0
_DRAINER = "warp_sensors.drain"


class DagsterRuns(Runs):
    """As ``Runs``, with the processes of Dagster in the place of ``cartridge-warp run``."""

    # Dagster shows each failing tick so.
    tells_all: ClassVar[bool] = False

    def prepare(self) -> None:
        """What ``cartridge-warp init`` writes beside the configuration."""
        for name in FILES:
            shutil.copy(ROOT / name, self.folder)

    def start(self) -> None:
        command = [str(Path(sys.executable).parent / "dagster"), "dev", "-h", "127.0.0.1", "-p", str(free_port())]
        environment = self.environment(self._failpoints) | {"DAGSTER_HOME": str(self.folder)}
        with (self.folder / "log").open("ab") as log:
            self.main = subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
                # A soak in a shell's background ignores it, and so would everything that it starts.
                preexec_fn=_heed_interrupts,
            )
        self._is_armed, self._restart_at = self._failpoints is not None, None

    def kill(self, *, arguments: tuple[str, ...] = (), failpoints: str | None = None) -> None:
        """Everything of Dagster is gone at once; drainers live on by their mandate, but not without failpoints."""
        drainers = self.drainers()
        doomed = [its for its in self.engines() if its not in drainers or failpoints or self._is_armed]
        self._failpoints = failpoints
        if self.main is not None:
            self.main.kill()
            self.main.wait()
        for process in doomed:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def terminate(self) -> float:
        """As Ctrl-C does."""
        assert self.main is not None
        self.thaw()
        began = time.monotonic()
        rest = self.engines()
        self.main.send_signal(signal.SIGINT)
        try:
            self.main.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise Broken(f"dagster dev does not stop within {_STOP_SECONDS:.0f} s") from None
        for process in rest:
            # What the webserver or the daemon leaves behind is not the product's.
            with contextlib.suppress(psutil.NoSuchProcess):
                if not _is_drainer(process):
                    process.kill()
        return time.monotonic() - began

    def drainers(self) -> list[psutil.Process]:
        """Drainers, whoever started them."""
        return [its for its in self.processes() if _is_drainer(its)]

    def finish(self) -> None:
        """Stop; drainers end by themselves once nobody renews their mandate."""
        self.terminate()
        deadline = time.monotonic() + _DRAINER_SECONDS
        while left := self.drainers():
            if time.monotonic() > deadline:
                raise Broken(f"drainers outlive their mandate: {[its.pid for its in left]}")
            time.sleep(0.2)

    def _note_end(self, what: str, code: int) -> None:
        # `dagster dev` ends when one of its servers does.
        if what == "run" and code not in KILLED:
            self.ended[f"dagster dev ended with {code}"] += 1
            return
        Runs._note_end(self, what, code)


def _is_drainer(process: psutil.Process) -> bool:
    try:
        return _DRAINER in process.cmdline()
    except psutil.NoSuchProcess:
        return False


def _heed_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
