"""Reads the rows of some keys, and tells which keys a table does not have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
from google.cloud.bigquery import SchemaField

from warp_resources.arrow.keys import compound, key_text
from warp_resources.arrow.numbers import integers_are_exact
from warp_resources.connectors.bigquery.catalog import Origin
from warp_resources.connectors.bigquery.decode import decoded, key_texts
from warp_resources.connectors.bigquery.fields import column_type, named
from warp_resources.connectors.bigquery.key_values import key_columns, keys_parameter
from warp_resources.connectors.bigquery.session import Session, quoted
from warp_resources.connectors.bigquery.storage import Storage
from warp_resources.connectors.interfaces import ReadLimits
from warp_resources.model.batches import RawColumn, TableBatch, Variant
from warp_resources.model.tables import ColumnType, Kind

_ALL = ReadLimits(None, 2**62)


def read_keys(
    session: Session, storage: Storage, origin: Origin, keys: Sequence[str], *, extended: bool = False
) -> TableBatch:
    """The present rows of some keys, and the others as deletes.

    First only the key columns are read, which tells what is gone; all columns only where a row is left.
    """
    fields = [field for name in origin.key if (field := named(origin.fields, name)) is not None]
    columns = key_columns(keys, fields)
    asked = compound([key_text(its) for its in _variants(fields, columns)])
    present = _read(session, storage, origin, fields, columns, fields)
    found = key_texts(origin.key, present.columns)
    if present.row_count:
        present = _read(session, storage, origin, fields, columns, origin.fields, extended=extended)
        found = key_texts(origin.key, present.columns)
    gone = _first_of_each(asked)
    if found is not None and len(found):
        gone = pc.and_(gone, pc.invert(pc.is_in(asked, value_set=found)))
    lost = [column.filter(gone) for column in columns]
    deletes = tuple(RawColumn(field.name, (its,)) for field, its in zip(fields, _variants(fields, lost), strict=True))
    return replace(present, deletes=deletes, delete_count=len(lost[0]))


def _read(
    session: Session,
    storage: Storage,
    origin: Origin,
    key: Sequence[SchemaField],
    columns: Sequence[pa.Array],
    wanted: Sequence[SchemaField],
    *,
    extended: bool = False,
) -> TableBatch:
    script = keyed_query(origin, key, wanted)
    found = session.result_table(script, [keys_parameter("keys", key, columns)], kind="keys")
    return decoded(origin.id, origin.key, wanted, storage.begin(found).take(_ALL), extended=extended)


def keyed_query(origin: Origin, key: Sequence[SchemaField], wanted: Sequence[SchemaField]) -> str:
    """The query for some columns of the rows whose keys are in the parameter ``keys``."""
    if len(key) == 1:
        condition = f"T.{quoted(key[0].name)} in unnest(@keys)"
    else:
        same = " and ".join(f"T.{quoted(field.name)} = K.k{number}" for number, field in enumerate(key))
        condition = f"exists (select 1 from unnest(@keys) as K where {same})"
    columns = ", ".join(f"T.{quoted(field.name)}" for field in wanted)
    return f"select {columns} from {origin.sql} as T where {condition}"


def _variants(fields: Sequence[SchemaField], columns: Sequence[pa.Array]) -> list[Variant]:
    return [Variant(_proved(column_type(field), values), values) for field, values in zip(fields, columns, strict=True)]


def _proved(its: ColumnType, values: pa.Array) -> ColumnType:
    return replace(its, exact=integers_are_exact(values)) if its.kind is Kind.INT64 else its


def _first_of_each(texts: pa.Array) -> pa.Array:
    """A mask of the first of each text: a key may be asked for twice."""
    first: dict[str, int] = {}
    for row, text in enumerate(texts.to_pylist()):
        first.setdefault(text, row)
    kept = set(first.values())
    return pa.array([row in kept for row in range(len(texts))], pa.bool_())
