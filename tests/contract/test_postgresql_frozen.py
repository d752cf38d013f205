"""Processes that are frozen while their sessions hold locks that others wait for."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest

from tests.pairs.process import eventually
from warp_resources.connectors.postgresql import frozen
from warp_resources.connectors.postgresql.options import PostgresOptions
from warp_resources.connectors.postgresql.state import PostgresStateStore

pytestmark = pytest.mark.servers

OURS = "application_name=cartridge-warp"
SILENT = 0.3


@pytest.fixture
def store(warehouse: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgresStateStore]:
    monkeypatch.setattr(frozen, "SILENT_SECONDS", SILENT)
    with psycopg.connect(warehouse, autocommit=True) as connection:
        connection.execute("create table rows (id integer primary key)")
        connection.execute("insert into rows values (1)")
    made = PostgresStateStore(PostgresOptions.model_validate({"connection_string": warehouse}))
    yield made
    made.close()


@contextmanager
def waiting(warehouse: str) -> Iterator[Future[None]]:
    """Another session that wants the row; done once it has it."""

    def want() -> None:
        with psycopg.connect(warehouse) as connection:
            connection.execute("select from rows where id = 1 for update")

    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(want)


def connected(warehouse: str, options: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(f"{warehouse}{'&' if '?' in warehouse else '?'}{options}")


def locking(warehouse: str, options: str) -> psycopg.Connection[tuple[object, ...]]:
    connection = connected(warehouse, options)
    connection.execute("select from rows where id = 1 for update")
    return connection


def looked(store: PostgresStateStore, waiter: Future[None]) -> bool:
    store.end_frozen()
    return waiter.done()


# SPEC: T8  FAULTS: 3
def test_one_that_says_nothing_in_its_transaction_is_ended_for_those_who_wait(
    store: PostgresStateStore, warehouse: str
) -> None:
    with locking(warehouse, OURS) as holder, waiting(warehouse) as waiter:
        eventually(lambda: looked(store, waiter), 10)
        with pytest.raises(psycopg.OperationalError):
            holder.execute("select 1")


# SPEC: T8  FAULTS: 3
def test_one_that_stops_in_the_middle_of_a_copy_is_ended_too(store: PostgresStateStore, warehouse: str) -> None:
    with locking(warehouse, OURS) as holder, waiting(warehouse) as waiter:
        copy = holder.cursor().copy("copy rows from stdin")
        writing = copy.__enter__()
        for number in range(100):
            # It goes on for longer than anybody may be silent.
            writing.write("\n".join(str(number * 10_000 + one) for one in range(2, 10_002)) + "\n")
            store.end_frozen()
        assert not waiter.done()
        eventually(lambda: looked(store, waiter), 10)
        with pytest.raises(psycopg.OperationalError):
            copy.__exit__(None, None, None)


# FAULTS: 3
def test_what_is_not_ours_or_keeps_nobody_waiting_is_left_alone(store: PostgresStateStore, warehouse: str) -> None:
    with (
        locking(warehouse, "application_name=psql") as theirs,
        connected(warehouse, OURS) as ours,
        psycopg.connect(warehouse) as look,
    ):
        ours.execute("create table others (id integer)")
        with waiting(warehouse) as waiter:
            eventually(lambda: is_waiting(look), 10)
            eventually(lambda: is_silent(look), 10)
            store.end_frozen()
            assert not waiter.done()
            theirs.rollback()
        assert waiter.result() is None
        ours.execute("select 1")


def is_waiting(connection: psycopg.Connection[tuple[object, ...]]) -> bool:
    connection.rollback()
    query = "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    return connection.execute(query).fetchone() is not None


def is_silent(connection: psycopg.Connection[tuple[object, ...]]) -> bool:
    connection.rollback()
    query = (
        "select count(*) from pg_stat_activity where state = 'idle in transaction' and datname = current_database()"
        " and state_change < clock_timestamp() - make_interval(secs => %s)"
    )
    return connection.execute(query, [SILENT]).fetchone() == (2,)
