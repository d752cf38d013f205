"""The demonstration proves itself, and leaves nothing behind."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.cli.conftest import Warp, wait_for

pytestmark = pytest.mark.servers


def test_the_check_ends_with_equal_sides(warp: Warp) -> None:
    # SPEC: M4
    text = warp.ok("demo", "--check")
    assert "rows are equal in every column" in text
    assert "0 of them kept" in text


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder for temporary files that other users may enter, as PostgreSQL's does."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        yield place


def test_ctrl_c_leaves_no_process_and_no_folder(warp: Warp, place: Path) -> None:
    # SPEC: M6
    warp.environ["TMPDIR"] = str(place)
    child = warp.start("demo", "--check")
    assert child.stdout is not None
    assert any("Replicating" in line for line in child.stdout)
    family = psutil.Process(child.pid).children(recursive=True)
    assert len(family) >= 5
    child.send_signal(signal.SIGINT)
    assert child.wait(40) == 1
    wait_for(lambda: not any(is_alive(process) for process in family))
    assert not list(place.iterdir())
