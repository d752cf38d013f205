"""What PostgreSQL must be and grant before anything is written, and the metadata that is made there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from tests.contract.postgresql_lab import CREATE, Lab, column, conformed, schema_of
from warp_resources.connectors.ports import free_port
from warp_resources.connectors.postgresql import migrations
from warp_resources.connectors.postgresql.destination import PostgresDestination
from warp_resources.connectors.postgresql.options import PostgresOptions
from warp_resources.connectors.postgresql.state import PostgresStateStore
from warp_resources.errors import LeaseHeld, OperatorError, TransientError
from warp_resources.model.positions import Holder
from warp_resources.model.tables import Kind

pytestmark = pytest.mark.servers

USERS = schema_of(column("_id", Kind.INT64))
LONG = timedelta(seconds=60)


def options(uri: str, **others: object) -> PostgresOptions:
    return PostgresOptions.model_validate({"connection_string": SecretStr(uri), **others})


def run(uri: str, *statements: str) -> None:
    with psycopg.connect(uri, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@pytest.fixture
def role(warehouse: str) -> Iterator[str]:
    """The connection string of a role that owns nothing and may only connect."""
    database = urlsplit(warehouse).path.removeprefix("/")
    name = f"limited_{database}"
    run(warehouse, f"create role {name} login", f"revoke all on database {database} from public")
    run(warehouse, f"grant connect on database {database} to {name}")
    yield warehouse.replace("postgres@", f"{name}@")
    run(warehouse, f"reassign owned by {name} to postgres", f"drop owned by {name}", f"drop role {name}")


def test_a_fresh_database_passes_and_is_not_changed(warehouse: str) -> None:
    destination = PostgresDestination(options(warehouse))
    destination.check()
    assert destination.table_schemas("shop") == {}
    assert destination.stream_state("shop") is None
    assert destination.table_states("shop") == {}
    assert destination.generations("shop") == []
    assert destination.row_count(USERS.table) == 0
    with psycopg.connect(warehouse) as connection:
        found = connection.execute("select count(*) from pg_namespace where nspname like 'cartridge%'").fetchall()
    assert found == [(0,)]
    destination.close()


def test_missing_grants_are_named(warehouse: str, role: str) -> None:
    # SPEC: Z2
    destination = PostgresDestination(options(role))
    database, name = urlsplit(warehouse).path.removeprefix("/"), urlsplit(role).username
    with pytest.raises(OperatorError) as lacking:
        destination.check()
    assert f'grant create on database "{database}" to "{name}"' in str(lacking.value)
    assert f'grant temporary on database "{database}" to "{name}"' in str(lacking.value)
    run(warehouse, f"grant create, temporary on database {database} to {name}")
    destination.check()
    destination.prepare()
    destination.close()


def test_a_grant_that_is_missing_on_an_existing_schema_is_named(warehouse: str, role: str) -> None:
    # SPEC: Z2
    database, name = urlsplit(warehouse).path.removeprefix("/"), urlsplit(role).username
    run(warehouse, f"grant create, temporary on database {database} to {name}", "create schema shop")
    destination = PostgresDestination(options(role))
    destination.check()
    with pytest.raises(OperatorError, match=f'grant usage, create on schema "shop" to "{name}"'):
        destination.check(["shop", "not there yet"])
    run(warehouse, f"grant usage, create on schema shop to {name}")
    destination.check(["shop", "not there yet"])
    destination.close()


def test_the_least_grants_are_enough(warehouse: str, role: str) -> None:
    # SPEC: Z2
    database, name = urlsplit(warehouse).path.removeprefix("/"), urlsplit(role).username
    run(
        warehouse,
        f"create schema cartridge_warp_metadata authorization {name}",
        f"create schema shop authorization {name}",
        f"grant temporary on database {database} to {name}",
    )
    PostgresDestination(options(role, schema="shop")).check()
    lab = Lab.open(role)
    lab.write(conformed(USERS, {"_id": [1, 2]}, changes=CREATE))
    assert lab.receipt(conformed(USERS, deletes=[1])).rows_deleted == 1
    lab.close()


def test_a_revoked_privilege_is_named(warehouse: str, role: str) -> None:
    # FAULTS: 14
    database, name = urlsplit(warehouse).path.removeprefix("/"), urlsplit(role).username
    run(warehouse, f"grant create, temporary on database {database} to {name}")
    lab = Lab.open(role)
    lab.write(conformed(USERS, {"_id": [1]}, changes=CREATE))
    run(warehouse, "alter table shop.users owner to postgres")
    with pytest.raises(OperatorError, match=f"grant select, insert, update, delete on .* to {name}"):
        lab.write(conformed(USERS, {"_id": [2]}))
    lab.close()


def test_a_server_that_is_away_is_named() -> None:
    port = free_port()
    destination = PostgresDestination(options(f"postgresql://u:geheim@127.0.0.1:{port}/d", connection_timeout=1))
    with pytest.raises(TransientError) as away:
        destination.check()
    assert f"127.0.0.1:{port}" in str(away.value)
    assert "geheim" not in str(away.value)


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("postgresql://nobody@{host}/{database}", "refuses the connection"),
        ("postgresql://postgres@{host}/nowhere", "Create the database"),
    ],
)
def test_a_wrong_connection_string_is_the_operators(warehouse: str, uri: str, words: str) -> None:
    parts = urlsplit(warehouse)
    host = f"{parts.hostname}:{parts.port}"
    destination = PostgresDestination(options(uri.format(host=host, database=parts.path[1:])))
    with pytest.raises(OperatorError, match=words) as wrong:
        destination.check()
    assert "heim" not in str(wrong.value)


def test_a_read_only_server_is_waited_for(warehouse: str) -> None:
    # FAULTS: 19
    lab = Lab.open(warehouse)
    lab.write(conformed(USERS, {"_id": [1]}, changes=CREATE))
    database = sql.Identifier(urlsplit(warehouse).path[1:])
    lab.connection.execute(sql.SQL("alter database {} set default_transaction_read_only = on").format(database))
    lab.destination.close()
    for act in (lab.destination.check, lambda: lab.write(conformed(USERS, {"_id": [2]}))):
        with pytest.raises(TransientError, match="takes no writes"):
            act()
    lab.connection.execute("set default_transaction_read_only = off")
    lab.connection.execute(sql.SQL("alter database {} reset default_transaction_read_only").format(database))
    lab.destination.close()
    lab.write(conformed(USERS, {"_id": [2]}))
    lab.close()


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_another_encoding_is_refused(warehouse: str, encoding: str) -> None:
    name = f"{urlsplit(warehouse).path[1:]}_other"
    run(warehouse, f"create database {name} encoding '{encoding}' template template0")
    try:
        destination = PostgresDestination(options(warehouse.rsplit("/", 1)[0] + f"/{name}"))
        with pytest.raises(OperatorError, match="not encoded in UTF8"):
            destination.check()
    finally:
        run(warehouse, f"drop database {name} with (force)")


def test_foreign_and_later_metadata_are_refused(warehouse: str) -> None:
    destination = PostgresDestination(options(warehouse))
    run(warehouse, "create schema cartridge_warp_metadata create table mine (x integer)")
    with pytest.raises(OperatorError, match="did not make"):
        destination.prepare()
    run(warehouse, "drop table cartridge_warp_metadata.mine")
    destination.prepare()
    run(warehouse, "insert into cartridge_warp_metadata.metadata_version values (99)")
    with pytest.raises(OperatorError, match="later version"):
        destination.prepare()
    destination.close()


def test_foreign_metadata_is_refused_also_by_those_who_only_read(warehouse: str) -> None:
    destination = PostgresDestination(options(warehouse))
    run(warehouse, "create schema cartridge_warp_metadata create table metadata_version (x integer)")
    for act in (destination.prepare, destination.check, lambda: destination.table_states("shop")):
        with pytest.raises(OperatorError, match="did not make"):
            act()
    destination.close()


def test_parallel_starts_make_the_metadata_once(warehouse: str) -> None:
    failures: list[BaseException] = []

    def start() -> None:
        destination = PostgresDestination(options(warehouse))
        try:
            destination.prepare()
        except BaseException as error:  # noqa: BLE001
            failures.append(error)
        finally:
            destination.close()

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with psycopg.connect(warehouse) as connection:
        found = connection.execute("select version from cartridge_warp_metadata.metadata_version").fetchall()
    assert found == [(number,) for number, _ in enumerate(migrations.MIGRATIONS, 1)]


def test_metadata_of_the_first_version_is_migrated(warehouse: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # FAULTS: 30
    with monkeypatch.context() as before:
        before.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:1])
        PostgresDestination(options(warehouse)).prepare()
    run(
        warehouse,
        "insert into cartridge_warp_metadata.generations"
        " (schema_name, table_name, generation, first_sequence, is_whole, is_straight)"
        " values ('shop', 'users', 'load-1', 0, true, true)",
        "insert into cartridge_warp_metadata.slices (schema_name, table_name, generation, slice, ordinal)"
        " values ('shop', 'users', 'load-1', 'slice-00', 0)",
    )
    destination = PostgresDestination(options(warehouse))
    assert destination.statistics("shop") == [], "what only reads has no need of the latest version"
    destination.prepare()
    [opened] = destination.generations("shop")
    assert (opened.generation, opened.ceiling) == ("load-1", None)
    destination.close()


def test_a_store_of_leases_of_an_earlier_version_is_migrated_by_who_takes_one(
    warehouse: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # FAULTS: 30
    with monkeypatch.context() as before:
        before.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:5])
        PostgresDestination(options(warehouse)).prepare()
    store = PostgresStateStore(options(warehouse))
    assert (store.lease_holder("stream:shop"), store.noted("stream:shop")) == (None, None)
    lease = store.take_lease("stream:shop", Holder("here", 1, 1.0, "me"), timedelta(minutes=1))
    store.note(lease, "noted")
    assert store.noted("stream:shop") == "noted"
    store.close()


# SPEC: T1, T2, T3, T4, T5, T6, T9
CONTRACT = {
    "sync_markers": "schema_name table_name marker_type slice position sequence epoch updated_at",
    "schema_registry": "schema_name table_name version columns changes applied_at run_id",
    "sync_runs": "run_id schema_name table_name mode status started_at finished_at rows_written rows_deleted"
    " rows_rejected bytes_transferred start_position end_position error",
    "error_log": "error_id occurred_at schema_name table_name column_name error_type severity primary_key message"
    " action run_id",
    "dead_letters": "dead_letter_id occurred_at schema_name table_name primary_key operation position reason"
    " column_name record status attempts resolved_at sequence encoding",
    "deletion_log": "schema_name table_name primary_key deleted_at position strategy",
    "leases": "",
    "slices": "",
    "tombstones": "",
    "name_map": "",
}


def test_the_metadata_has_the_columns_of_the_contract(warehouse: str) -> None:
    destination = PostgresDestination(options(warehouse))
    destination.prepare()
    destination.close()
    with psycopg.connect(warehouse) as connection:
        rows = connection.execute(
            "select table_name, column_name from information_schema.columns"
            " where table_schema = 'cartridge_warp_metadata'"
        ).fetchall()
    found: dict[str, set[str]] = {}
    for table, name in rows:
        found.setdefault(table, set()).add(name)
    for table, names in CONTRACT.items():
        assert found[table] >= set(names.split()), table


def test_a_state_store_makes_its_tables_and_survives_a_cut(warehouse: str) -> None:
    store, other = PostgresStateStore(options(warehouse)), PostgresStateStore(options(warehouse))
    away = Holder("elsewhere", 1, 1.0, "drainer")
    lease = store.take_lease("stream:shop", away, LONG)
    with psycopg.connect(warehouse, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid, 10000) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'"
        )
    with pytest.raises(TransientError):
        store.renew_leases([lease], LONG)
    assert store.renew_leases([lease], LONG) == [lease]
    with pytest.raises(LeaseHeld, match=r"process 1 on elsewhere \(drainer\)"):
        other.take_lease("stream:shop", Holder("here", 2, 2.0), LONG)
    store.close()
    other.close()


def test_a_state_store_outlives_a_database_that_is_made_anew(warehouse: str) -> None:
    """A sensor keeps its store for as long as its process lives, and nobody else makes the tables for it."""
    # SPEC: T8  FAULTS: 18
    store = PostgresStateStore(options(warehouse))
    store.set_mandate("shop", LONG)
    run(warehouse, "drop schema cartridge_warp_metadata cascade")
    with pytest.raises(OperatorError):
        store.set_mandate("shop", LONG)
    store.set_mandate("shop", LONG)
    assert store.has_mandate("shop")
    store.close()
