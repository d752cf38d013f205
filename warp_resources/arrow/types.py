"""Says which Arrow type carries each logical column type."""

from __future__ import annotations

import pyarrow as pa

from warp_resources.model.tables import ColumnType, Kind

_CARRIERS: dict[Kind, pa.DataType] = {
    Kind.BOOL: pa.bool_(),
    Kind.INT16: pa.int16(),
    Kind.INT32: pa.int32(),
    Kind.INT64: pa.int64(),
    Kind.FLOAT32: pa.float32(),
    Kind.DOUBLE: pa.float64(),
    Kind.NUMERIC: pa.string(),
    Kind.TEXT: pa.string(),
    Kind.BINARY: pa.binary(),
    Kind.UUID: pa.binary(16),
    Kind.DATE: pa.date32(),
    Kind.TIME: pa.time64("us"),
    Kind.JSON: pa.string(),
}


def arrow_type(column_type: ColumnType) -> pa.DataType:
    """The Arrow type that carries the values of a column type, as ``model.tables.Kind`` lists them."""
    if column_type.kind is Kind.TIMESTAMP_TZ:
        return pa.timestamp(column_type.unit or "us", "UTC")
    if column_type.kind is Kind.TIMESTAMP:
        return pa.timestamp(column_type.unit or "us")
    return _CARRIERS[column_type.kind]
