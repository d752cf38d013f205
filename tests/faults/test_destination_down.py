"""A destination that takes no writes for a while: read-only, without a free connection, or with a full disk."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.faults.stage import Stage, staged
from tests.fixtures.servers import MongoDatabase
from warp_resources.connectors.ports import free_port
from warp_resources.connectors.postgresql.embedded import EmbeddedPostgres

pytestmark = pytest.mark.servers

CONNECTIONS = 16
DISK_MEGABYTES = 24
ENDED = """
select pg_terminate_backend(pid) from pg_stat_activity
where backend_type = 'client backend' and pid <> pg_backend_pid() and usename = 'warp'
"""
ATTEMPTS = 2
"""How often a write is to be tried in vain."""
BYTES = 400 * 2**20
"""What ``performance.max_memory`` allows a process by default, and a little."""


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    settings = {"shared_buffers": "32MB", "max_connections": str(CONNECTIONS), "fsync": "off", "max_wal_senders": "0"}
    with EmbeddedPostgres(settings={**settings, "wal_level": "minimal"}) as server:
        administer(server, "create role warp login", "create role hog login")
        yield server


@pytest.fixture
def disk(server: EmbeddedPostgres) -> Iterator[Path]:
    """A disk of a few megabytes, of the server's own."""
    folder = Path(tempfile.mkdtemp(prefix="cartridge-warp-disk-", dir="/var/tmp"))
    size = f"size={DISK_MEGABYTES}m"
    command = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)]
    mounted = subprocess.run(command, check=False, capture_output=True, text=True)
    if mounted.returncode:
        folder.rmdir()
        pytest.skip(f"only who may mount has a disk to fill: {mounted.stderr.strip()}")
    os.chown(folder, psutil.Process(server.pid).uids().real, -1)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
    folder.rmdir()


@pytest.fixture
def port() -> int:
    return free_port("127.0.0.1")


@pytest.fixture
def stage(tmp_path: Path, mongo_db: MongoDatabase, server: EmbeddedPostgres, disk: Path, port: int) -> Iterator[Stage]:
    """A schema that is written by an ordinary role to a small disk, with the metrics of its process at a port."""
    administer(
        server,
        f"create tablespace small location '{disk}'",
        "create database depot tablespace small",
        "grant create, temporary on database depot to warp",
    )
    metrics = {"prometheus": {"enabled": True, "port": port}}
    uri = server.uri("depot").replace("postgres@", "warp@")
    yield staged(tmp_path, mongo_db.client, mongo_db.uri, uri, mongo_db.name, top={"monitoring": metrics})
    administer(server, "drop database depot with (force)", "drop tablespace small")


def administer(server: EmbeddedPostgres, *statements: str, database: str = "postgres") -> None:
    with psycopg.connect(server.uri(database), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@contextmanager
def read_only(server: EmbeddedPostgres) -> Iterator[None]:
    """As a standby, or a primary that its administrator has closed."""
    administer(server, "alter database depot set default_transaction_read_only = on", ENDED)
    yield
    administer(server, "alter database depot reset default_transaction_read_only", ENDED)


@contextmanager
def out_of_connections(server: EmbeddedPostgres) -> Iterator[None]:
    """Others have taken every one."""
    with ExitStack() as taken:
        for _ in range(50):
            administer(server, ENDED)
            with contextlib.suppress(psycopg.OperationalError):
                while True:
                    taken.enter_context(psycopg.connect(server.uri("postgres").replace("postgres@", "hog@")))
            with psycopg.connect(server.uri("postgres")) as connection:
                count = connection.execute("select count(*) from pg_stat_activity where usename = 'warp'").fetchone()
            if count == (0,):
                break
        yield


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """Something else has filled the disk."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(65536))
    yield
    filler.unlink()


def status(port: int) -> set[float]:
    """What the metrics say of the schema and its tables."""
    name = "cartridge_warp_sync_status"
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    return {sample.value for family in families for sample in family.samples if sample.name == name}


# SPEC: R3, P1  FAULTS: 19
def test_a_destination_that_takes_no_writes_is_waited_for(
    stage: Stage, server: EmbeddedPostgres, disk: Path, port: int
) -> None:
    machine = stage.machine(body_bytes=2_000)
    machine.fill(300)
    outages = {
        "takes no writes": read_only(server),
        "remaining connection slots are reserved": out_of_connections(server),
        "No space left on device": full(disk),
    }
    with stage.running() as process:
        memory = psutil.Process(process.pid).memory_info
        stage.arrives()
        with machine.running(per_second=200):
            stage.eventually(lambda: status(port) == {1})
            for words, outage in outages.items():
                stage.inject(words)
                with outage:
                    stage.eventually(lambda words=words: stage.command.log.count(words) >= ATTEMPTS)
                    stage.eventually(lambda: status(port) == {-1})
                    assert process.poll() is None, stage.command.log[-3000:]
                    assert memory().rss < BYTES
                began = time.monotonic()
                stage.eventually(lambda: status(port) == {1})
                print(f"active {time.monotonic() - began:.1f} s after: {words}")
        stage.judge(process)
