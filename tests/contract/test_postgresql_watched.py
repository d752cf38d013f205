"""Statements that take long, and lines that are dead: the server tells them apart, whatever is between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from urllib.parse import urlsplit

import psycopg
import pytest
from pydantic import SecretStr

from tests.contract.postgresql_lab import USERS, letter
from tests.faults.proxy import Proxy
from warp_resources.connectors.postgresql import watched
from warp_resources.connectors.postgresql.letters import Origin, add_letters
from warp_resources.connectors.postgresql.migrations import prepare
from warp_resources.connectors.postgresql.options import PostgresOptions
from warp_resources.connectors.postgresql.session import Session
from warp_resources.errors import ConnectionLost

pytestmark = pytest.mark.servers

LONG = "select pg_sleep(1.5)"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched, "SILENT_SECONDS", 0.2)
    monkeypatch.setattr(watched, "AGAIN_SECONDS", 0.2)
    monkeypatch.setattr(watched, "_lost_at", {})


@pytest.fixture
def acting(warehouse: str) -> Iterator[str]:
    """The connection string of a role that acts as another at once, whose sessions that one may not look at."""
    database = urlsplit(warehouse).path.removeprefix("/")
    login, owner = f"login_{database}", f"owner_{database}"
    with psycopg.connect(warehouse, autocommit=True) as connection:
        for statement in (
            f"create role {owner}",
            f"create role {login} login in role {owner}",
            f"alter role {login} set role = {owner}",
        ):
            connection.execute(statement.encode())
        yield warehouse.replace("postgres@", f"{login}@")
        connection.execute(f"drop role {login}, {owner}".encode())


def session(uri: str) -> closing[Session]:
    return closing(Session(PostgresOptions(connection_string=SecretStr(uri))))


def behind(proxy: Proxy, uri: str) -> str:
    return uri.replace(f":{urlsplit(uri).port}/", f":{proxy.port}/")


def lose(uri: str) -> None:
    """A line falls silent under a statement, while new ones are good."""
    with Proxy(urlsplit(uri).port or 0) as proxy, session(behind(proxy, uri)) as ours:
        assert ours.rows("select 1 as one")[0].one == 1
        proxy.freeze()
        with pytest.raises(ConnectionLost):
            ours.rows("select 2")
        assert ours.rows("select 3 as three")[0].three == 3


def test_a_long_statement_is_waited_for_and_a_dead_line_is_not(warehouse: str) -> None:
    # SPEC: R3  FAULTS: 22
    with session(warehouse) as ours:
        assert len(ours.rows(LONG)) == 1
    lose(warehouse)


def test_a_long_statement_is_waited_for_behind_a_pooler(warehouse: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pooler gives its clients keys for cancelling that are its own: the process id in them is nobody's."""
    # SPEC: R3
    monkeypatch.setattr(psycopg.ConnectionInfo, "backend_pid", property(lambda _: 1))
    with session(warehouse) as ours:
        assert len(ours.rows(LONG)) == 1


def test_a_role_that_acts_as_another_waits_for_a_long_statement_and_finds_a_dead_line(acting: str) -> None:
    # SPEC: R3 Z2  FAULTS: 22
    with session(acting) as ours:
        assert len(ours.rows(LONG)) == 1
    lose(acting)


def test_a_large_dead_letter_passes_a_slow_line(warehouse: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time its statement is prepared, so that the server takes the session for idle until it has all."""
    # SPEC: R3  FAULTS: 12, 22
    monkeypatch.setattr(watched, "SLOWEST_BYTES_PER_SECOND", 500_000)
    large = replace(letter(USERS, "1"), record="x" * 2_000_000)
    with Proxy(urlsplit(warehouse).port or 0) as proxy, session(behind(proxy, warehouse)) as ours:
        prepare(ours)
        ours.rows("select set_config('idle_in_transaction_session_timeout', '1s', false)")
        for sequence in (1, 2):
            with ours.transaction() as connection:
                proxy.delay = 0.06
                add_letters(connection, [large], Origin(sequence, sequence, None, "run-1"))
                proxy.delay = 0.0
        assert ours.serial == 1
        assert ours.rows("select count(*) as found from cartridge_warp_metadata.dead_letters")[0].found == 2
