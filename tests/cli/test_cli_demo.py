"""The demonstration proves itself, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.cli.conftest import Warp, query, schemas_of, wait_for
from warp_resources.cli.demo.ending import MARK
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
    warp.environ |= {"TMPDIR": str(place), "DAGSTER_POSTGRES_URL": "postgresql://127.0.0.1:1/not-the-demonstration"}
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
    rest = next(line for line in child.stdout if "Stopping" in line)
    for impatient in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        child.send_signal(impatient)
    rest += child.stdout.read()
    assert child.wait(60) == 0, rest
    assert "Stopping MongoDB" in rest
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


@pytest.mark.parametrize(
    "number, sign",
    [(signal.SIGINT, "*"), (signal.SIGHUP, "*/mongodb/*/*"), (signal.SIGTERM, "*/postgresql/*")],
    ids=lambda its: str(its),
)
def test_a_start_that_is_interrupted_leaves_nothing(warp: Warp, place: Path, number: signal.Signals, sign: str) -> None:
    # SPEC: M6
    warp.environ["TMPDIR"] = str(place)
    # Under `nohup` it is ignored, also by children.
    hangup = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        child = warp.start("demo")
    finally:
        signal.signal(signal.SIGHUP, hangup)
    wait_for(lambda: any(place.glob(sign)))
    child.send_signal(number)
    assert child.wait(40) == 0
    assert not any(belongs(process, place) for process in psutil.process_iter())
    assert not list(place.iterdir())


def belongs(process: psutil.Process, place: Path) -> bool:
    """Whether a process was started by a demonstration in this place."""
    try:
        return is_alive(process) and process.environ().get(MARK, "").startswith(str(place))
    except psutil.Error:
        return False


def test_a_failure_keeps_the_log_that_it_names(warp: Warp, place: Path, tmp_path: Path) -> None:
    (tmp_path / "dagster.py").write_text("raise SystemExit('no Dagster today')")
    warp.environ |= {"TMPDIR": str(place), "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', tmp_path)}"}
    message = warp.refused("demo", code=1)
    [log] = re.findall(r"Read (\S+\.log)", message)
    assert "no Dagster today" in Path(log).read_text()
    assert {path.suffix for path in place.rglob("*") if path.is_file()} == {".log"}
    assert not any(belongs(process, place) for process in psutil.process_iter())


def test_a_port_that_is_taken_is_refused_at_once(warp: Warp) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port()))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"port={port}" in warp.refused("demo", "--port", str(port), code=2)


def test_the_check_ends_with_equal_sides(warp: Warp) -> None:
    # SPEC: M4
    warp.environ["CARTRIDGE_WARP_DESTINATION__CONNECTION_STRING"] = "postgresql://127.0.0.1:1/not-the-demonstration"
    (warp.folder / ".env").write_text("CARTRIDGE_WARP_MODE=single\n")
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
