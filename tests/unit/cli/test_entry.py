"""How the command begins and ends."""

from __future__ import annotations

import subprocess
import sys

import pytest


def run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(("arguments", "code"), [(["--version"], 0), (["--no-such-flag"], 2), (["run", "--once"], 2)])
def test_what_was_said_and_the_exit_code_outlast_the_quick_end(arguments: list[str], code: int) -> None:
    script = f"import sys; sys.argv = ['x', '--config', '/nowhere.yaml', *{arguments!r}]\n"
    done = run(script + "from warp_resources.cli.entry import main; main()")
    assert done.returncode == code
    assert done.stdout if code == 0 else done.stderr


def test_numpy_starts_no_threads_and_children_inherit_nothing_of_it() -> None:
    script = """
import os, sys
os.environ.pop("OPENBLAS_NUM_THREADS", None)
from warp_resources.cli.entry import _load_numpy
_load_numpy()
assert "numpy" in sys.modules
assert len(os.listdir("/proc/self/task")) == 1
assert "OPENBLAS_NUM_THREADS" not in os.environ
os.environ["OPENBLAS_NUM_THREADS"] = "3"
_load_numpy()
assert os.environ["OPENBLAS_NUM_THREADS"] == "3"
"""
    assert run(script).returncode == 0
