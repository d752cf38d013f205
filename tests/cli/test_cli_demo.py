"""The demonstration proves itself, and leaves nothing behind."""

from __future__ import annotations

import re
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.cli.conftest import Warp, query, schemas_of, wait_for
from warp_resources.connectors.ports import free_port

pytestmark = pytest.mark.servers


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder for temporary files that other users may enter, as PostgreSQL's does."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        yield place


@pytest.mark.timeout(300)
def test_dagster_shows_the_shop_until_ctrl_c_and_nothing_is_left(warp: Warp, place: Path) -> None:
    # SPEC: M4, M6
    warp.environ["TMPDIR"] = str(place)
    port = free_port()
    child = warp.start("demo", "--port", str(port))
    assert child.stdout is not None
    lines = []
    for line in child.stdout:
        lines.append(line)
        if "Ctrl-C stops everything" in line:
            break
    printed = "".join(lines)
    assert f"http://127.0.0.1:{port}" in printed
    [warehouse] = re.findall(r"postgresql://\S+", printed)
    wait_for(lambda: has_orders(warehouse), 60)
    config = str(next(place.glob("cartridge-warp-demo-*/warp.yaml")))
    assert any(knows(process, config) for process in psutil.process_iter())
    child.send_signal(signal.SIGINT)
    rest = child.stdout.read()
    assert child.wait(60) == 0, rest
    assert "Traceback" not in printed + rest
    assert not any(knows(process, config) for process in psutil.process_iter())
    assert not list(place.iterdir())


def has_orders(warehouse: str) -> bool:
    return "shop" in schemas_of(warehouse) and bool(query(warehouse, "select to_regclass('shop.orders')")[0][0])


def knows(process: psutil.Process, config: str) -> bool:
    """Whether a process was started with the demonstration's configuration."""
    try:
        return is_alive(process) and process.environ().get("CARTRIDGE_WARP_CONFIG") == config
    except psutil.Error:
        return False


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
