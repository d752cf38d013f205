"""What every destination owes when a column changes its type: no stored value is lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.contract.conformed import KEY, batch, changed, creation, first_schema, moved, part
from tests.contract.laboratories import DestinationLab
from warp_resources.model.positions import StreamState
from warp_resources.model.tables import ChangeKind, Column, ColumnType, Kind, SchemaChange, TableId

SCHEMA = "shop"
USERS = TableId(SCHEMA, "users")
TEXT = ColumnType(Kind.TEXT)
MOMENT = datetime(2024, 2, 29, 12, 0, tzinfo=UTC)


def write(lab: DestinationLab, state: StreamState, *parts: Any) -> StreamState:
    receipt = lab.open().write(batch(moved(SCHEMA, state), *parts))
    return replace(state, sequence=receipt.stream_sequence or 0)


# SPEC: E2, E3, E8
@pytest.mark.parametrize(
    ("before", "after", "values", "expected"),
    [
        (Kind.INT64, Kind.NUMERIC, [1, -(2**63), None], ["1", "-9223372036854775808", None]),
        (Kind.INT64, Kind.TEXT, [1, 2**63 - 1, None], ["1", "9223372036854775807", None]),
        (Kind.DOUBLE, Kind.NUMERIC, [0.1, 1e22, 123456789.125], ["0.1", "1e+22", "123456789.125"]),
        (Kind.DOUBLE, Kind.TEXT, [3.0, 1e21, 1.5e-7, float("nan")], ["3", "1e+21", "1.5e-7", "NaN"]),
        (Kind.NUMERIC, Kind.TEXT, ["1.10", "1E+3", "-0.5"], ["1.10", "1000", "-0.5"]),
        (Kind.BOOL, Kind.TEXT, [True, False, None], ["true", "false", None]),
        (Kind.TIMESTAMP_TZ, Kind.TEXT, [MOMENT], ["2024-02-29T12:00:00.000Z"]),
        (Kind.BINARY, Kind.TEXT, [b"\x00\xff"], ["AP8="]),
    ],
    ids=lambda value: str(value) if isinstance(value, Kind) else "",
)
def test_stored_values_keep_their_canonical_text(
    lab: DestinationLab, before: Kind, after: Kind, values: list[Any], expected: list[str | None]
) -> None:
    unit = "ms" if before is Kind.TIMESTAMP_TZ else None
    old = Column("value", "value", ColumnType(before, unit=unit))
    new = replace(old, type=ColumnType(after))
    v1 = first_schema(USERS, old)
    state = lab.open().start_stream(SCHEMA, {"at": 1})
    rows = [{"id": number, "value": value} for number, value in enumerate(values)]
    state = write(lab, state, part(v1, rows, changes=creation()))

    change = SchemaChange(ChangeKind.ALTER_TYPE, before=old, after=new)
    v2 = changed(v1, change)
    write(lab, state, part(v2, changes=(change,)))
    stored = [row["value"] for _, row in sorted(lab.rows(USERS).items())]
    if before is Kind.NUMERIC and not lab.open().capabilities.numeric_scale:
        expected = [None if text is None else f"{float(text):g}" for text in expected]
    if after is Kind.NUMERIC:
        assert stored == [None if text is None else type(stored[0])(text) for text in expected]
    else:
        assert stored == expected
    assert lab.open().table_schemas(SCHEMA)["users"] == v2


# SPEC: E8
@pytest.mark.parametrize(("values", "entries"), [([1.5, -0.0, -0.0], ["negative_zero"]), ([0.0, None], [])])
def test_stored_negative_zeros_are_told_of_when_numeric_takes_their_sign(
    lab: DestinationLab, values: list[float | None], entries: list[str]
) -> None:
    old = Column("value", "value", ColumnType(Kind.DOUBLE))
    v1 = first_schema(USERS, old)
    state = lab.open().start_stream(SCHEMA, {"at": 1})
    rows = [{"id": number, "value": value} for number, value in enumerate(values)]
    state = write(lab, state, part(v1, rows, changes=creation()))
    change = SchemaChange(ChangeKind.ALTER_TYPE, before=old, after=replace(old, type=ColumnType(Kind.NUMERIC)))
    write(lab, state, part(changed(v1, change), changes=(change,)))
    assert lab.error_types(USERS) == entries
    assert lab.letter_statuses(USERS) == []


# SPEC: E4, E5
def test_a_new_column_is_null_in_the_rows_that_were_there(lab: DestinationLab) -> None:
    v1 = first_schema(USERS)
    state = lab.open().start_stream(SCHEMA, {"at": 1})
    state = write(lab, state, part(v1, [{"id": 1, "name": "Ann"}], changes=creation()))
    change = SchemaChange(ChangeKind.ADD_COLUMN, after=Column("note", "note", TEXT))
    write(lab, state, part(changed(v1, change), [{"id": 2, "note": "n"}], changes=(change,)))
    assert {key: (row["name"], row["note"]) for key, row in lab.rows(USERS).items()} == {
        1: ("Ann", None),
        2: (None, "n"),
    }


# SPEC: E11
def test_keys_become_json_text_when_a_second_family_appears(lab: DestinationLab) -> None:
    v1 = first_schema(USERS)
    state = lab.open().start_stream(SCHEMA, {"at": 1})
    state = write(lab, state, part(v1, [{"id": 1, "name": "number"}], changes=creation()))
    mixed = Column("id", "id", TEXT, family="mixed")
    change = SchemaChange(ChangeKind.KEY_TO_JSON, before=KEY, after=mixed)
    v2 = changed(v1, change)
    rows = [{"id": '"1"', "name": "text"}]
    state = write(lab, state, part(v2, rows, changes=(change,)))
    assert {key: row["name"] for key, row in lab.rows(USERS).items()} == {"1": "number", '"1"': "text"}

    write(lab, state, part(v2, [{"id": "1", "name": "changed"}], ['"1"']))
    assert {key: row["name"] for key, row in lab.rows(USERS).items()} == {"1": "changed"}


# SPEC: E2
def test_what_is_proved_of_a_column_is_recorded_without_touching_it(lab: DestinationLab) -> None:
    old = Column("value", "value", ColumnType(Kind.INT64, exact=True))
    v1 = first_schema(USERS, old)
    state = lab.open().start_stream(SCHEMA, {"at": 1})
    state = write(lab, state, part(v1, [{"id": 1, "value": 7}], changes=creation()))
    change = SchemaChange(ChangeKind.BOUNDS, before=old, after=replace(old, type=ColumnType(Kind.INT64)))
    v2 = changed(v1, change)
    write(lab, state, part(v2, [{"id": 2, "value": 2**53 + 1}], changes=(change,)))
    assert {key: row["value"] for key, row in lab.rows(USERS).items()} == {1: 7, 2: 2**53 + 1}
    assert lab.open().table_schemas(SCHEMA)["users"] == v2
