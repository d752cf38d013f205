"""The statements that make and alter tables in BigQuery, and the order in which they are asked for."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pyarrow as pa
import pytest

from tests.contract.conformed import KEY, NAME, TEXT, changed, creation, first_schema
from warp_resources.connectors.bigquery import ddl
from warp_resources.connectors.bigquery.evolution import Evolution
from warp_resources.connectors.bigquery.layout import TableLayout, layout_of
from warp_resources.connectors.bigquery.options import BigQueryDestinationOptions
from warp_resources.connectors.bigquery.physical import Found
from warp_resources.connectors.bigquery.replacing import is_begun
from warp_resources.connectors.bigquery.steps import next_step, noted, prepared_columns
from warp_resources.connectors.bigquery.types import staged, stored_type, uuid_texts
from warp_resources.errors import TableFailure
from warp_resources.model.tables import ChangeKind, Column, ColumnType, Kind, SchemaChange, TableId, TableSchema

USERS = TableId("shop", "users")
FIRST = first_schema(USERS)
OWN = {"_warp_key": "STRING", "_warp_sequence": "INT64", "_warp_synced_at": "TIMESTAMP"}
MADE = Found({"id": "INT64", "name": "STRING", **OWN}, version=1, key=("id",))


@pytest.mark.parametrize(
    ("precision", "scale", "name"),
    [
        (None, None, "NUMERIC"),
        (38, 9, "NUMERIC"),
        (29, 0, "NUMERIC"),
        (30, 0, "BIGNUMERIC"),
        (10, 10, "BIGNUMERIC"),
        (76, 38, "BIGNUMERIC"),
        (39, 39, "STRING"),
        (39, 0, "STRING"),
    ],
)
def test_decimals_are_stored_by_their_declared_digits(precision: int | None, scale: int | None, name: str) -> None:
    # SPEC: E9
    assert stored_type(ColumnType(Kind.NUMERIC, precision=precision, scale=scale)) == name


def test_what_a_slot_carries() -> None:
    # SPEC: E9
    its = uuid.UUID(int=2**128 - 2)
    ids = pa.array([None, its.bytes, uuid.UUID(int=0).bytes], pa.binary(16))
    assert uuid_texts(ids[1:]).to_pylist() == [str(its), "00000000-0000-0000-0000-000000000000"]
    assert uuid_texts(ids).null_count == 1
    assert uuid_texts(ids[:0]).to_pylist() == []
    local = staged(ColumnType(Kind.TIMESTAMP, unit="ms"))
    assert local.carried(pa.array([1, None], pa.timestamp("ms"))).cast(pa.int64()).to_pylist() == [1000, None]
    assert local.expression("S.t0") == "datetime(S.t0, 'UTC')"
    assert staged(ColumnType(Kind.JSON)).expression("S.s0") == "parse_json(S.s0)"


def test_a_table_has_our_columns_its_key_and_its_version() -> None:
    # SPEC: Z4
    schema = replace(first_schema(USERS, Column("a`b\\", "a`b\\", TEXT)), flag="is_deleted")
    assert ddl.create_table("`p`.`shop`.`users`", schema, TableLayout()) == (
        "create table if not exists `p`.`shop`.`users` (`id` INT64, `a\\`b\\\\` STRING, `_warp_key` STRING not null,"
        " `_warp_sequence` INT64 not null, `_warp_synced_at` TIMESTAMP not null, `is_deleted` BOOL,"
        " primary key (`id`) not enforced) cluster by `_warp_key` options (labels = [('cartridge_warp_version', '1')])"
    )


def test_a_key_of_doubles_is_told_to_nobody() -> None:
    doubles = replace(KEY, type=ColumnType(Kind.DOUBLE))
    assert ddl.primary_key(FIRST.with_columns((doubles, NAME))) == ()


def test_options_choose_the_layout_by_the_first_glob_that_fits() -> None:
    tables = {"shop.users": {"cluster_by": ["name"]}, "shop.*": {"partition_by": "at", "granularity": "hour"}}
    layout = layout_of(BigQueryDestinationOptions(project="p", tables=tables))
    assert layout.of(USERS) == TableLayout(cluster_by=("name",))
    assert layout.of(TableId("shop", "x")) == TableLayout("at", "hour")
    assert layout.of(TableId("else", "x")) == TableLayout()


def evolution(after: TableSchema, *changes: SchemaChange) -> Evolution:
    return Evolution("`t`", FIRST, after, changes, TableLayout())


def names_of(its: Evolution, *looks: Found | None) -> list[str | None]:
    """The steps that follow from looks at the table, each step done before the next look."""
    done: frozenset[str] = frozenset()
    names: list[str | None] = []
    for found in looks:
        step = next_step(found, its, done)
        names.append(step and step.name)
        done |= {step.name} if step else set()
    return names


def test_a_column_is_replaced_in_steps_that_show_in_the_table() -> None:
    # SPEC: E3 T7
    change = SchemaChange(ChangeKind.ALTER_TYPE, replace(NAME, type=ColumnType(Kind.JSON)), NAME)
    its = evolution(changed(FIRST, change), change)
    new, old = "_warp_new_2_0", "_warp_old_2_0"
    added = replace(MADE, types={**MADE.types, new: "JSON"})
    swapped = replace(MADE, types={**MADE.types, "name": "JSON", old: "STRING"})
    assert names_of(its, MADE, MADE, added, added, swapped, replace(swapped, version=2)) == [
        "examine 0",
        f"add {new}",
        f"fill {new}",
        f"swap {new}",
        "bear version",
        "drop leftovers",
    ]
    # Somebody who comes late finds nothing to do, nor does it touch what a later version is about.
    assert names_of(its, replace(swapped, types={"name": "JSON", "_warp_new_3_0": "STRING"}, version=2)) == [None]


def test_a_storm_of_types_takes_a_statement_for_twenty_columns() -> None:
    # SPEC: E3 E10  FAULTS: 15
    columns = tuple(Column(f"c{number}", f"c{number}", TEXT) for number in range(70))
    before = FIRST.with_columns((*FIRST.columns, *columns))
    changes = tuple(
        SchemaChange(ChangeKind.ALTER_TYPE, replace(its, type=ColumnType(Kind.JSON)), its) for its in columns
    )
    its = Evolution("`t`", before, changed(before, *changes), changes, TableLayout())
    found = replace(MADE, types={**MADE.types, **{column.stored: "STRING" for column in columns}})
    done: frozenset[str] = frozenset()
    statements = []
    while (step := next_step(found, its, done)) is not None and step.statement:
        statements.append(step.statement)
        done |= {step.name}
        if step.name.startswith("add "):
            found = replace(found, types={**found.types, **dict.fromkeys(step.name.split()[1:], "JSON")})
        elif step.name.startswith("swap "):
            for number in (int(name.rpartition("_")[2]) for name in step.name.split()[1:]):
                del found.types[its.new_name(number)]
                found.types.update({f"c{number}": "JSON", its.old_name(number): "STRING"})
    assert len(statements) == 4 * 4, "looked at, added, filled and swapped"
    assert all(len(statement) < 100_000 for statement in statements)


def test_a_column_that_is_added_again_is_filled_again() -> None:
    # SPEC: E8 T7
    change = SchemaChange(ChangeKind.ALTER_TYPE, replace(NAME, type=ColumnType(Kind.JSON)), NAME)
    its = replace(evolution(changed(FIRST, change), change), token="ab12cd")
    new = "_warp_new_2_ab12cd_0"
    added = replace(MADE, types={**MADE.types, new: "JSON"})
    done: frozenset[str] = frozenset()
    steps = []
    # Between the second look and the third somebody else drops what was prepared.
    for found in (MADE, MADE, added, MADE, added, added):
        step = next_step(found, its, done)
        assert step is not None
        done = noted(done, step)
        steps.append(step.name.split()[0])
    assert steps == ["examine", "add", "fill", "add", "fill", "swap"]


def test_what_another_announcement_has_left_behind_is_not_taken_for_ones_own() -> None:
    # SPEC: E8 T7
    change = SchemaChange(ChangeKind.ALTER_TYPE, replace(NAME, type=ColumnType(Kind.JSON)), NAME)
    its = replace(evolution(changed(FIRST, change), change), token="ab12cd")
    left = replace(MADE, types={**MADE.types, "_warp_new_2_0": "JSON", "_warp_new_2_ffffff_0": "JSON"})
    assert names_of(its, left, left) == ["examine 0", "add _warp_new_2_ab12cd_0"]
    assert prepared_columns(left, its) == []
    ours = replace(left, types={**left.types, "_warp_new_2_ab12cd_0": "JSON"})
    assert prepared_columns(ours, its) == ["_warp_new_2_ab12cd_0"]
    leaving = names_of(its, replace(ours, types={**ours.types, "name": "JSON"}, version=2))
    assert leaving == ["drop leftovers"]


def test_a_change_has_begun_once_a_reader_could_see_it() -> None:
    # SPEC: E8 T7
    change = SchemaChange(ChangeKind.ALTER_TYPE, replace(NAME, type=ColumnType(Kind.JSON)), NAME)
    its = replace(evolution(changed(FIRST, change), change), token="ab12cd")
    assert not is_begun(MADE, its)
    assert not is_begun(replace(MADE, types={**MADE.types, "_warp_new_2_ab12cd_0": "JSON"}), its)
    for name in ("_warp_old_2_ab12cd_0", "_warp_renamed_2_ab12cd"):
        assert is_begun(replace(MADE, types={**MADE.types, name: "STRING"}), its), name
    assert is_begun(replace(MADE, types={**MADE.types, "name": "JSON"}), its)


def test_a_table_that_is_gone_is_made_again_by_a_reading_alone() -> None:
    change = SchemaChange(ChangeKind.ADD_COLUMN, Column("new", "new", TEXT))
    with pytest.raises(TableFailure, match="resync"):
        names_of(evolution(changed(FIRST, change), change), None)
    assert names_of(Evolution("`t`", None, FIRST, (), TableLayout()), None) == ["create"]


def test_what_holds_a_table_together_is_not_replaced() -> None:
    change = SchemaChange(ChangeKind.ALTER_TYPE, replace(NAME, type=ColumnType(Kind.JSON)), NAME)
    with pytest.raises(TableFailure, match="clustered"):
        next_step(replace(MADE, placed=frozenset({"name"})), evolution(changed(FIRST, change), change), frozenset())


def test_rows_of_somebody_else_are_asked_for_before_anything_is_added() -> None:
    its = Evolution("`t`", None, FIRST, creation(), TableLayout())
    foreign = Found({"id": "INT64"}, required=("id",))
    step = next_step(foreign, its, frozenset())
    assert step is not None
    assert step.refused
    assert names_of(its, foreign, foreign) == ["adopt", "add columns"]
