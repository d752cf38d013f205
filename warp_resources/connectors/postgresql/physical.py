"""Says which stored columns hold a table's values while some of them are being rewritten."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from warp_resources.arrow.coerce import coerce
from warp_resources.arrow.lattice import TIMESTAMPS
from warp_resources.arrow.limits import outside_dates, outside_range, too_many_digits
from warp_resources.arrow.types import arrow_type
from warp_resources.connectors.postgresql.conversions import converted
from warp_resources.model.capabilities import Capabilities
from warp_resources.model.tables import Column, ColumnType, Kind, Rewrite, TableSchema

_LIMITS = Capabilities()
_FORMER = "\0"
"""In the name of a stored column for which no field of a source stands: they have none of it in theirs."""


def physical_schema(schema: TableSchema) -> TableSchema:
    """The schema with every stored column as a column of its own; the same one where nothing is rewritten."""
    if not schema.rewritten:
        return schema
    return schema.with_columns(tuple(part for column in schema.columns for part in _stored_columns(column)))


def physical_rows(schema: TableSchema, rows: pa.RecordBatch) -> pa.RecordBatch:
    """Rows with a value for every stored column; null in the former ones where it does not fit them exactly."""
    rewritten = {column.stored: column for column in schema.rewritten}
    if not rewritten:
        return rows
    names: list[str] = []
    arrays: list[pa.Array] = []
    for name, values in zip(rows.schema.names, rows.columns, strict=True):
        column = rewritten.get(name)
        if column is None or column.rewrite is None:
            names.append(name)
            arrays.append(values)
            continue
        names += [column.rewrite.stored, *(former.stored for former in column.rewrite.formers)]
        arrays += [values, *(_fitting(values, column.type, former.type) for former in column.rewrite.formers)]
    return pa.RecordBatch.from_arrays(arrays, names=names)


def is_former(column: Column) -> bool:
    """Whether a column of a physical schema is one that another takes over from."""
    return _FORMER in column.name


def value_of(column: Column, alias: str = "t") -> sql.Composable:
    """A row's value in a column, wherever it is; needs ``temporary_functions`` where the column is rewritten."""
    if column.rewrite is None:
        return _named(column.stored, alias)
    return whole_value(column, column.rewrite, alias)


def whole_value(column: Column, rewrite: Rewrite, alias: str = "t") -> sql.Composed:
    """A row's value in a column that is being rewritten, in the new type."""
    parts: list[sql.Composable] = [_named(rewrite.stored, alias)]
    parts += [converted(former.type, column.type, _named(former.stored, alias)) for former in rewrite.formers]
    return sql.SQL("coalesce({})").format(sql.SQL(", ").join(parts))


def is_unfilled(rewrite: Rewrite, alias: str = "t") -> sql.Composed:
    """Whether a row's value is in a former column only."""
    held = [sql.SQL("{} is not null").format(_named(former.stored, alias)) for former in rewrite.formers]
    return sql.SQL("({} is null and ({}))").format(_named(rewrite.stored, alias), sql.SQL(" or ").join(held))


def _named(stored: str, alias: str) -> sql.Composed:
    return sql.SQL(f"{alias}.{{}}" if alias else "{}").format(sql.Identifier(stored))


def _stored_columns(column: Column) -> Iterator[Column]:
    rewrite = column.rewrite
    if rewrite is None:
        yield column
        return
    yield Column(column.name, rewrite.stored, column.type)
    for number, former in enumerate(rewrite.formers):
        yield Column(f"{column.name}{_FORMER}{number}", former.stored, former.type)


def _fitting(values: pa.Array, source: ColumnType, target: ColumnType) -> pa.Array:
    if source.kind is Kind.JSON and target.kind is Kind.TEXT:
        # Its text is that of the JSON, not of what it stands for.
        return pa.nulls(len(values), arrow_type(target))
    coerced = coerce(values, source, target)
    unfit = [coerced.altered]
    if target.kind in TIMESTAMPS:
        unfit.append(outside_range(coerced.values, _LIMITS.timestamp_range))
    if target.kind is Kind.DATE:
        unfit.append(outside_dates(coerced.values, _LIMITS.date_range))
    if target.kind is Kind.NUMERIC:
        unfit.append(too_many_digits(coerced.values, _LIMITS.numeric_digits))
    return _without(coerced.values, unfit)


def _without(values: pa.Array, masks: Sequence[pa.Array]) -> pa.Array:
    for mask in masks:
        if mask.true_count:
            values = pc.if_else(mask, None, values)
    return values
