"""What every destination owes to whoever looks into the history of a table's schema, or goes back in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.contract.conformed import KEY, batch, changed, creation, first_schema, moved, part
from tests.contract.laboratories import DestinationLab
from warp_resources.config import WarpConfig, effective
from warp_resources.connectors.interfaces import Destination
from warp_resources.connectors.memory.columns import raw_columns
from warp_resources.errors import ConfigurationError
from warp_resources.model.batches import TableBatch
from warp_resources.model.capabilities import Capabilities
from warp_resources.model.positions import StreamState
from warp_resources.model.tables import ChangeKind, Column, ColumnType, Kind, SchemaChange, TableId, TableSchema
from warp_resources.pipeline.writer import Writer

SCHEMA = "shop"
USERS = TableId(SCHEMA, "users")
MS = ColumnType(Kind.TIMESTAMP_TZ, unit="ms")
NOON = datetime(2024, 2, 29, 12, 0, tzinfo=UTC)


@dataclass
class Scene:
    destination: Destination
    stream: StreamState

    def write(self, *parts: Any, run_id: str = "run-1") -> None:
        receipt = self.destination.write(batch(moved(SCHEMA, self.stream), *parts, run_id=run_id))
        self.stream = replace(self.stream, sequence=receipt.stream_sequence or 0)

    def widen(self, before: ColumnType, after: ColumnType, old: list[Any], new: list[Any]) -> TableSchema:
        """A table with a column of one type, which then takes another; and values of both times."""
        column = Column("value", "value", before)
        schema = first_schema(USERS, column)
        self.write(part(schema, [{"id": n, "value": value} for n, value in enumerate(old)], changes=creation()))
        if before != after:
            change = SchemaChange(ChangeKind.ALTER_TYPE, before=column, after=replace(column, type=after), reason="w")
            schema = changed(schema, change)
            self.write(part(schema, changes=(change,)))
        if new:
            self.write(part(schema, [{"id": 100 + n, "value": value} for n, value in enumerate(new)]))
        return schema


@pytest.fixture
def scene(lab: DestinationLab) -> Scene:
    destination = lab.open()
    return Scene(destination, destination.start_stream(SCHEMA, {"at": 1}))


# SPEC: T2, E10
def test_every_version_is_told_with_what_led_to_it(scene: Scene, lab: DestinationLab) -> None:
    v1 = first_schema(USERS)
    scene.write(part(v1, changes=creation()), run_id="run-1")
    note = SchemaChange(ChangeKind.ADD_COLUMN, after=Column("note", "note", ColumnType(Kind.TEXT)), reason="new field")
    v2 = changed(v1, note)
    scene.write(part(v2, changes=(note,)), run_id="run-2")
    wider = SchemaChange(ChangeKind.KEY_TO_JSON, before=KEY, after=replace(KEY, type=ColumnType(Kind.TEXT)), reason="k")
    v3 = changed(v2, wider)
    scene.write(part(v3, changes=(wider,)), run_id="run-3")

    versions = lab.open().schema_versions(USERS)
    assert [version.schema for version in versions] == [v1, v2, v3]
    assert [version.changes for version in versions] == [creation(), (note,), (wider,)]
    assert [version.run_id for version in versions] == ["run-1", "run-2", "run-3"]
    assert abs(versions[0].applied_at - datetime.now(UTC)) < timedelta(minutes=10)
    assert lab.open().schema_versions(TableId(SCHEMA, "unknown")) == []


def storable(decimals: list[str], refused: int, capabilities: Capabilities) -> tuple[list[str], int]:
    """The decimals that a destination can have, and how many of these are in the way."""
    left = [its for its in decimals if capabilities.numeric_specials or its != "NaN"]
    unlike = 0 if capabilities.numeric_scale else sum("." in its and its.endswith("0") for its in left)
    return left, refused - (len(decimals) - len(left)) - unlike


# SPEC: 13
@pytest.mark.parametrize(
    ("before", "after", "old", "new", "refused"),
    [
        (Kind.INT64, Kind.TEXT, [1, 2**63 - 1, None], [], 0),
        (Kind.INT64, Kind.TEXT, [1], ["2", "-3", None], 0),
        (Kind.INT64, Kind.TEXT, [1], ["02", "x", str(2**63), " 4", "5"], 4),
        (Kind.INT64, Kind.NUMERIC, [1], ["7", "7.0", "7.5", "NaN"], 3),
        (Kind.INT32, Kind.INT64, [1], [2**31 - 1, 2**31], 1),
        (Kind.INT64, Kind.DOUBLE, [1], [3.0, -0.0, 0.5, 1e300], 3),
        (Kind.DOUBLE, Kind.TEXT, [0.1, float("nan")], ["0.2", "1e+21", "0.20", "infinity"], 2),
        (Kind.DOUBLE, Kind.NUMERIC, [0.1], ["0.25", "0.10"], 1),
        (Kind.BOOL, Kind.TEXT, [True, False], ["yes", "true"], 1),
        (Kind.TIMESTAMP_TZ, Kind.TEXT, [NOON], ["2024-02-29", "2024-02-29T12:00:00.001Z"], 1),
        (Kind.BINARY, Kind.TEXT, [b"\x00\xff"], ["AP8=", "AP8"], 1),
        (Kind.INT64, Kind.JSON, [1], ["5"], 0),
        (Kind.INT64, Kind.JSON, [1], ["5", "[5]", "null", '"5"', "5.0"], 4),
    ],
)
def test_a_column_goes_back_only_if_every_value_does(
    scene: Scene, lab: DestinationLab, before: Kind, after: Kind, old: list[Any], new: list[Any], refused: int
) -> None:
    earlier = MS if before is Kind.TIMESTAMP_TZ else ColumnType(before)
    if after is Kind.NUMERIC:
        new, refused = storable(new, refused, lab.open().capabilities)
    schema = scene.widen(earlier, ColumnType(after), old, new)
    stored = repr(lab.rows(USERS))
    plan = scene.destination.plan_rollback(USERS, 1)
    assert [step.refused for step in plan.steps] == [refused]
    assert repr(lab.rows(USERS)) == stored
    assert scene.destination.table_schemas(SCHEMA)["users"] == schema, "a plan changes nothing"

    done = scene.destination.roll_back(USERS, 1, "run-9")
    now = scene.destination.table_schemas(SCHEMA)["users"]
    if refused:
        assert (done.version, now, repr(lab.rows(USERS))) == (None, schema, stored)
        return
    assert (done.version, now.version, now.columns[1].type) == (3, 3, earlier)
    [change] = scene.destination.schema_versions(USERS)[-1].changes
    assert (change.kind, change.reason) == (ChangeKind.ALTER_TYPE, "rolled back to version 1")
    values = [row["value"] for _, row in sorted(lab.rows(USERS).items())][: len(old)]
    assert repr(values) == repr(old)


# SPEC: 13, E4
def test_what_came_since_stays_and_is_told(scene: Scene, lab: DestinationLab) -> None:
    v2 = scene.widen(ColumnType(Kind.INT64), ColumnType(Kind.TEXT), [1], [])
    added = SchemaChange(ChangeKind.ADD_COLUMN, after=Column("note", "note", ColumnType(Kind.TEXT)))
    v3 = changed(v2, added)
    scene.write(part(v3, [{"id": 7, "value": "7", "note": "n"}], changes=(added,)))
    done = scene.destination.roll_back(USERS, 1, "run-9")
    assert [column.name for column in done.kept] == ["note"]
    assert lab.rows(USERS)[7]["note"] == "n"
    assert scene.destination.roll_back(USERS, 1, "run-9").steps == (), "it has those types already"
    assert scene.destination.roll_back(USERS, 2, "run-9").version == 5, "forward again"
    assert lab.rows(USERS)[7]["value"] == "7"
    with pytest.raises(ConfigurationError, match="versions 1 to 5"):
        scene.destination.plan_rollback(USERS, 6)


# SPEC: 13, E2, E10
def test_a_writer_that_runs_on_notices_and_widens_again(scene: Scene, lab: DestinationLab) -> None:
    config = WarpConfig.model_validate(
        {"source": {"type": "memory"}, "destination": {"type": "memory"}, "schemas": [{"name": SCHEMA}]}
    )
    scene.widen(ColumnType(Kind.INT64, exact=True), ColumnType(Kind.TEXT), [1], ["2"])
    writer = Writer(lab.open(), SCHEMA, SCHEMA, lambda name: effective(config, SCHEMA, name), "run-5")

    def write(rows: list[dict[str, Any]]) -> None:
        commit = moved(SCHEMA, scene.stream)
        receipt = writer.write([TableBatch(USERS, ("id",), raw_columns(rows), len(rows))], commit)
        scene.stream = replace(scene.stream, sequence=receipt.stream_sequence or 0)

    write([{"id": 5, "value": "five"}, {"id": 6, "value": "6"}])
    write([{"id": 5, "value": "55"}])
    assert scene.destination.roll_back(USERS, 1, "run-9").version == 3
    write([{"id": 7, "value": 7}])
    assert {key: row["value"] for key, row in lab.rows(USERS).items()} == {0: 1, 100: 2, 5: 55, 6: 6, 7: 7}
    write([{"id": 8, "value": 2**62}, {"id": 9, "value": 0.5}])
    assert {key: str(row["value"]) for key, row in lab.rows(USERS).items()}[8] == str(2**62)
    assert [version.schema.version for version in scene.destination.schema_versions(USERS)] == [1, 2, 3, 4]
