"""Says which column type each BigQuery type becomes.

=====================  ===========================  =====================================================
BigQuery               column type                  carried as
=====================  ===========================  =====================================================
INT64                  int64                        int64; ``exact`` as the values prove
FLOAT64                double                       double
BOOL                   bool                         bool
STRING, GEOGRAPHY,     text                         string; a geography as WKT, an interval as BigQuery
INTERVAL                                            prints it
BYTES                  binary                       bytes
NUMERIC, BIGNUMERIC    numeric                      decimal literal without zeros at its end
NUMERIC(P, S)          numeric(P, S)                decimal literal of S decimals
TIMESTAMP              timestamp_tz                 microseconds since 1970; picoseconds are refused
DATETIME               timestamp                    microseconds since 1970
DATE, TIME             date, time                   days since 1970, microseconds since midnight
JSON                   json                         as BigQuery prints it
STRUCT, ARRAY, RANGE   json                         canonical JSON, a range as its ``start`` and ``end``
=====================  ===========================  =====================================================

Source: https://cloud.google.com/bigquery/docs/reference/storage#arrow_schema_details
"""

from __future__ import annotations

from collections.abc import Sequence

from google.cloud.bigquery import SchemaField

from warp_resources.model.tables import ColumnType, Kind

REPEATED, RECORD, RANGE, JSON = "REPEATED", "RECORD", "RANGE", "JSON"

_NAMES = {
    "INTEGER": "INT64",
    "FLOAT": "FLOAT64",
    "BOOLEAN": "BOOL",
    "STRUCT": RECORD,
    "DECIMAL": "NUMERIC",
    "BIGDECIMAL": "BIGNUMERIC",
}
_KINDS = {
    "INT64": Kind.INT64,
    "FLOAT64": Kind.DOUBLE,
    "BOOL": Kind.BOOL,
    "STRING": Kind.TEXT,
    "GEOGRAPHY": Kind.TEXT,
    "INTERVAL": Kind.TEXT,
    "BYTES": Kind.BINARY,
    "NUMERIC": Kind.NUMERIC,
    "BIGNUMERIC": Kind.NUMERIC,
    "DATE": Kind.DATE,
    "TIME": Kind.TIME,
    JSON: Kind.JSON,
    RECORD: Kind.JSON,
    RANGE: Kind.JSON,
}
MARKERS = ("TIMESTAMP", "DATETIME", "DATE")
"""The types that a marker column may have."""


def type_name(field: SchemaField) -> str:
    """The name of a field's type as SQL has it, but for STRUCT, which is RECORD."""
    return _NAMES.get(field.field_type, str(field.field_type))


def column_type(field: SchemaField) -> ColumnType:
    """The type of the column that a field becomes; text for types that are not known yet."""
    name = type_name(field)
    if field.mode == REPEATED:
        return ColumnType(Kind.JSON)
    if name == "TIMESTAMP":
        return ColumnType(Kind.TIMESTAMP_TZ, unit="us")
    if name == "DATETIME":
        return ColumnType(Kind.TIMESTAMP, unit="us")
    kind = _KINDS.get(name, Kind.TEXT)
    if kind is Kind.NUMERIC and field.precision is not None:
        return ColumnType(kind, precision=field.precision, scale=field.scale or 0)
    return ColumnType(kind)


def named(fields: Sequence[SchemaField], name: str) -> SchemaField | None:
    """The field of a name; BigQuery tells no case apart."""
    return next((field for field in fields if field.name.casefold() == name.casefold()), None)


def is_too_fine(field: SchemaField) -> bool:
    """Whether a field, or one within it, has times of picoseconds."""
    # Earlier clients have no name for it.
    return str(field.to_api_repr().get("timestampPrecision")) == "12" or any(map(is_too_fine, field.fields))
