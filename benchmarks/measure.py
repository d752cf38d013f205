"""Times a process tree from outside: wall seconds, CPU seconds, peak memory."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

SAMPLE_SECONDS = 0.1


@dataclass(frozen=True)
class Cost:
    """What a command took; ``peak_bytes`` sums the process tree, shared pages counted once."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int


class TreeMeter:
    """Samples a process and its descendants until it ends or ``stop`` is called."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._stopped = threading.Event()
        self._cpu: dict[int, float] = {}
        self.peak_bytes = 0
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    @property
    def cpu_seconds(self) -> float:
        return sum(self._cpu.values())

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stopped.wait(SAMPLE_SECONDS):
            try:
                tree = [self._root, *self._root.children(recursive=True)]
            except psutil.Error:
                return
            self.peak_bytes = max(self.peak_bytes, sum(self._weigh(process) for process in tree))

    def _weigh(self, process: psutil.Process) -> int:
        try:
            times = process.cpu_times()
            self._cpu[process.pid] = times.user + times.system
            return int(process.memory_full_info().pss)
        except psutil.Error:
            return 0


def measured(command: Sequence[str], environment: dict[str, str], log: Path) -> Cost:
    """Run a command to its end; raises where it fails, with the end of its output."""
    with log.open("wb") as output:
        started = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        meter = TreeMeter(process.pid)
        code = process.wait()
        seconds = time.perf_counter() - started
        meter.stop()
    if code:
        raise SystemExit(f"{' '.join(command)} exited {code}:\n{log.read_text()[-3000:]}")
    return Cost(seconds, meter.cpu_seconds, meter.peak_bytes)
