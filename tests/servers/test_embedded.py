"""The private servers of the demonstration come back after a crash with all that was committed."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import tempfile
import threading
import time
from pathlib import Path

import psutil
import psycopg
import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from warp_resources.connectors.mongodb.embedded import EmbeddedMongod
from warp_resources.connectors.postgresql.embedded import EmbeddedPostgres
from warp_resources.errors import OperatorError


def test_postgresql_survives_a_crash_and_is_gone_after_its_end() -> None:
    with EmbeddedPostgres() as server:
        uri = server.create_database('odd "name"')
        with psycopg.connect(server.uri(), autocommit=True) as connection:
            connection.execute("create table kept as select 7 as n")
            assert connection.execute("show wal_level").fetchone() == ("logical",)
        server.kill()
        assert server.pid is None
        server.restart()
        with psycopg.connect(server.uri()) as connection:
            assert connection.execute("select n from kept").fetchone() == (7,)
        server.drop_database('odd "name"')
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(uri.replace(" ", "%20").replace('"', "%22"))
        pid = server.pid
        assert pid is not None
    assert not psutil.pid_exists(pid)


def test_a_folder_of_ones_own_keeps_the_rows(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = Path("/tmp") / tmp_path_factory.mktemp("postgres").name
    try:
        for expected in (0, 1):
            with (
                EmbeddedPostgres(folder, settings={"fsync": "off"}) as server,
                psycopg.connect(server.uri(), autocommit=True) as connection,
            ):
                connection.execute("create table if not exists visits (n int)")
                assert connection.execute("select count(*) from visits").fetchone() == (expected,)
                connection.execute("insert into visits values (1)")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_a_server_that_cannot_start_says_where_to_read() -> None:
    server = EmbeddedPostgres(settings={"no_such_setting": "1"})
    with pytest.raises(OperatorError, match="did not start") as refused:
        server.start()
    log = Path(str(refused.value.remedy).removeprefix("Read "))
    assert "no_such_setting" in log.read_text()
    server.stop()
    assert not log.exists()


def test_mongodb_elects_another_primary() -> None:
    with EmbeddedMongod(member_count=3, arguments=("--oplogSize", "50")) as server:
        with MongoClient[dict[str, int]](server.uri, serverSelectionTimeoutMS=30_000, w="majority") as client:
            client["shop"]["users"].insert_one({"_id": 1})
            primary = client.primary
            assert primary is not None
            number = [member.port for member in server.members].index(primary[1])
            server.kill_member(number)
            assert server.members[number].pid is None
            client["shop"]["users"].insert_one({"_id": 2})
            server.start_member(number)
            server.wait_for_primary()
            assert client["shop"]["users"].count_documents({}) == 2
            with pytest.raises(OperationFailure):
                client.admin.command("replSetInitiate", {"_id": "again"})
        pids = [member.pid for member in server.members]
    assert not any(psutil.pid_exists(pid) for pid in pids if pid is not None)


@pytest.mark.parametrize("server", [EmbeddedMongod, EmbeddedPostgres])
def test_without_the_wheels_the_remedy_is_said(
    server: type[EmbeddedMongod | EmbeddedPostgres], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(OperatorError, match=r"make install.*\.\[demo\]"):
        server().start()


@pytest.mark.parametrize("server", [EmbeddedMongod, EmbeddedPostgres])
def test_a_start_that_is_interrupted_leaves_neither_process_nor_folder(
    server: type[EmbeddedMongod | EmbeddedPostgres], monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        monkeypatch.setattr(tempfile, "tempdir", name)
        interrupter = threading.Thread(target=interrupt_once_filled, args=(place,))
        interrupter.start()
        with pytest.raises(KeyboardInterrupt), server():
            threading.Event().wait(30)
        interrupter.join()
        assert not list(place.iterdir())
        assert not any(serves(child, name) for child in psutil.Process().children())


def serves(process: psutil.Process, place: str) -> bool:
    """Whether a process is a server with its files in this place."""
    try:
        return any(word.startswith(place) for word in process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return False


def interrupt_once_filled(place: Path) -> None:
    """Ctrl-C soon after the server's folder has something in it."""
    deadline = time.monotonic() + 30
    while not any(place.glob("*/*/*")) and time.monotonic() < deadline:
        time.sleep(0.001)
    # Its first files are there before `Popen` has returned, which is no moment for a Ctrl-C.
    time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGINT)
