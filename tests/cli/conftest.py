"""The real command in a folder of its own, with a small shop to replicate."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from bson import Decimal128

from tests.fixtures.servers import MongoDatabase

BINARY = Path(sys.executable).parent / "cartridge-warp"
_OWN_PREFIX = "CARTRIDGE_WARP_"


class Warp:
    """Runs the command; what it prints to either side is text."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "warp.yaml"
        self.environ: dict[str, str] = {}
        self._started: list[subprocess.Popen[str]] = []

    def write(self, settings: dict[str, Any]) -> None:
        self.config.write_text(yaml.safe_dump(settings), encoding="utf-8")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BINARY, *arguments], cwd=self.folder, env=self._env(), capture_output=True, text=True, timeout=110
        )

    def ok(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, f"{arguments} exited {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.ok(*arguments))

    def refused(self, *arguments: str, code: int) -> str:
        """The message of a command that must fail: one, without a traceback or a password."""
        done = self.run(*arguments)
        assert done.returncode == code, f"{arguments} exited {done.returncode}:\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr + done.stdout
        assert "s3cret" not in done.stderr + done.stdout
        return done.stderr + done.stdout

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [BINARY, *arguments],
            cwd=self.folder,
            env=self._env(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._started.append(child)
        return child

    def close(self) -> None:
        """End what a failing test left running, servers of its own included where it can."""
        for child in self._started:
            if child.poll() is None:
                child.send_signal(signal.SIGINT)
            try:
                child.communicate(timeout=40)
            except subprocess.TimeoutExpired:
                child.kill()
                child.communicate()

    def _env(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OWN_PREFIX)}
        return {**inherited, "NO_COLOR": "1", **self.environ}


def wait_for(is_so: Callable[[], bool], seconds: float = 30) -> None:
    """Return when a condition holds; fail when it does not in time."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "the condition did not come to hold"
        time.sleep(0.05)


def query(uri: str, statement: str) -> list[Any]:
    """The rows of a statement."""
    with psycopg.connect(uri) as connection:
        return connection.execute(statement.encode()).fetchall()


def execute(uri: str, *statements: str) -> None:
    """Run statements that give no rows."""
    with psycopg.connect(uri) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def schemas_of(uri: str) -> set[str]:
    """The schemas that somebody made in a database."""
    names = query(uri, "select nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'")
    return {name for (name,) in names} - {"public"}


@pytest.fixture
def warp(tmp_path: Path) -> Iterator[Warp]:
    """The command in an empty folder."""
    command = Warp(tmp_path)
    yield command
    command.close()


@pytest.fixture
def settings(mongo_db: MongoDatabase, warehouse: str) -> dict[str, Any]:
    """A configuration of one streamed schema over the test's own databases."""
    return {
        "source": {"type": "mongodb", "connection_string": mongo_db.uri, "database": mongo_db.name},
        "destination": {"type": "postgresql", "connection_string": warehouse},
        "schemas": [{"name": "shop", "table_whitelist": ["users", "orders"]}],
        "monitoring": {"prometheus": {"enabled": False}},
        "performance": {"connection_timeout": 2},
    }


@pytest.fixture
def shop(warp: Warp, settings: dict[str, Any], mongo_db: MongoDatabase) -> Warp:
    """The command with that configuration, and users, orders and logs at the source."""
    at = datetime(2024, 5, 1, tzinfo=UTC)
    database = mongo_db.database
    database.users.insert_many([{"_id": n, "name": f"user {n}", "n": n, "updated_at": at} for n in range(40)])
    database.orders.insert_many([{"_id": n, "total": Decimal128("1.50"), "lines": [{"n": n}]} for n in range(25)])
    database.logs.insert_one({"_id": 1, "text": "not replicated"})
    warp.write(settings)
    return warp
