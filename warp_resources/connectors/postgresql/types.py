"""Says which PostgreSQL type stores each logical column type, and which one carries it there."""

from __future__ import annotations

from warp_resources.model.tables import ColumnType, Kind

_NAMES = {
    Kind.BOOL: "boolean",
    Kind.INT16: "smallint",
    Kind.INT32: "integer",
    Kind.INT64: "bigint",
    Kind.FLOAT32: "real",
    Kind.DOUBLE: "double precision",
    Kind.NUMERIC: "numeric",
    Kind.TEXT: "text",
    Kind.BINARY: "bytea",
    Kind.UUID: "uuid",
    Kind.TIMESTAMP_TZ: "timestamp with time zone",
    Kind.TIMESTAMP: "timestamp without time zone",
    Kind.DATE: "date",
    Kind.TIME: "time without time zone",
    Kind.JSON: "jsonb",
}


def stored_type(column: ColumnType) -> str:
    """The type of a column as ``format_type`` spells it."""
    if column.kind is Kind.NUMERIC and column.precision is not None:
        return f"numeric({column.precision},{column.scale or 0})"
    return _NAMES[column.kind]


def staging_type(column: ColumnType) -> str:
    """The type in a staging table: numeric travels as text, since binary COPY has no spelling that keeps its scale."""
    return "text" if column.kind is Kind.NUMERIC else _NAMES[column.kind]


def is_straight(column: ColumnType) -> bool:
    """Whether binary COPY can fill the column itself, without a cast in between."""
    return staging_type(column) == stored_type(column)
