"""What begins while something else ends, in PostgreSQL, where the one transaction does not see the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from pydantic import SecretStr

from tests.contract.postgresql_lab import CREATE, Lab, column, conformed, opened, schema_of
from warp_resources.connectors.postgresql import covering, generations
from warp_resources.connectors.postgresql.markers import LockedRow, lock_tables
from warp_resources.connectors.postgresql.opening import open_reading
from warp_resources.connectors.postgresql.options import PostgresOptions
from warp_resources.connectors.postgresql.session import Connection, Session
from warp_resources.errors import FencedOut
from warp_resources.model.positions import ChunkCommit, KeyRange
from warp_resources.model.tables import Kind, TableId

pytestmark = pytest.mark.servers

USERS = schema_of(column("_id", Kind.INT64), column("name", Kind.TEXT))
TABLE = USERS.table


@pytest.fixture
def lab(warehouse: str) -> Iterator[Lab]:
    yield from opened(warehouse)


# SPEC: M5 T8  FAULTS: 2, 11
def test_a_claim_that_outlives_its_reading_revives_no_deleted_row(lab: Lab) -> None:
    row: dict[str, list[object]] = {"_id": [1], "name": ["a"]}
    lab.write(conformed(USERS, row, changes=CREATE))
    lab.destination.save_plan(TABLE, [KeyRange()])
    lab.destination.open_generation(TABLE, "resync-1")
    beside = Session(PostgresOptions(connection_string=SecretStr(lab.uri)))
    try:
        with beside.transaction() as connection:
            epoch, _ = generations.seize_slice(connection, TABLE, "resync-1", "slice-00")
            lab.destination.abandon_generation(TABLE, "resync-1", "it is not wanted any more")
    finally:
        beside.close()
    basis = lab.destination.chunk_basis(TABLE).sequence
    # Nobody reads the table, so that its delete leaves no tombstone.
    lab.write(conformed(USERS, deletes=[1]))
    late = ChunkCommit(TABLE, "resync-1", "slice-00", epoch, basis, None, True)
    with pytest.raises(FencedOut):
        lab.commit(conformed(USERS, row), late)
    assert lab.rows(USERS) == []


# SPEC: R4 M5  FAULTS: 6
def test_a_reading_that_opens_while_the_stream_starts_anew_ends_with_those_before(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.write(conformed(USERS, {"_id": [1], "name": ["a"]}, changes=CREATE))
    lab.destination.save_plan(TABLE, [KeyRange()])
    beside = Session(PostgresOptions(connection_string=SecretStr(lab.uri)))

    def late(connection: Connection, tables: Sequence[TableId], mode: str) -> dict[TableId, LockedRow]:
        with beside.transaction() as other:
            open_reading(other, TABLE, "resync-1")
        return lock_tables(connection, tables, mode)

    monkeypatch.setattr(covering, "lock_tables", late)
    try:
        lab.destination.start_stream("shop", {"at": 9}, [TABLE], generation="history-1")
    finally:
        beside.close()
    assert [its.generation for its in lab.destination.generations("shop")] == ["history-1"]
