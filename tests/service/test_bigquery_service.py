"""What only the real BigQuery can tell; on the emulator, too, so that the tests themselves are seen to work."""

from __future__ import annotations

import io
import os
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.api_core import exceptions as api
from google.cloud import bigquery as client

from tests.contract.conformed import TEXT, batch, changed, creation, first_schema, moved, part
from warp_resources.connectors.bigquery.catalog import Catalog
from warp_resources.connectors.bigquery.destination import BigQueryDestination
from warp_resources.connectors.bigquery.errors import Collision
from warp_resources.connectors.bigquery.marked import marked_query
from warp_resources.connectors.bigquery.options import BigQueryDestinationOptions
from warp_resources.connectors.bigquery.session import Session, quoted
from warp_resources.connectors.interfaces import MarkedRange, SourceScope
from warp_resources.errors import FencedOut
from warp_resources.model.positions import StreamState
from warp_resources.model.tables import ChangeKind, Column, ColumnType, Kind, SchemaChange, TableId

PROJECT = os.environ.get("CARTRIDGE_WARP_BIGQUERY_PROJECT")
COST = "about 150 jobs, 3 GB billed at the least of 10 MB per table: some 2 US cents on demand; takes 5 minutes"


@dataclass(frozen=True)
class Place:
    """Datasets of this test alone: ``schema`` is the tables' own."""

    destination: BigQueryDestination
    session: Session
    schema: str
    is_service: bool

    @property
    def users(self) -> TableId:
        return TableId(self.schema, "users")

    @property
    def table(self) -> str:
        return quoted(self.session.project, self.schema, "users")

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in self.session.run(statement)]


@pytest.fixture(
    params=[
        pytest.param("emulator", marks=pytest.mark.servers),
        pytest.param(
            "service",
            marks=[
                pytest.mark.skipif(not PROJECT, reason="CARTRIDGE_WARP_BIGQUERY_PROJECT names no project"),
                pytest.mark.timeout(900),
            ],
        ),
    ]
)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    suffix = uuid.uuid4().hex[:10]
    schema = f"warp_test_{suffix}"
    options: dict[str, Any] = {"project": PROJECT}
    if request.param == "emulator":
        options = request.getfixturevalue("bigquery").endpoints
    else:
        sys.stderr.write(f"\nBigQuery project {PROJECT}: {COST}\n")
    options |= {"metadata_dataset": f"{schema}_metadata", "staging_dataset": f"{schema}_staging"}
    options |= {"state_file": str(tmp_path / "state.sqlite")}
    destination = BigQueryDestination(BigQueryDestinationOptions(**options))
    destination.prepare()
    session = Session(BigQueryDestinationOptions(**options))
    yield Place(destination, session, schema, request.param == "service")
    destination.close()
    for name in (schema, f"{schema}_metadata", f"{schema}_staging"):
        with suppress(api.NotFound):
            session.client.delete_dataset(name, delete_contents=True)
    session.close()


def started(place: Place) -> StreamState:
    state = place.destination.start_stream(place.schema, {"at": 1})
    state = replace(state, sequence=place.destination.admit(moved(place.schema, state), [place.users], []))
    made = part(first_schema(place.users), changes=creation())
    receipt = place.destination.write(batch(moved(place.schema, state), made))
    return replace(state, sequence=receipt.stream_sequence or 0)


# SPEC: M1, T7, T8
def test_rows_and_marker_are_one_unit_and_a_late_writer_commits_nothing(place: Place) -> None:
    state, v1 = started(place), first_schema(place.users)
    late = moved(place.schema, state, {"at": 9})
    rows = [{"id": number, "name": f"n{number}"} for number in range(100)]
    receipt = place.destination.write(batch(moved(place.schema, state, {"at": 2}), part(v1, rows)))
    assert receipt.tables[place.users].rows_written == 100
    with pytest.raises(FencedOut):
        place.destination.write(batch(late, part(v1, [{"id": 1, "name": "late"}])))
    state = replace(state, sequence=receipt.stream_sequence or 0)
    receipt = place.destination.write(batch(moved(place.schema, state, {"at": 3}), part(v1, [], [1, 2, 1000])))
    assert receipt.tables[place.users].rows_deleted == 2
    assert place.query(f"select count(*), countif(name = 'late') from {place.table}") == [(98, 0)]
    found = place.destination.stream_state(place.schema)
    assert found is not None
    assert found.position == {"at": 3}


# SPEC: E3, E8
def test_a_column_becomes_text_in_one_step_and_keeps_every_value(place: Place) -> None:
    state = started(place)
    number = Column("n", "n", ColumnType(Kind.DOUBLE))
    addition = SchemaChange(ChangeKind.ADD_COLUMN, after=number)
    v2 = changed(first_schema(place.users), addition)
    values = [0.1, -0.0, 1e21, 5e-324, 1.7976931348623157e308, 3.0]
    rows = [{"id": at, "n": value} for at, value in enumerate(values)]
    receipt = place.destination.write(batch(moved(place.schema, state), part(v2, rows, changes=(addition,))))
    state = replace(state, sequence=receipt.stream_sequence or 0)
    change = SchemaChange(ChangeKind.ALTER_TYPE, after=replace(number, type=TEXT), before=number)
    place.destination.write(batch(moved(place.schema, state), part(changed(v2, change), changes=(change,))))
    texts = [text for _, text in place.query(f"select id, n from {place.table} order by id")]
    assert texts == ["0.1", "-0", "1e+21", "5e-324", "1.7976931348623157e+308", "3"]


# SPEC: T7
def test_two_transactions_on_one_table_cannot_both_commit(place: Place) -> None:
    place.session.run(f"create schema if not exists {quoted(place.session.project, place.schema)}")
    place.session.run(f"create table {place.table} as select 1 as id, 0 as n")
    outcomes: list[str] = []

    def add() -> None:
        session = Session(place.destination._options)
        try:
            session.run(f"begin transaction; update {place.table} set n = n + 1 where id = 1; commit transaction;")
            outcomes.append("committed")
        except Collision:
            outcomes.append("collided")
        finally:
            session.close()

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 4
    assert place.query(f"select n from {place.table}") == [(outcomes.count("committed"),)]


# SPEC: T7
def test_the_same_load_job_loads_once(place: Place) -> None:
    content = io.BytesIO()
    pq.write_table(pa.table({"id": [1, 2, 3]}), content)
    table = f"{place.session.project}.{place.schema}_staging.once"
    fields = [client.SchemaField("id", "INT64")]
    name = f"cartridge_warp_{uuid.uuid4().hex}"
    for _ in range(2):
        assert place.session.load(lambda: io.BytesIO(content.getvalue()), table, fields, name) == 3
    assert place.query(f"select count(*) from {quoted(*table.split('.'))}") == [(3,)]


# SPEC: M2
def test_a_tick_of_a_partitioned_table_reads_its_last_partition_only(place: Place) -> None:
    place.session.run(f"create schema if not exists {quoted(place.session.project, place.schema)}")
    place.session.run(
        f"create table {place.table} partition by date(updated_at) as select n as id,"
        f" timestamp_add(timestamp '2024-01-01', interval n day) as updated_at from unnest(generate_array(1, 100)) as n"
    )
    scope = SourceScope("shop", place.schema, keys=(("*", ("id",)),))
    origin = Catalog(place.session).origin(scope, place.users.name)
    assert origin is not None
    assert origin.partitioned_by == "updated_at"

    def read(since: datetime | None) -> int:
        return place.session.query_bytes(*marked_query(origin, MarkedRange("updated_at", since, None)))

    tick, whole = read(datetime(2024, 4, 9, tzinfo=UTC)), read(None)
    if not place.is_service:
        pytest.skip("the emulator does not tell what a query would read")
    assert tick * 10 < whole
