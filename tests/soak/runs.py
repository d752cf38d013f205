"""The product's processes in a soak: a run that is started again whenever it ends, a second one, and commands."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import psutil

from tests.pairs.process import WARP
from warp_resources.failpoints import VARIABLE

RESTART_SECONDS = 0.5
STOP_SECONDS = 13.0
"""SPEC M6 allows 10 s; the machine is busy."""
COMMAND_SECONDS = 150.0
KILLED = (-signal.SIGKILL, -signal.SIGTERM)


class Broken(Exception):
    """Something that must not be; the soak ends."""


@dataclass(slots=True)
class Pending:
    """A command at work: until when it may be, and when it is killed, if it is to be."""

    arguments: str
    process: subprocess.Popen[bytes]
    output: Path
    began: float
    kill_at: float | None


@dataclass
class Runs:
    """What runs in a folder with a configuration; ``tend`` has to be called every moment."""

    tells_all: ClassVar[bool] = True
    """A traceback in the log is an error that nobody foresaw."""

    folder: Path
    ended: Counter[str] = field(default_factory=Counter)
    slowest_stop: float = 0.0
    main: subprocess.Popen[bytes] | None = None
    second: subprocess.Popen[bytes] | None = None
    pending: list[Pending] = field(default_factory=list)
    _arguments: tuple[str, ...] = ()
    _failpoints: str | None = None
    _is_armed: bool = False
    _restart_at: float | None = None
    _second_at: float | None = None
    _number: int = 0

    def prepare(self) -> None:
        """What has to be in the folder beside the configuration."""

    def start(self) -> None:
        self.main = self._spawn("run", *self._arguments, failpoints=self._failpoints)
        self._arguments, self._is_armed = (), self._failpoints is not None
        self._restart_at = None

    def tend(self) -> None:
        """Start again what ended, kill what is due, take note of what is done."""
        now = time.monotonic()
        if self.main is not None and self.main.poll() is not None and self._restart_at is None:
            self._note_end("run", self.main.returncode)
            self._restart_at = now + RESTART_SECONDS
        if self._restart_at is not None and now >= self._restart_at:
            self.start()
        if self._second_at is not None and now >= self._second_at:
            self._second_at = None
            self.second = self._spawn("run", failpoints=None)
        if self.second is not None and self.second.poll() is not None:
            self._note_end("second run", self.second.returncode)
            self.second = None
        for its in list(self.pending):
            self._tend_command(its, now)

    def kill(self, *, arguments: tuple[str, ...] = (), failpoints: str | None = None) -> None:
        """Kill the run; the next one has other arguments or failpoints."""
        self._arguments, self._failpoints = arguments, failpoints
        if self.main is not None:
            self.main.kill()
            self.main.wait()

    def disarm(self) -> bool:
        """The next start is without failpoints; whether this one had any."""
        self._failpoints = None
        return self._is_armed

    def terminate(self) -> float:
        """Stop the run as an operator does; how long it took."""
        assert self.main is not None
        return self._stopped(self.main)

    def finish(self) -> None:
        """Stop for good."""
        self.terminate()
        if self.main is not None and self.main.returncode != 0:
            raise Broken(f"run ended with {self.main.returncode} after SIGTERM")

    def start_second(self, after: float = 0.0) -> None:
        """Another run beside the first, in some seconds."""
        if self.second is None:
            self._second_at = time.monotonic() + after

    def end_second(self, how: str) -> None:
        self._second_at = None
        if self.second is None:
            return
        if how == "kill":
            self.second.kill()
            self.second.wait()
        else:
            self._stopped(self.second)
        self._note_end("second run", self.second.returncode)
        self.second = None

    def command(self, arguments: str, kill_after: float | None = None) -> None:
        self._number += 1
        output = self.folder / f"command-{self._number:04d}"
        now = time.monotonic()
        process = self._spawn(*arguments.split(), output=output)
        self.pending.append(Pending(arguments, process, output, now, None if kill_after is None else now + kill_after))

    def processes(self) -> list[psutil.Process]:
        """All that work on this configuration, also those whose parents are gone, oldest first."""
        file, found = str(self.folder / "warp.yaml"), []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.environ().get("CARTRIDGE_WARP_CONFIG") == file and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return sorted(found, key=lambda its: its.pid)

    def engines(self) -> list[psutil.Process]:
        """The processes that runs have started."""
        ours = {its.pid for its in (self.main, self.second, *(one.process for one in self.pending)) if its is not None}
        return [its for its in self.processes() if its.pid not in ours]

    def read_log(self) -> Counter[str]:
        """How often failpoints acted and engines were started again; an error that nobody foresaw breaks the soak."""
        text = (self.folder / "log").read_text(errors="replace")
        if self.tells_all and "Traceback" in text:
            raise Broken(f"a traceback in {self.folder / 'log'}:\n{text[text.index('Traceback') :][:3000]}")
        found = Counter(f"failpoint {its}" for its in re.findall(r'"point": "([a-z.]+)".*"event": "failpoint"', text))
        found["engine restarts"] = text.count('"engine process ended, starting it again"')
        return found

    def thaw(self) -> None:
        """Let go on whatever is frozen, by us or by a failpoint."""
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()

    def close(self) -> None:
        """Kill everything, frozen or not."""
        for process in (self.main, self.second, *(its.process for its in self.pending)):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
        self.main = self.second = None
        for rest in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                rest.kill()

    def _stopped(self, process: subprocess.Popen[bytes]) -> float:
        self.thaw()
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise Broken(f"run does not stop within {STOP_SECONDS:.0f} s of SIGTERM (pid {process.pid})") from None
        took = time.monotonic() - began
        self.slowest_stop = max(self.slowest_stop, took)
        return took

    def _note_end(self, what: str, code: int) -> None:
        self.ended[f"{what} ended with {code}"] += 1
        if code not in (0, *KILLED):
            raise Broken(f"{what} ended with {code}")

    def _tend_command(self, its: Pending, now: float) -> None:
        code = its.process.poll()
        if code is None:
            if its.kill_at is not None and now >= its.kill_at:
                its.process.kill()
            elif now - its.began > COMMAND_SECONDS:
                raise Broken(f"{its.arguments}: does not end within {COMMAND_SECONDS:.0f} s, see {its.output}")
            return
        self.pending.remove(its)
        self.ended[f"{its.arguments.split()[0]} ended with {code}"] += 1
        text = its.output.read_text(errors="replace")
        if "Traceback" in text or (code == 3 and "--repair" not in its.arguments) or code == 2:
            raise Broken(f"{its.arguments} ended with {code}, see {its.output}:\n{text[-3000:]}")
        its.output.rename(its.output.with_suffix(f".{code}"))

    def _spawn(
        self, *arguments: str, output: Path | None = None, failpoints: str | None = None
    ) -> subprocess.Popen[bytes]:
        environment = self.environment(failpoints)
        path = output or self.folder / "log"
        with path.open("ab") as log:
            if output is None:
                log.write(json.dumps({"started": arguments, "failpoints": failpoints}).encode() + b"\n")
                log.flush()
            return subprocess.Popen([WARP, *arguments], env=environment, stdout=log, stderr=log, cwd=self.folder)

    def environment(self, failpoints: str | None) -> dict[str, str]:
        armed = {VARIABLE: failpoints} if failpoints else {}
        return {**os.environ, "CARTRIDGE_WARP_CONFIG": str(self.folder / "warp.yaml"), "NO_COLOR": "1", **armed}
