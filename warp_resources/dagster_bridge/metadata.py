"""Says what happened to a table in the terms of Dagster's asset pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import dagster as dg
import structlog

from warp_resources.connectors.interfaces import Destination
from warp_resources.dagster_bridge.keys import asset_key
from warp_resources.dagster_bridge.preview import ROWS, preview
from warp_resources.dagster_bridge.trend import earlier_counts, trend
from warp_resources.dagster_bridge.versions import history_metadata
from warp_resources.errors import TransientError
from warp_resources.masking import mask
from warp_resources.model.positions import Position
from warp_resources.model.tables import TableId, TableSchema

Metadata = Mapping[str, dg.MetadataValue]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Happening:
    """What was done to one table, by a run of Dagster's or by a process of its own.

    ``aside_reason``: why its stream goes on without it, if it does. ``rows_read``: where the table, or slices of it,
    were read again, how many rows these have, and how fast it went.
    """

    table: TableId
    rows_written: int = 0
    rows_deleted: int = 0
    rows_rejected: int = 0
    byte_count: int = 0
    position: Position | None = None
    lag_seconds: float | None = None
    aside_reason: str | None = None
    rows_read: int | None = None
    rows_per_second: float | None = None

    @property
    def is_nothing(self) -> bool:
        return not (self.rows_written or self.rows_deleted or self.rows_rejected)


def materialization_metadata(
    destination: Destination,
    instance: dg.DagsterInstance,
    its: Happening,
    schemas: Mapping[str, TableSchema] | None = None,
    *,
    tells_versions: bool = True,
) -> Metadata:
    """All of D6: what was done, and what the table looks like now.

    Args:
        schemas: what ``table_schemas`` of the schema just gave, where many tables are told of.
        tells_versions: the latest changes of the table's schema too, which is one more query.
    """
    known = destination.table_schemas(its.table.schema) if schemas is None else schemas
    found: dict[str, dg.MetadataValue] = {
        "rows_written": dg.MetadataValue.int(its.rows_written),
        "rows_deleted": dg.MetadataValue.int(its.rows_deleted),
        "rows_rejected": dg.MetadataValue.int(its.rows_rejected),
        "bytes": dg.MetadataValue.int(its.byte_count),
        **_reading_metadata(its),
        **place_metadata(its),
        "trend": trend([*earlier_counts(instance, asset_key(its.table)), its.rows_written]),
    }
    if tells_versions:
        found |= history_metadata(destination, its.table)
    return {**found, **_appearance(destination, its.table), **schema_metadata(known.get(its.table.name))}


def _reading_metadata(its: Happening) -> Metadata:
    if its.rows_read is None:
        return {}
    return {
        "rows_read": dg.MetadataValue.int(its.rows_read),
        "rows_per_second": dg.MetadataValue.float(its.rows_per_second or 0.0),
    }


def _appearance(destination: Destination, table: TableId) -> Metadata:
    """How many rows there are and some of them; nothing of a table that somebody locked or that takes too long."""
    try:
        return {
            "dagster/row_count": dg.MetadataValue.int(destination.row_estimate(table)),
            "preview": preview(destination.preview(table, ROWS)),
        }
    except TransientError as error:
        log.warning("table not looked at", table=str(table), error=str(error))
        return {}


def place_metadata(its: Happening) -> Metadata:
    """Where a table stands, which is all there is to say when nothing was done."""
    lag, position = its.lag_seconds, its.position
    aside = {} if its.aside_reason is None else {"set_aside": dg.MetadataValue.text(mask(its.aside_reason))}
    return {
        **aside,
        "lag_seconds": dg.MetadataValue.null() if lag is None else dg.MetadataValue.float(round(lag, 3)),
        "position": dg.MetadataValue.null() if position is None else dg.MetadataValue.json(position),
    }


def schema_metadata(schema: TableSchema | None) -> Metadata:
    """The stored name and columns of a table, nothing where it does not exist yet."""
    if schema is None:
        return {}
    return {
        "dagster/table_name": dg.MetadataValue.text(f"{schema.stored_schema}.{schema.stored_table}"),
        "dagster/column_schema": dg.MetadataValue.table_schema(_columns(schema)),
    }


def _columns(schema: TableSchema) -> dg.TableSchema:
    flag = [dg.TableColumn(schema.flag, "bool", "Whether the row is deleted at the source")] if schema.flag else []
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.stored,
                type=str(column.type),
                description=None if column.stored == column.name else f"The field {column.name!r} of the source",
                constraints=dg.TableColumnConstraints(
                    nullable=column.name not in schema.key, unique=schema.key == (column.name,)
                ),
            )
            for column in schema.columns
        ]
        + flag
    )
