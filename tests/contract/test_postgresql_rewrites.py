"""Type changes of large tables in PostgreSQL, made beside the use of their tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from tests.contract.postgresql_lab import CREATE, RUN, Lab, Reading, Rows, column, conformed, opened, schema_of
from warp_resources.connectors.postgresql import large, rewriting
from warp_resources.connectors.postgresql.destination import PostgresDestination
from warp_resources.connectors.postgresql.options import PostgresOptions
from warp_resources.errors import RewriteWanted, SchemaMoved, TransientError
from warp_resources.evolution.rewriting import begin_rewrites
from warp_resources.model.batches import ConformedTable
from warp_resources.model.rewrites import RewriteState
from warp_resources.model.tables import ChangeKind, Column, ColumnType, Kind, SchemaChange, TableId, TableSchema

pytestmark = pytest.mark.servers

LARGE, DIRECT = TableId("shop", "large"), TableId("shop", "direct")
COUNT = 1_500
MS = ColumnType(Kind.TIMESTAMP_TZ, unit="ms")


@pytest.fixture
def lab(warehouse: str) -> Iterator[Lab]:
    yield from opened(warehouse)


@pytest.fixture(autouse=True)
def every_table_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "LARGE_BYTES", 1)
    monkeypatch.setattr(rewriting, "_FIRST_BLOCKS", 1)
    monkeypatch.setattr(rewriting, "_MOST_BLOCKS", 1)


def table_of(its: Column, table: TableId = LARGE) -> TableSchema:
    return schema_of(column("_id", Kind.INT64), its, column("other", Kind.TEXT), table=table)


def filled(lab: Lab, its: Column, values: Sequence[object], table: TableId = LARGE) -> TableSchema:
    """A table of many rows that have these values in turn."""
    schema = table_of(its, table)
    many = [values[number % len(values)] for number in range(COUNT)]
    rows = {"_id": range(COUNT), its.stored: many, "other": ["x" * 20] * COUNT}
    lab.write(conformed(schema, rows, changes=CREATE))
    return schema


def changing(schema: TableSchema, its: ColumnType, rows: Rows | None = None, name: str = "v") -> ConformedTable:
    """A part that brings a type change of a column."""
    before = schema.column(name)
    assert before is not None
    after = replace(before, type=its)
    columns = tuple(after if one.name == name else one for one in schema.columns)
    moved = replace(schema, columns=columns, version=schema.version + 1)
    return conformed(moved, rows, changes=(SchemaChange(ChangeKind.ALTER_TYPE, after, before),))


def begun(lab: Lab, part: ConformedTable) -> TableSchema:
    """The schema once a change has begun that the destination does not want to make at once."""
    with pytest.raises(RewriteWanted) as wanted:
        lab.write(part)
    begin = begin_rewrites(part, wanted.value.columns)
    lab.write(begin)
    assert known(lab, part.schema.table) == begin.schema
    return begin.schema


def known(lab: Lab, table: TableId = LARGE) -> TableSchema:
    return lab.destination.table_schemas("shop")[table.name]


def step(lab: Lab) -> RewriteState | None:
    return lab.destination.advance_rewrite(LARGE, RUN)


def finish(lab: Lab) -> None:
    while (state := step(lab)) is not None and state.share < 1:
        assert not state.is_waiting


def values(lab: Lab, table: TableId = LARGE, names: str = "v::text") -> list[tuple[Any, ...]]:
    return lab.connection.execute(f"select _id, {names} from shop.{table.name} order by _id".encode()).fetchall()


def stored_columns(lab: Lab, table: TableId = LARGE) -> dict[str, str]:
    """The columns that a user sees, with their types."""
    query = (
        "select attname::text, format_type(atttypid, atttypmod) from pg_attribute"
        f" where attrelid = 'shop.{table.name}'::regclass and attnum > 0 and not attisdropped"
    )
    return dict(lab.connection.execute(query.encode()).fetchall())


CHANGES: list[tuple[ColumnType, ColumnType, list[object], list[object]]] = [
    (ColumnType(Kind.INT64), ColumnType(Kind.TEXT), [0, -1, 2**63 - 1, None], ["abc", "12", "007", None]),
    (ColumnType(Kind.INT32), ColumnType(Kind.DOUBLE), [0, -7, 2**31 - 1], [1.5, 3.0, float("nan"), None]),
    (ColumnType(Kind.INT64), ColumnType(Kind.NUMERIC), [1, 2**62], ["1.10", "7", "1E+300", None]),
    (ColumnType(Kind.BOOL), ColumnType(Kind.TEXT), [True, False, None], ["true", "yes", None]),
    (MS, ColumnType(Kind.TEXT), [0, -1, 253_402_300_800_000], ["1970-01-01T00:00:00.001Z", "noon", None]),
    (ColumnType(Kind.DOUBLE), ColumnType(Kind.NUMERIC), [0.1, 1e23, 3.0, -2.5], ["1" * 40, "0.50", "2.5", None]),
    (ColumnType(Kind.DOUBLE), ColumnType(Kind.TEXT), [0.1, 1e23, -0.0, 1e-7], ["0.1", "x", "-0", None]),
]


@pytest.mark.parametrize(("before", "after", "old", "new"), CHANGES, ids=[f"{b}-{a}" for b, a, _, _ in CHANGES])
def test_a_rewrite_beside_writers_gives_what_an_alter_gives(
    lab: Lab,
    before: ColumnType,
    after: ColumnType,
    old: list[object],
    new: list[object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # SPEC: E2, E3, E8, T8
    schema = begun(lab, changing(filled(lab, Column("v", "v", before), old), after, {"_id": [-1], "v": [new[0]]}))
    written: list[Rows] = [{"_id": [-1], "v": [new[0]]}]
    deleted: list[int] = []
    with PostgresFiller(lab.uri) as filler:
        done = filler.start()
        turn = 0
        while not done.done() or turn < 3:
            keys = [(turn * 37 + place * 11) % (COUNT + 50) for place in range(len(new))]
            rows = {"_id": keys, "v": new, "other": ["later"] * len(new)}
            gone = (turn * 53 + 7) % COUNT
            part = conformed(schema, rows, deletes=[] if gone in keys else [gone])
            try:
                lab.write(part)
            except SchemaMoved:
                schema = known(lab)
                continue
            written.append(rows)
            deleted.append(gone if gone not in keys else -99)
            turn += 1
        done.result()
    assert stored_columns(lab) == {**stored_columns(lab), "v": large.stored_type(after)}
    assert len(stored_columns(lab)) == 5
    assert lab.destination.rewrites("shop") == []

    monkeypatch.setattr(large, "LARGE_BYTES", 2**40)
    twin = filled(lab, Column("v", "v", before), old, DIRECT)
    part = changing(twin, after, written[0])
    lab.write(part)
    for rows, gone in zip(written[1:], deleted, strict=True):
        lab.write(conformed(part.schema, rows, deletes=[gone]))
    assert values(lab, names="v::text, other") == values(lab, DIRECT, names="v::text, other")


class PostgresFiller:
    """Takes a table's rewrite to its end in a thread, on a connection of its own."""

    def __init__(self, uri: str) -> None:
        self._destination = PostgresDestination(PostgresOptions(connection_string=SecretStr(uri)))
        self._pool = ThreadPoolExecutor(1)

    def __enter__(self) -> PostgresFiller:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()
        self._destination.close()

    def start(self) -> Any:
        return self._pool.submit(self._run)

    def _run(self) -> None:
        while (state := self._destination.advance_rewrite(LARGE, RUN)) is not None and state.share < 1:
            pass


def test_what_brought_the_change_is_there_at_once(lab: Lab) -> None:
    # SPEC: E10
    schema = filled(lab, column("v", Kind.INT64), [5])
    part = changing(schema, ColumnType(Kind.TEXT), {"_id": [-3, -2, -1], "v": ["12", "x", None]})
    begun_schema = begun(lab, part)
    rewrite = begun_schema.rewritten[0].rewrite
    assert rewrite is not None
    found = values(lab, names=f"v, {rewrite.stored}")
    assert found[:4] == [(-3, 12, "12"), (-2, None, "x"), (-1, None, None), (0, 5, None)]
    preview = lab.destination.preview(LARGE, 5_000).select(["_id", "v"]).to_pylist()
    assert {row["_id"]: row["v"] for row in preview}["-2"] == "x"
    assert {row["_id"]: row["v"] for row in preview}["0"] == "5"
    [state] = lab.destination.rewrites("shop")
    assert (state.table, state.columns, state.share) == (LARGE, ("v",), 0.0)
    finish(lab)
    assert known(lab).rewritten == ()
    kinds = lab.metadata("version, changes -> 0 ->> 'kind' from @schema_registry where table_name = 'large' order by 1")
    assert kinds == [(1, "create_table"), (2, "begin_rewrite"), (3, "end_rewrite")]
    assert lab.metadata("count(*) from @dead_letters") == [(0,)]


def test_filling_leaves_the_stamps_of_the_rows_alone(lab: Lab) -> None:
    schema = filled(lab, column("v", Kind.INT64), [5])
    before = values(lab, names="_warp_sequence, _warp_synced_at")
    begun(lab, changing(schema, ColumnType(Kind.TEXT)))
    finish(lab)
    assert values(lab, names="_warp_sequence, _warp_synced_at") == before


def test_another_process_goes_on_where_one_was_killed(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    # SPEC: T7
    begun(lab, changing(filled(lab, column("v", Kind.INT64), [5, None]), ColumnType(Kind.TEXT)))
    for _ in range(3):
        step(lab)
    [halfway] = lab.destination.rewrites("shop")
    assert 0 < halfway.share < 1
    lab.connection.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()"
        " and application_name = 'cartridge-warp'"
    )
    with pytest.raises(TransientError):
        step(lab)
    assert lab.destination.rewrites("shop") == [halfway]
    with monkeypatch.context() as broken:
        broken.setattr(rewriting, "end_filling", _fail)
        with pytest.raises(RuntimeError):
            finish(lab)
    # Nothing of the swap was committed: a writer may go on with both columns.
    lab.write(conformed(known(lab), {"_id": [9_999], "v": ["y"]}))
    finish(lab)
    assert stored_columns(lab)["v"] == "text"
    assert values(lab)[0] == (0, "5")
    assert values(lab)[-1] == (9_999, "y")
    assert step(lab) is None


def _fail(*_: object) -> None:
    raise RuntimeError("killed")


def test_a_column_that_changes_again_meanwhile_loses_nothing(lab: Lab) -> None:
    # SPEC: E8
    schema = filled(lab, column("v", Kind.INT64), [5, 2**53 + 1])
    schema = begun(lab, changing(schema, ColumnType(Kind.NUMERIC), {"_id": [-3], "v": ["1.50"]}))
    step(lab)
    # The first three are past what is filled by then, the next is not.
    schema = begun(lab, changing(schema, ColumnType(Kind.TEXT), {"_id": [-2, COUNT], "v": ["word", "7"]}))
    rewrite = schema.rewritten[0].rewrite
    assert rewrite is not None
    assert [former.type.kind for former in rewrite.formers] == [Kind.NUMERIC, Kind.INT64]
    lab.write(conformed(schema, {"_id": [-1, 3], "v": ["2.5", None]}))
    finish(lab)
    assert stored_columns(lab) == {**stored_columns(lab), "v": "text"}
    assert len(stored_columns(lab)) == 5
    found = dict(values(lab))
    assert [found[key] for key in (-3, -2, -1, 0, 1, 2, 3, COUNT)] == [
        "1.50", "word", "2.5", "5", str(2**53 + 1), "5", None, "7",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "burden",
    [
        "create index on shop.large (v)",
        "alter table shop.large add check (v > -5)",
        "alter table shop.large alter v set default 0",
        "comment on column shop.large.v is 'mine'",
        "grant select (v) on shop.large to public",
        "create trigger mine before update on shop.large"
        " for each row execute function suppress_redundant_updates_trigger()",
    ],
)
def test_a_column_on_which_something_hangs_is_altered_at_once(lab: Lab, burden: str) -> None:
    schema = filled(lab, column("v", Kind.INT64), [5])
    lab.connection.execute(burden.encode())
    lab.write(changing(schema, ColumnType(Kind.NUMERIC)))
    assert stored_columns(lab)["v"] == "numeric"
    assert known(lab).rewritten == ()


def test_a_key_column_is_altered_at_once(lab: Lab) -> None:
    schema = filled(lab, column("v", Kind.INT64), [5])
    lab.write(changing(schema, ColumnType(Kind.NUMERIC), name="_id"))
    assert stored_columns(lab)["_id"] == "numeric"


def test_an_index_that_was_made_meanwhile_stays(lab: Lab) -> None:
    begun(lab, changing(filled(lab, column("v", Kind.INT64), [5]), ColumnType(Kind.TEXT), {"_id": [-1], "v": ["x"]}))
    lab.connection.execute("create index mine on shop.large (v)")
    finish(lab)
    assert lab.connection.execute("select count(*) from pg_indexes where indexname = 'mine'").fetchall() == [(1,)]
    assert values(lab)[:2] == [(-1, "x"), (0, "5")]
    assert len(stored_columns(lab)) == 5


def test_a_reader_makes_the_swap_wait_and_nobody_else(lab: Lab) -> None:
    schema = begun(lab, changing(filled(lab, column("v", Kind.INT64), [5]), ColumnType(Kind.TEXT)))
    with psycopg.connect(lab.uri) as reader:
        reader.execute("select * from shop.large limit 1")
        while not (state := step(lab)) or not state.is_waiting:
            assert state is not None
            assert state.share < 1
        lab.write(conformed(schema, {"_id": [-1], "v": ["x"]}))
    finish(lab)
    assert values(lab)[0] == (-1, "x")


def test_rows_that_others_write_as_before_are_carried_over_or_refused(lab: Lab) -> None:
    # SPEC: E8
    begun(lab, changing(filled(lab, column("v", Kind.INT64), [5]), ColumnType(Kind.TEXT)))
    insert = "insert into shop.large (_id, v, _warp_sequence, _warp_synced_at) values (%s, 6, 0, now())"
    while lab.metadata("stage from @rewrites") == [("fill",)]:
        lab.connection.execute("update shop.large set other = 'mine' where _id % 3 = 0")
        step(lab)
    with pytest.raises(psycopg.errors.CheckViolation):
        lab.connection.execute(insert, [-2])
    finish(lab)
    assert {value for _, value in values(lab)} == {"5"}


def test_a_table_that_is_written_anew_by_others_is_looked_through_again(lab: Lab) -> None:
    begun(lab, changing(filled(lab, column("v", Kind.INT64), [5]), ColumnType(Kind.TEXT)))
    step(lab)
    insert = "insert into shop.large (_id, v, _warp_sequence, _warp_synced_at) select 5000 + n, 6, 0, now()"
    lab.connection.execute(f"{insert} from generate_series(1, 2000) as n".encode())
    while lab.metadata("stage from @rewrites") == [("fill",)]:
        step(lab)
    while lab.metadata("next_block > 3 from @rewrites") == [(False,)]:
        step(lab)
    lab.connection.execute(f"delete from shop.large where _id < {COUNT}".encode())
    lab.connection.execute("vacuum full shop.large")
    finish(lab)
    assert {value for _, value in values(lab)} == {"6"}


def test_chunks_and_ticks_fill_both_columns(lab: Lab) -> None:
    # SPEC: T8
    schema = begun(lab, changing(filled(lab, column("v", Kind.INT64), [5]), ColumnType(Kind.TEXT)))
    reading = Reading.open(lab, schema)
    reading.begin()
    reading.chunk(conformed(schema, {"_id": [0, 1, COUNT], "v": ["c", "6", "d"]}))
    lab.batch_commit(conformed(schema, {"_id": [2, 3], "v": ["b", None]}))
    finish(lab)
    found = dict(values(lab))
    assert [found[key] for key in (0, 1, COUNT, 2, 3, 4)] == ["c", "6", "d", "b", None, "5"]


def test_the_chunks_of_a_first_load_go_on_beside_a_rewrite(lab: Lab) -> None:
    # SPEC: E2
    schema = schema_of(column("_id", Kind.INT64), column("v", Kind.NUMERIC), table=LARGE)
    reading = Reading.open(lab, schema)
    reading.begin()
    reading.chunk(conformed(schema, {"_id": [1, 2], "v": ["1.50", None]}, changes=CREATE))
    part = changing(schema, ColumnType(Kind.TEXT), {"_id": [3, 4], "v": ["x", "2.50"]})
    reading.begin()
    with pytest.raises(RewriteWanted) as wanted:
        reading.chunk(part)
    begin = begin_rewrites(part, wanted.value.columns)
    reading.chunk(begin)
    reading.begin()
    reading.chunk(conformed(begin.schema, {"_id": [5, 6], "v": ["3.50", "y"]}))
    reading.schema = begin.schema
    assert reading.finish() == 0
    finish(lab)
    assert [value for _, value in values(lab)] == ["1.50", None, "x", "2.50", "3.50", "y"]


def test_a_comparison_finds_every_value_wherever_it_is(lab: Lab) -> None:
    # SPEC: R5
    schema = filled(lab, column("v", Kind.INT64), [5])
    rows = {"_id": [-2, -1, 0], "v": ["x", "7", "5"], "other": [None, None, "x" * 20]}
    schema = begun(lab, changing(schema, ColumnType(Kind.TEXT), {"_id": [-2, -1], "v": ["x", "7"]}))
    lab.destination.mark_loaded(LARGE)
    with lab.destination.comparison(LARGE) as comparison:
        assert comparison.compare(conformed(schema, rows)) == []
        [wrong] = comparison.compare(conformed(schema, {**rows, "v": ["x", "7", "6"]}))
        assert wrong.row == 2


def test_zeros_that_lose_their_sign_are_logged(lab: Lab) -> None:
    # SPEC: E8
    begun(lab, changing(filled(lab, column("v", Kind.DOUBLE), [1.5] * 1_499 + [-0.0]), ColumnType(Kind.NUMERIC)))
    finish(lab)
    assert lab.metadata("error_type, action, primary_key from @error_log") == [
        ("negative_zero", "stored as 0", f'[{{"_id": {COUNT - 1}}}]')
    ]


def test_a_change_that_touches_no_row_is_made_at_once(lab: Lab) -> None:
    bounded = Column("v", "v", ColumnType(Kind.NUMERIC, precision=10, scale=2))
    lab.write(changing(filled(lab, bounded, ["1.25"]), ColumnType(Kind.NUMERIC)))
    assert stored_columns(lab)["v"] == "numeric"
