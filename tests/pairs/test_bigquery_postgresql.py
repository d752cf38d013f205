"""BigQuery to PostgreSQL, run as a user runs it: batch by marker and by hash, every type, crashes in between."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from google.cloud.bigquery import Row

from tests.fixtures.servers import BigQueryProject
from tests.pairs.oracle import rows as stored_rows
from tests.pairs.process import Command
from tests.type_tables.bigquery_types import BIGQUERY_TYPES
from warp_resources import WarpConfig, WarpRunner
from warp_resources.connectors.bigquery.options import BigQueryOptions
from warp_resources.connectors.bigquery.session import Session
from warp_resources.errors import WarpError
from warp_resources.pipeline.batch import sync_window
from warp_resources.pipeline.dry_run import plan_unit
from warp_resources.pipeline.engine import open_engine, units
from warp_resources.pipeline.options import open_destination, open_source
from warp_resources.pipeline.snapshot import first_load, read_generation

pytestmark = pytest.mark.servers

_COLUMNS = "select column_name, data_type from information_schema.columns where table_name = 'things'"
_LETTERS = """
select primary_key, column_name, reason from cartridge_warp_metadata.dead_letters where status = 'pending'
"""
_FILL = """
insert into shop.users (id, name, price, at, nested, tags, updated_at)
select n, format('user %d', n), numeric '1.10' * n,
  timestamp_add(timestamp '2024-01-01 00:00:00+00', interval n second),
  struct(n as deep, [numeric '0.50', cast(n as numeric)] as list), ['a', cast(n as string)],
  timestamp_add(timestamp '2024-01-01 00:00:00+00', interval n second)
from unnest(generate_array(@first, @last)) as n
"""


class Shop:
    """A dataset with one table, and a warehouse that it is replicated into."""

    def __init__(self, project: BigQueryProject, warehouse: str) -> None:
        self.session = Session(BigQueryOptions(**project.endpoints))  # type: ignore[arg-type]
        self.warehouse = warehouse
        self.source = {**project.options, "database": "shop"}
        self.run("create schema shop")

    def make_users(self, rows: int) -> None:
        self.run(
            "create table shop.users (id int64, name string, price numeric, at timestamp, "
            "nested struct<deep int64, list array<numeric>>, tags array<string>, updated_at timestamp, "
            "primary key (id) not enforced) partition by date(updated_at) cluster by id"
        )
        self.fill(1, rows)

    def fill(self, first: int, last: int) -> None:
        self.run(_FILL.replace("@first", str(first)).replace("@last", str(last)))

    def run(self, script: str) -> list[Any]:
        return self.session.run(script)

    def config(self, **schema: Any) -> WarpConfig:
        return WarpConfig.model_validate(
            {
                "source": self.source,
                "destination": {"type": "postgresql", "connection_string": self.warehouse},
                "schemas": [{"name": "shop", "mode": "batch", **schema}],
                "monitoring": {"prometheus": {"enabled": False}},
            }
        )

    def once(self, **schema: Any) -> None:
        WarpRunner(self.config(**schema)).run_once()

    def differences(self, table: str = "users") -> list[str]:
        """What differs, value by value, from what the service lists without a query."""
        stored = {row["id"]: row for row in stored_rows(self.warehouse, "shop", table)}
        found = []
        for row in self.listed(table):
            mine = stored.pop(row["id"], None)
            if mine is None:
                found.append(f"{row['id']} is missing")
                continue
            found += [
                f"{row['id']}.{name}: {value!r} is {mine.get(name)!r}"
                for name, value in row.items()
                if not same(value, mine.get(name))
            ]
        return [*found, *(f"{key} is too many" for key in stored)][:10]

    def listed(self, table: str) -> list[Row]:
        return self.session.rows(f"{self.session.project}.shop.{table}")

    def sequences(self) -> dict[int, int]:
        with psycopg.connect(self.warehouse) as connection:
            return dict(connection.execute("select id, _warp_sequence from shop.users").fetchall())


def same(value: Any, stored: Any) -> bool:
    match value:
        case float():
            return isinstance(stored, float) and (stored == value or (math.isnan(stored) and math.isnan(value)))
        case dict() | list():
            return bool(json.loads(_json(value), parse_int=Decimal, parse_float=Decimal) == stored)
    return type(value) is type(stored) and bool(value == stored)


def _json(value: Any) -> str:
    """JSON that keeps decimals as numbers."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{_json(part)}" for name, part in value.items()) + "}"
    return f"[{','.join(map(_json, value))}]" if isinstance(value, list) else json.dumps(value)


@pytest.fixture
def shop(bigquery: BigQueryProject, warehouse: str) -> Iterator[Shop]:
    made = Shop(bigquery, warehouse)
    yield made
    made.session.close()


def test_every_type_arrives_as_documented(shop: Shop) -> None:
    # SPEC: E1 E2 E8 E9
    columns = [f"v{number}" for number in range(len(BIGQUERY_TYPES))]
    listed = ", ".join(f"{name} {row.name}" for name, row in zip(columns, BIGQUERY_TYPES, strict=True))
    shop.run(f"create table shop.things (id int64, {listed}, primary key (id) not enforced)")
    for key in range(max(len(row.samples) for row in BIGQUERY_TYPES)):
        typed = [(name, row) for name, row in zip(columns, BIGQUERY_TYPES, strict=True) if key < len(row.samples)]
        here = {name: row.samples[key] for name, row in typed}
        values = ", ".join(sample.value for sample in here.values())
        shop.run(f"insert into shop.things (id, {', '.join(here)}) values ({key}, {values})")
    shop.once(change_detection={"strategy": "hash"})
    with psycopg.connect(shop.warehouse, options="-c timezone=UTC") as connection:
        types = dict(connection.execute(_COLUMNS).fetchall())
        texts = ", ".join(f"{name}::text" for name in columns)
        found = {row[0]: row[1:] for row in connection.execute(f"select id, {texts} from shop.things").fetchall()}  # type: ignore[arg-type]
        letters = {(json.loads(key)["id"], name): why for key, name, why in connection.execute(_LETTERS).fetchall()}
    for number, row in enumerate(BIGQUERY_TYPES):
        assert types[columns[number]] == row.column, row.name
        for key, sample in enumerate(row.samples):
            assert found[key][number] == sample.stored, (row.name, sample.shown)
            assert letters.get((key, columns[number])) == sample.lost, (row.name, sample.shown)


def test_ticks_bring_what_is_new_by_the_marker(shop: Shop) -> None:
    # SPEC: M1 M2 E4 D7 M5
    shop.make_users(3000)
    shop.once(full_load_batch_size=700)
    assert shop.differences() == []
    before = shop.sequences()
    shop.once()
    assert shop.sequences() == before, "a tick without news writes nothing"

    shop.fill(3001, 3010)
    shop.run("alter table shop.users add column level int64")
    shop.run("update shop.users set level = id, updated_at = timestamp '2024-02-01 00:00:00+00' where id in (5, 6, 7)")
    shop.run("insert into shop.users (id, name) values (0, 'without a marker')")
    shop.once()
    assert shop.differences() == []
    changed = shop.sequences().items() - before.items()
    assert {key for key, _ in changed} == {0, 5, 6, 7, *range(3001, 3011)}

    shop.run("delete from shop.users where id = 7")
    shop.run("update shop.users set name = 'found by a resync' where id = 8")
    shop.once()
    assert shop.differences() != [], "neither deletes nor unmarked updates are seen by a marker"
    WarpRunner(shop.config()).run_once(full_resync=True)
    assert shop.differences() == []


def test_a_marker_without_a_zone_is_a_local_time(shop: Shop) -> None:
    # SPEC: M2 D7 C1
    shop.run("create table shop.users (id int64, changed datetime, day date, primary key (id) not enforced)")
    berlin = {"column": "changed", "timezone": "Europe/Berlin", "lookback": "0s"}
    shop.run("insert into shop.users values (1, datetime '2024-10-27 02:50:00', date '2024-10-27')")
    shop.once(change_detection=berlin)
    # Clocks show that hour again.
    shop.run("insert into shop.users values (2, datetime '2024-10-27 02:10:00', date '2024-10-27')")
    shop.once(change_detection=berlin)
    # Half past four in Berlin is half past ten in New York; to read it as such makes the marker go back.
    shop.run("insert into shop.users values (3, datetime '2024-10-27 04:30:00', date '2024-10-27')")
    shop.once(change_detection={**berlin, "timezone": "America/New_York"})
    shop.run("insert into shop.users values (4, datetime '2024-10-27 04:31:00', date '2024-10-28')")
    shop.once(change_detection={**berlin, "timezone": "UTC"})
    assert shop.differences() == []
    shop.run("insert into shop.users values (5, datetime '2024-10-28 00:30:00', date '2024-10-27')")
    config = shop.config(change_detection={**berlin, "column": "day"})
    with open_engine(units(config, "shop")[0], threading.Event()) as engine:
        day = datetime(2024, 10, 26, 22, tzinfo=UTC), datetime(2024, 10, 27, 23, tzinfo=UTC)
        assert sync_window(engine, "users", *day).rows_written == 1
    assert shop.differences() == []


def test_hash_finds_updates_and_deletes_without_a_marker(shop: Shop) -> None:
    # SPEC: X4 X1 E4
    shop.make_users(1500)
    by_hash = {"change_detection": {"strategy": "hash"}, "full_load_batch_size": 400}
    shop.once(**by_hash)
    before = shop.sequences()
    shop.once(**by_hash)
    assert shop.sequences() == before
    shop.run("update shop.users set price = price + numeric '0.01' where id = 3")
    shop.run("delete from shop.users where id in (5, 1500)")
    shop.run("alter table shop.users add column note json")
    shop.run("insert into shop.users (id, note) values (9999, json '[1]')")
    shop.once(**by_hash)
    stored = {row["id"]: row for row in stored_rows(shop.warehouse, "shop", "users")}
    assert stored[9999].pop("note") == [1]
    assert stored.keys() == {row["id"] for row in shop.listed("users")}
    assert {key for key, _ in shop.sequences().items() - before.items()} == {3, 9999}
    with psycopg.connect(shop.warehouse) as connection:
        logged = connection.execute("select cause from cartridge_warp_metadata.deletion_log").fetchall()
    assert logged == [("hash",), ("hash",)]


def test_a_table_whose_snapshots_expire_stops_alone(shop: Shop) -> None:
    # SPEC: T5 M5
    for table in ("large", "users"):
        shop.run(f"create table shop.{table} (id int64, primary key (id) not enforced)")
        shop.run(f"insert into shop.{table} select n from unnest(generate_array(1, 20)) as n")
    by_hash = {"change_detection": {"strategy": "hash"}, "full_load_batch_size": 5}
    config = shop.config(**by_hash)
    with open_engine(units(config, "shop")[0], threading.Event()) as engine:
        engine.destination.seize_table(engine.table("large"), "batch")
        next(read_generation(engine, first_load(engine, engine.table("large"))))
    gone = json.dumps({"stream": "projects/p/locations/us/sessions/gone/streams/0", "offset": 5, "expired": 1})
    with psycopg.connect(shop.warehouse) as connection:
        connection.execute("update cartridge_warp_metadata.slices set resume = %s", [gone])
    with pytest.raises(WarpError, match=r"Cluster the table by id.*table=shop\.large"):
        shop.once(**by_hash)
    assert shop.differences("users") == []
    # As a user clusters a table that has rows.
    rows = "select n as id from unnest(generate_array(1, 2500)) as n"
    shop.run(f"create or replace table shop.large cluster by id as {rows}")
    shop.once(**by_hash, tables={"large": {"primary_key": ["id"], "full_load_batch_size": 1000}})
    assert shop.differences("large") == []


def test_a_plan_does_not_pay_for_a_view(shop: Shop) -> None:
    # SPEC: CLI1
    shop.make_users(3)
    shop.run("create view shop.names as select id, name from shop.users")
    config = shop.config(tables={"names": {"primary_key": ["id"]}})
    unit, source = units(config, "shop")[0], open_source(config)
    ran = list(shop.session.client.list_jobs())
    with closing(source), closing(open_destination(config)) as destination:
        view, table = plan_unit(unit, source, destination)
    assert (view.table.name, view.is_query, view.sampled) == ("names", True, 0)
    assert (table.table.name, table.is_query, table.sampled) == ("users", False, 3)
    assert len(list(shop.session.client.list_jobs())) == len(ran)


def test_a_load_that_is_killed_goes_on_where_it_was(tmp_path: Path, shop: Shop) -> None:
    # SPEC: T7 M5
    shop.make_users(2000)
    command = Command(
        tmp_path,
        "bigquery://" + shop.session.project,
        shop.warehouse,
        "shop",
        top={"source": shop.source},
        mode="batch",
        full_load_batch_size=500,
    )
    process = command.start("run", "--once", failpoints="chunk.written=kill@2")
    assert process.wait(60) != 0
    assert 0 < len(shop.sequences()) < 2000
    first = shop.sequences()
    command.once()
    assert shop.differences() == []
    assert first.items() <= shop.sequences().items(), "what was written before is not read again"
