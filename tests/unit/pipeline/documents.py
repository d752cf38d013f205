"""Documents as batches, for tests of conforming."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from warp_resources.arrow.types import arrow_type
from warp_resources.model.batches import Original, RawColumn, TableBatch, Variant
from warp_resources.model.capabilities import Capabilities
from warp_resources.model.tables import ColumnType, Kind, TableId

TARGET = Capabilities()
TABLE = TableId("shop", "users")
BOOL, INT32, INT64, DOUBLE, NUMERIC, TEXT, JSON, UUID, BINARY, DATE = map(
    ColumnType,
    (
        Kind.BOOL,
        Kind.INT32,
        Kind.INT64,
        Kind.DOUBLE,
        Kind.NUMERIC,
        Kind.TEXT,
        Kind.JSON,
        Kind.UUID,
        Kind.BINARY,
        Kind.DATE,
    ),
)
MILLIS = ColumnType(Kind.TIMESTAMP_TZ, unit="ms")
FAR = 2**63 - 1

Value = tuple[ColumnType, Any]
Document = dict[str, Value]


def raw(name: str, values: Sequence[Value | None], family: str = "") -> RawColumn:
    kinds = list(dict.fromkeys(value[0] for value in values if value is not None))
    return RawColumn(
        name,
        tuple(
            Variant(kind, pa.array([v[1] if v and v[0] == kind else None for v in values], arrow_type(kind)), family)
            for kind in kinds
        ),
    )


def batch_of(documents: Sequence[Document], deletes: Sequence[Document] = (), **more: Any) -> TableBatch:
    names = list(dict.fromkeys(name for document in documents for name in document))
    return TableBatch(
        TABLE,
        ("_id",),
        tuple(raw(name, [document.get(name) for document in documents]) for name in names),
        len(documents),
        deletes=tuple(raw("_id", [document.get("_id") for document in deletes]) for _ in deletes[:1]),
        delete_count=len(deletes),
        original=lambda row: Original(repr(documents[row]), "extended_json", f"key {documents[row].get('_id')}"),
        **more,
    )
