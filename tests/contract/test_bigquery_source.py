"""What the BigQuery source owes beyond the contract: typed keys, views, snapshots that expire, marker types."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from structlog.testing import capture_logs

from tests.contract.bigquery_source_lab import BigQuerySourceLab
from tests.contract.test_source_contract import deletes_of, rows_of
from tests.contract.test_source_restore import content
from tests.type_tables.bigquery_types import BIGQUERY_TYPES
from warp_resources.arrow.keys import compound, key_object, key_text
from warp_resources.connectors.bigquery.storage import Storage, StreamExpired
from warp_resources.connectors.interfaces import MarkedRange, ReadLimits, Source, SourceScope, SourceTable
from warp_resources.errors import OperatorError, TableFailure
from warp_resources.model.batches import TableBatch
from warp_resources.model.positions import KeyRange

pytestmark = pytest.mark.servers

LIMITS = ReadLimits(None, 2**24)
KEYS = {
    "STRING": r"format('k\"%05d\'\\', n)",
    "TIMESTAMP": "timestamp_add(timestamp '1969-12-31 23:00:00.000001+00', interval n second)",
}


def all_of(source: Source, scope: SourceScope, table: str, part: KeyRange, limits: ReadLimits) -> Iterator[TableBatch]:
    resume, is_last = None, False
    while not is_last:
        chunk = source.read_chunk(scope, table, part, resume, limits, None)
        resume, is_last = chunk.resume, chunk.is_last
        yield chunk.batch


def whole(source: Source, scope: SourceScope, table: str) -> TableBatch:
    return source.read_chunk(scope, table, KeyRange(), None, LIMITS, None).batch


# SPEC: M5 E11
@pytest.mark.parametrize("its", KEYS)
def test_a_table_that_is_clustered_by_its_key_is_read_in_slices(bigquery_lab: BigQuerySourceLab, its: str) -> None:
    bigquery_lab.make_table("big", "cluster by _id", _id=its, n="INT64")
    name = bigquery_lab.sql("big")
    bigquery_lab.run(f"insert into {name} select {KEYS[its]}, n from unnest(generate_array(1, 4000)) as n")
    bigquery_lab.run(f"insert into {name} (n) values (0)")
    source, scope = bigquery_lab.open(), bigquery_lab.scope()
    plan = source.plan(scope, "big", 4)
    assert len(plan) == 4
    assert (plan[0].lower, plan[-1].upper) == (None, None)
    assert [part.lower for part in plan[1:]] == [part.upper for part in plan[:-1]]
    slices = [all_of(source, scope, "big", part, LIMITS) for part in plan]
    parts = [[row["n"] for batch in batches for row in rows_of(batch)] for batches in slices]
    assert sorted(n for part in parts for n in part) == [*range(4001)]
    assert all(len(part) > 500 for part in parts)

    read = whole(source, scope, "big")
    [key] = [raw for raw in read.columns if raw.name == "_id"]
    texts = compound([key_text(key.variants[0])])
    spelled = [key_object(("_id",), texts[row].as_py()) for row in range(read.row_count) if texts[row].is_valid]
    bigquery_lab.run(f"delete from {name} where n > 3997")
    found = source.read_keys(scope, "big", spelled[:50] + spelled[-50:], None)
    assert (found.row_count, found.delete_count) == (97, 3)
    kept = [read.original(row).primary_key for row in range(20) if texts[row].is_valid]
    assert source.read_keys(scope, "big", kept, None).row_count == len(kept)


def test_a_table_that_is_not_clustered_by_its_key_is_one_slice(bigquery_lab: BigQuerySourceLab) -> None:
    bigquery_lab.make_table("big", _id="INT64")
    bigquery_lab.run(f"insert into {bigquery_lab.sql('big')} select n from unnest(generate_array(1, 4000)) as n")
    assert bigquery_lab.open().plan(bigquery_lab.scope(), "big", 4) == [KeyRange()]


# SPEC: M5 E3
def test_slices_that_were_planned_for_keys_of_another_type_still_hold_every_row(
    bigquery_lab: BigQuerySourceLab,
) -> None:
    bigquery_lab.put("users", *({"_id": number} for number in range(40)))
    source, scope = bigquery_lab.open(), bigquery_lab.scope()
    bounds = [None, "10", '"x"', '"y"', None]
    counts = [
        sum(batch.row_count for batch in all_of(source, scope, "users", KeyRange(lower, upper), LIMITS))
        for lower, upper in pairwise(bounds)
    ]
    assert counts == [10, 30, 0, 0]


# SPEC: E11
def test_keys_of_several_columns_find_their_rows(bigquery_lab: BigQuerySourceLab) -> None:
    name = bigquery_lab.sql("lines")
    bigquery_lab.run(f"create table {name} (shop string, no numeric, n int64, primary key (shop, no) not enforced)")
    bigquery_lab.run(f"insert into {name} values ('a', 1.5, 1), ('a', 2, 2), ('b', 1.5, 3)")
    source, scope = bigquery_lab.open(), replace(bigquery_lab.scope(), keys=())
    assert source.key(scope, "lines") == ("shop", "no")
    keys = ['{"shop": "a", "no": 1.5}', '{"shop": "b", "no": 2}', '{"shop": "b", "no": {"$numeric": "1.5"}}']
    found = source.read_keys(scope, "lines", keys, None)
    assert sorted(row["n"] for row in rows_of(found)) == [1, 3]
    assert [raw.variants[0].values.to_pylist() for raw in found.deletes] == [["b"], ["2"]]


# SPEC: E11 X4
def test_keys_that_one_request_has_no_room_for_are_asked_for_in_several(bigquery_lab: BigQuerySourceLab) -> None:
    name = bigquery_lab.sql("long")
    bigquery_lab.run(
        f"create table {name} (shop string, no int64, n int64, primary key (shop, no) not enforced) cluster by shop"
    )
    bigquery_lab.run(f"insert into {name} select repeat('x', 60000), n, n from unnest(generate_array(1, 90)) as n")
    source, scope = bigquery_lab.open(), replace(bigquery_lab.scope(), keys=())
    keys = [json.dumps({"shop": "x" * 60_000, "no": number}) for number in range(1, 101)]
    with capture_logs() as logs:
        found = source.read_keys(scope, "long", keys, None)
    assert {row["n"] for row in rows_of(found)} == {*range(1, 91)}
    assert found.delete_count == 10
    told = [entry for entry in logs if entry["event"] == "look-up estimated"]
    assert [(entry["queries"], entry["pruned_by"]) for entry in told] == [(2, "nothing")] * 2


def test_a_table_without_a_key_says_what_to_do(bigquery_lab: BigQuerySourceLab) -> None:
    bigquery_lab.run(f"create table {bigquery_lab.sql('keyless')} (a int64)")
    source, scope = bigquery_lab.open(), replace(bigquery_lab.scope(), keys=())
    assert source.key(scope, "keyless") is None
    with pytest.raises(TableFailure, match="Set primary_key"):
        whole(source, scope, "keyless")
    with pytest.raises(TableFailure, match="no column 'b'"):
        whole(source, replace(scope, keys=(("keyless", ("b",)),)), "keyless")


def test_a_view_is_read_by_the_key_that_the_user_names(bigquery_lab: BigQuerySourceLab) -> None:
    bigquery_lab.put("users", *({"_id": number, "name": f"n{number}"} for number in range(30)))
    view = bigquery_lab.sql("adults")
    bigquery_lab.run(f"create view {view} as select _id as who, name from {bigquery_lab.sql('users')} where _id >= 18")
    source, scope = bigquery_lab.open(), replace(bigquery_lab.scope("adults"), keys=(("adults", ("who",)),))
    assert source.tables(scope) == [SourceTable("adults", 0, 0, is_query=True)]
    assert source.plan(scope, "adults", 8) == [KeyRange()]
    batches = list(all_of(source, scope, "adults", KeyRange(), ReadLimits(5, 2**24)))
    assert max(batch.row_count for batch in batches) <= 5
    assert {row["who"] for batch in batches for row in rows_of(batch)} == {*range(18, 30)}


# SPEC: R2 E7
def test_of_rows_with_the_same_key_one_is_kept_and_the_others_are_flaws(bigquery_lab: BigQuerySourceLab) -> None:
    bigquery_lab.make_table("twice", _id="INT64", n="INT64")
    bigquery_lab.run(f"insert into {bigquery_lab.sql('twice')} values (1, 1), (2, 2), (1, 3), (1, 4)")
    read = whole(bigquery_lab.open(), bigquery_lab.scope(), "twice")
    assert {row["_id"] for row in rows_of(read)} == {1, 2}
    assert [(flaw.reason, flaw.column, flaw.key_text) for flaw in read.flaws] == [("duplicate_key", None, "1")] * 2
    kept = {row["n"] for row in rows_of(read)} | {json.loads(flaw.original.record)["n"] for flaw in read.flaws}
    assert kept == {1, 2, 3, 4}


# SPEC: M5
def test_another_process_goes_on_in_the_middle_of_a_slice(bigquery_lab: BigQuerySourceLab) -> None:
    bigquery_lab.put("users", *({"_id": number} for number in range(40)))
    scope, limits = bigquery_lab.scope(), ReadLimits(15, 2**24)
    first = bigquery_lab.open().read_chunk(scope, "users", KeyRange(), None, limits, None)
    second = bigquery_lab.open().read_chunk(scope, "users", KeyRange(), first.resume, LIMITS, None)
    assert (first.batch.row_count, second.batch.row_count, second.is_last) == (15, 25, True)
    ids = {row["_id"] for chunk in (first, second) for row in rows_of(chunk.batch)}
    assert ids == set(range(40))


# SPEC: M5 T5
def test_a_slice_whose_snapshot_expires_begins_anew_but_not_for_ever(bigquery_lab: BigQuerySourceLab) -> None:
    bigquery_lab.put("users", *({"_id": number} for number in range(40)))
    source, scope, limits = bigquery_lab.open(), bigquery_lab.scope(), ReadLimits(15, 2**24)
    gone = {"stream": "projects/p/locations/us/sessions/gone/streams/0", "offset": 15}
    anew = source.read_chunk(scope, "users", KeyRange(), json.dumps(gone), limits, None)
    assert anew.batch.row_count == 15
    kept = json.loads(anew.resume or "")
    assert kept["expired"] == 1, "it is known in other processes"
    on = bigquery_lab.open().read_chunk(scope, "users", KeyRange(), anew.resume, LIMITS, None)
    assert (on.batch.row_count, on.is_last) == (25, True)
    with pytest.raises(TableFailure, match="Cluster the table by _id"):
        source.read_chunk(scope, "users", KeyRange(), json.dumps({**kept, **gone}), LIMITS, None)
    with capture_logs() as logs:
        foreign = source.read_chunk(scope, "users", KeyRange(), '{"_id": 17}', LIMITS, None)
    assert (foreign.batch.row_count, logs[0]["log_level"]) == (40, "warning")


# SPEC: M5 T5
def test_a_slice_whose_snapshot_expires_goes_on_in_parts_where_it_can(bigquery_lab: BigQuerySourceLab) -> None:
    bigquery_lab.make_table("big", "cluster by _id", _id="INT64", n="INT64")
    name = bigquery_lab.sql("big")
    bigquery_lab.run(f"insert into {name} select n, n from unnest(generate_array(1, 4000)) as n")
    bigquery_lab.run(f"insert into {name} (n) values (0)")
    gone = {"stream": "projects/p/locations/us/sessions/gone/streams/0", "offset": 15, "expired": 1}
    for whole, expected in ((KeyRange(), range(4001)), (KeyRange("1000", "3500"), range(1000, 3500))):
        resume, is_last, counts, found = json.dumps(gone), False, set(), list[int]()
        while not is_last:
            # Another process each time.
            chunk = bigquery_lab.open().read_chunk(bigquery_lab.scope(), "big", whole, resume, LIMITS, None)
            resume, is_last = chunk.resume or "", chunk.is_last
            found += [row["n"] for row in rows_of(chunk.batch)]
            counts.add(len(json.loads(resume).get("cuts", ())))
        assert sorted(found) == [*expected]
        assert len(counts) > 1


def expiring(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Streams come ten rows at a time, and those whose names are put into this set expire, also while they are open."""
    expired, work = set[str](), Storage._batches

    def batches(storage: Storage, name: str, offset: int) -> Iterator[pa.RecordBatch]:
        for batch in work(storage, name, offset):
            for first in range(0, batch.num_rows, 10):
                if name in expired:
                    raise StreamExpired("The snapshot that rows are read from has expired", stream=name)
                yield batch.slice(first, 10)

    monkeypatch.setattr(Storage, "_batches", batches)
    return expired


# SPEC: M5 X4
def test_a_slice_whose_snapshot_expires_while_it_is_open_begins_anew(
    bigquery_lab: BigQuerySourceLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    bigquery_lab.put("users", *({"_id": number} for number in range(40)))
    source, scope, limits = bigquery_lab.open(), bigquery_lab.scope(), ReadLimits(15, 2**24)
    expired = expiring(monkeypatch)
    chunk = source.read_chunk(scope, "users", KeyRange(), None, limits, None)
    expired.add(json.loads(chunk.resume or "")["stream"])
    found = list[int]()
    while not chunk.is_last:
        chunk = source.read_chunk(scope, "users", KeyRange(), chunk.resume, limits, None)
        found += [row["_id"] for row in rows_of(chunk.batch)]
    assert sorted(found) == [*range(40)]
    assert json.loads(chunk.resume or "")["expired"] == 1


# SPEC: M2 T5
def test_a_tick_whose_rows_expire_says_how_to_go_on(
    bigquery_lab: BigQuerySourceLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    bigquery_lab.make_table("users", _id="INT64", at="TIMESTAMP")
    bigquery_lab.run(f"insert into {bigquery_lab.sql('users')} (_id) select n from unnest(generate_array(1, 40)) as n")
    expired, opened, work = expiring(monkeypatch), list[str](), Storage.open
    monkeypatch.setattr(Storage, "open", lambda its, name, at: (opened.append(name), work(its, name, at))[1])
    marked = MarkedRange("at", None, None)
    batches = bigquery_lab.open().read_marked(bigquery_lab.scope(), "users", marked, ReadLimits(15, 2**24))
    assert next(batches).row_count == 15
    expired.update(opened)
    with pytest.raises(TableFailure, match="--full-resync --table users"):
        next(batches)


# SPEC: M5 E3
def test_a_column_that_is_retyped_between_two_processes_is_read_anew(
    bigquery_lab: BigQuerySourceLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    bigquery_lab.make_table("users", _id="INT64", n="INT64")
    bigquery_lab.run(f"insert into {bigquery_lab.sql('users')} select n, n from unnest(generate_array(1, 40)) as n")
    scope, work = bigquery_lab.scope(), Storage._batches
    first = bigquery_lab.open().read_chunk(scope, "users", KeyRange(), None, ReadLimits(15, 2**24), None)
    older = json.loads(first.resume or "")["stream"]

    def batches(storage: Storage, name: str, offset: int) -> Iterator[pa.RecordBatch]:
        # The emulator's sessions show a table as it is now.
        for batch in work(storage, name, offset):
            texts = pa.array(["seven"] * batch.num_rows)
            yield batch.set_column(batch.schema.get_field_index("n"), "n", texts) if name == older else batch

    monkeypatch.setattr(Storage, "_batches", batches)
    anew = bigquery_lab.open().read_chunk(scope, "users", KeyRange(), first.resume, LIMITS, None)
    assert (anew.batch.row_count, anew.is_last) == (40, True)
    assert all(row["n"] == row["_id"] for row in rows_of(anew.batch))


# SPEC: M5 E3
def test_a_snapshot_outlives_a_change_of_its_columns(bigquery_lab: BigQuerySourceLab) -> None:
    bigquery_lab.make_table("users", _id="INT64", n="INT64")
    bigquery_lab.run(f"insert into {bigquery_lab.sql('users')} select n, n from unnest(generate_array(1, 40)) as n")
    scope, limits = bigquery_lab.scope(), ReadLimits(15, 2**24)
    first = bigquery_lab.open().read_chunk(scope, "users", KeyRange(), None, limits, None)
    bigquery_lab.run(f"alter table {bigquery_lab.sql('users')} alter column n set data type numeric")
    second = bigquery_lab.open().read_chunk(scope, "users", KeyRange(), first.resume, LIMITS, None)
    rest = {row["_id"]: str(row["n"]) for row in rows_of(second.batch)}
    assert len(rest) == 25
    assert all(value == str(key) for key, value in rest.items())
    other = "select n as other, 1 as n from unnest(generate_array(1, 40)) as n"
    bigquery_lab.run(f"create or replace table {bigquery_lab.sql('users')} as {other}")
    scope = replace(scope, keys=(("*", ("other",)),))
    anew = bigquery_lab.open().read_chunk(scope, "users", KeyRange(), first.resume, LIMITS, None)
    assert anew.batch.row_count == 40, "a snapshot without the key is of no use"


# SPEC: M2 D7
@pytest.mark.parametrize("its", ["TIMESTAMP", "DATETIME", "DATE"])
def test_a_marker_may_be_of_any_type_of_time(bigquery_lab: BigQuerySourceLab, its: str) -> None:
    bigquery_lab.make_table("marked", "cluster by _id", _id="INT64", at=its)
    days = ", ".join(f"({day}, {its.lower()} '2024-01-0{day}')" for day in (1, 2, 3, 4))
    bigquery_lab.run(f"insert into {bigquery_lab.sql('marked')} values {days}, (5, null)")
    source, scope = bigquery_lab.open(), bigquery_lab.scope()

    def found(since: datetime | None, until: datetime | None, *, unmarked: bool = False) -> set[int]:
        batches = source.read_marked(scope, "marked", MarkedRange("at", since, until, unmarked), LIMITS)
        return {row["_id"] for batch in batches for row in rows_of(batch)}

    second, noon, fourth = (datetime(2024, 1, day, hour, tzinfo=UTC) for day, hour in ((2, 0), (2, 12), (4, 0)))
    assert found(second, fourth) == {2, 3}
    # A row of that day may have changed after noon, if its marker tells the day only.
    assert found(noon, None, unmarked=True) == ({2, 3, 4, 5} if its == "DATE" else {3, 4, 5})
    assert found(None, noon) == {1, 2}
    assert found(None, None) == {1, 2, 3, 4}
    assert found(None, None, unmarked=True) == {1, 2, 3, 4, 5}


def test_a_tick_is_estimated_and_says_what_prunes_it(bigquery_lab: BigQuerySourceLab) -> None:
    bigquery_lab.make_table("events", "partition by date(at)", _id="INT64", at="TIMESTAMP", other="TIMESTAMP")
    bigquery_lab.make_table("arrived", "partition by _partitiondate", _id="INT64", at="TIMESTAMP")
    source, scope = bigquery_lab.open(), bigquery_lab.scope()
    with capture_logs() as logs:
        for table, column in (("events", "at"), ("events", "other"), ("arrived", "at")):
            list(source.read_marked(scope, table, MarkedRange(column, None, None), LIMITS))
    told = [entry for entry in logs if entry["event"] == "tick estimated"]
    assert [(entry["pruned_by"], entry["partitioned_by"]) for entry in told] == [
        ("partition", "at"),
        ("nothing", "at"),
        ("nothing", "_PARTITIONTIME"),
    ]
    assert all(entry["tick_bytes"] >= 0 for entry in told)


def test_a_marker_that_is_none_is_refused(bigquery_lab: BigQuerySourceLab) -> None:
    bigquery_lab.make_table("users", _id="INT64", changed="TIMESTAMP", name="STRING")
    source, scope = bigquery_lab.open(), bigquery_lab.scope()
    for column in ("updated_at", "name"):
        with pytest.raises(TableFailure, match=r"change_detection\.column to one of changed"):
            list(source.read_marked(scope, "users", MarkedRange(column, None, None), LIMITS))
    assert list(source.read_marked(scope, "not there", MarkedRange("at", None, None), LIMITS)) == []


def test_the_nearest_dataset_is_named(bigquery_lab: BigQuerySourceLab) -> None:
    source = bigquery_lab.open()
    with pytest.raises(OperatorError, match="Did you mean 'shop_db'"):
        source.check(SourceScope("shop", "shopdb"), log=False)
    gone = SourceScope("shop", "shopdb")
    source.check(gone, log=False, known=True)
    assert source.tables(gone) == []


# SPEC: T5 E9
def test_rows_of_every_type_come_back_from_their_records(bigquery_lab: BigQuerySourceLab) -> None:
    columns = {f"v{number}": row.name for number, row in enumerate(BIGQUERY_TYPES)}
    bigquery_lab.make_table("typed", _id="INT64", **columns)
    samples = ", ".join(row.samples[0].value for row in BIGQUERY_TYPES)
    bigquery_lab.run(f"insert into {bigquery_lab.sql('typed')} values (1, {samples})")
    source, scope = bigquery_lab.open(), bigquery_lab.scope()
    read = whole(source, scope, "typed")
    restored = source.restore(scope, "typed", [read.original(0)])
    assert content(restored) == content(read)
    assert restored.original(0) == read.original(0)
    masked = source.redact(scope, "typed", read.original(0), {"v3": None, "v5": lambda raw: str(len(raw.variants))})
    record: dict[str, Any] = json.loads(masked.record)
    assert "v3" not in record
    assert record["v5"] == "1"


# SPEC: E4
def test_a_column_that_is_added_later_appears_by_itself(bigquery_lab: BigQuerySourceLab) -> None:
    bigquery_lab.put("users", {"_id": 1})
    source, scope = bigquery_lab.open(), bigquery_lab.scope()
    assert [raw.name for raw in whole(source, scope, "users").columns] == ["_id"]
    bigquery_lab.put("users", {"_id": 2, "name": "Ann"})
    assert sorted(map(str, rows_of(whole(source, scope, "users")))) == ["{'_id': 1}", "{'_id': 2, 'name': 'Ann'}"]
    assert deletes_of(source.read_keys(scope, "users", ['{"_id": 3}'], None)) == [3]
