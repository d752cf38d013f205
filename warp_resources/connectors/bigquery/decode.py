"""Turns Arrow batches, as BigQuery sends them, into raw columns of one declared type each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from google.cloud.bigquery import SchemaField

from warp_resources.arrow.keys import compound, key_text
from warp_resources.arrow.numbers import integers_are_exact
from warp_resources.arrow.rows import claims, replace_rows, row_numbers
from warp_resources.arrow.types import arrow_type
from warp_resources.connectors.bigquery.fields import RECORD, column_type, named, type_name
from warp_resources.connectors.bigquery.nested import interval_text, plain_decimal, speller
from warp_resources.connectors.bigquery.originals import Originals
from warp_resources.errors import TableFailure
from warp_resources.evolution.losses import DUPLICATE_KEY, NEGATIVE_ZERO
from warp_resources.model.batches import Flaw, RawColumn, TableBatch, Variant
from warp_resources.model.tables import ColumnType, Kind, TableId


class TypesDiffer(TableFailure):
    """Rows are of other types than their table declares now: it was changed since their snapshot was made."""


def decoded(
    table: TableId,
    key: tuple[str, ...],
    fields: Sequence[SchemaField],
    rows: pa.RecordBatch | None,
    *,
    extended: bool = False,
) -> TableBatch:
    """Rows as a batch, each key once.

    Args:
        rows: None stands for none.

    Raises:
        TypesDiffer: the rows are not of the types that the fields declare.
    """
    if rows is None:
        return TableBatch(table, key, (), 0)
    # What was added since the reading began is not in its snapshot.
    present = [field for field in fields if field.name in rows.schema.names]
    columns = tuple(_declared_column(table, field, rows, extended=extended) for field in present)
    whole, flaws = _each_key_once(key, columns, rows.num_rows)
    originals = Originals(whole, key)
    return TableBatch(
        table=table,
        key=key,
        columns=whole,
        row_count=rows.num_rows - len(flaws),
        flaws=(*flaws, *_negative_zeros(whole, fields, originals)),
        original=originals.of,
        byte_count=rows.nbytes,
    )


def _declared_column(table: TableId, field: SchemaField, rows: pa.RecordBatch, *, extended: bool) -> RawColumn:
    try:
        return raw_column(field, rows, extended=extended)
    except (pa.ArrowException, ValueError, TypeError, AttributeError) as error:
        raise TypesDiffer(
            f"The rows have values in column {field.name!r} that are not of the type that it is declared with",
            remedy="Of a view, declare it anew: create or replace view; of a table whose column has just been given "
            "another type, run again",
            table=table,
            declared=type_name(field),
            found=rows.schema.field(field.name).type,
        ) from error


def raw_column(field: SchemaField, rows: pa.RecordBatch, *, extended: bool = False) -> RawColumn:
    """One field of the rows as a column of the type that the table declares of it."""
    its = column_type(field)
    values = rows.column(field.name)
    if its.kind is Kind.NUMERIC:
        return _column(field, its, _decimals(values, its))
    if its.kind is Kind.JSON and not pa.types.is_string(values.type):
        return _column(field, its, _spelled(values, speller(field, extended=extended)))
    if its.kind is Kind.TEXT and not pa.types.is_string(values.type):
        return _column(field, its, _spelled(values, interval_text))
    carrier = arrow_type(its)
    if values.type != carrier:
        values = _doubles(values) if its.kind is Kind.DOUBLE else values.cast(carrier)
    if its.kind is Kind.INT64:
        its = ColumnType(Kind.INT64, exact=integers_are_exact(values))
    return _column(field, its, values)


def _column(field: SchemaField, its: ColumnType, values: pa.Array) -> RawColumn:
    return RawColumn(field.name, (Variant(its, values),))


def _spelled(values: pa.Array, spell: Callable[[Any], str]) -> pa.Array:
    return pa.array([None if value is None else spell(value) for value in values.to_pylist()], pa.string())


def _doubles(values: pa.Array) -> pa.Array:
    """Numbers of a snapshot that is older than the widening of their column, as the column has them now."""
    return pa.array([None if value is None else float(value) for value in values.to_pylist()], pa.float64())


def _decimals(values: pa.Array, its: ColumnType) -> pa.Array:
    """Decimals as literals: of the declared scale, else without zeros at their ends."""
    if pa.types.is_integer(values.type):
        # The snapshot is older than the widening of the column.
        values = values.cast(pa.decimal128(19, 0))
    if its.precision is not None and (scale := its.scale) is not None:
        # Neither the result of a query nor an older snapshot knows of the scale that the column is declared with.
        is_short = its.precision <= 38 and pa.types.is_decimal128(values.type)
        wider = pa.decimal128(38, scale) if is_short else pa.decimal256(76, scale)
        text = values.cast(wider).cast(pa.string())
        return _plain(text, values, lambda value: format(value, f".{scale}f"))
    text = values.cast(pa.string())
    short = pc.replace_substring_regex(text, r"\.?0*$", "") if values.type.scale > 0 else text
    return _plain(short, values, plain_decimal)


def _plain(text: pa.Array, values: pa.Array, spell: Callable[[Decimal], str]) -> pa.Array:
    """The literals without exponents, which Arrow writes small numbers with."""
    return replace_rows(text, pc.match_substring(text, "E"), values, spell)


def _each_key_once(
    key: Sequence[str], columns: tuple[RawColumn, ...], count: int
) -> tuple[tuple[RawColumn, ...], list[Flaw]]:
    """The columns without the rows whose key a later row has, since BigQuery enforces none, and a flaw for each."""
    texts = key_texts(key, columns)
    if texts is None or pc.count_distinct(texts, mode="only_valid").as_py() == count - texts.null_count:
        return columns, []
    last = {text: row for row, text in enumerate(texts.to_pylist())}
    spared = pa.array([text is None or last[text] == row for row, text in enumerate(texts.to_pylist())])
    originals = Originals(columns, tuple(key))
    lost = row_numbers(pc.invert(spared))
    flaws = [Flaw(originals.of(row), DUPLICATE_KEY, key_text=texts[row].as_py()) for row in lost]
    kept = tuple(
        RawColumn(raw.name, tuple(Variant(its.type, its.values.filter(spared)) for its in raw.variants))
        for raw in columns
    )
    return kept, flaws


def key_texts(key: Sequence[str], columns: Sequence[RawColumn]) -> pa.Array | None:
    """The key of each row as ``arrow.keys`` spells it; None where the columns have no key."""
    by_name = {raw.name: raw.variants[0] for raw in columns if raw.variants}
    if not key or not all(name in by_name for name in key):
        return None
    return compound([key_text(by_name[name]) for name in key])


def _negative_zeros(
    columns: Sequence[RawColumn], fields: Sequence[SchemaField], originals: Originals
) -> Iterator[Flaw]:
    """JSON has no -0.0: each such value within a JSON column is told of."""
    for raw in columns:
        [variant] = raw.variants
        field = named(fields, raw.name)
        if variant.type.kind is not Kind.JSON or field is None or not _may_have_doubles(field):
            continue
        suspects = claims(pc.match_substring_regex(variant.values, r"(?:^|[\[,:])-0"))
        for row in row_numbers(suspects):
            if _has_negative_zero(variant.values[row].as_py()):
                yield Flaw(originals.of(row), NEGATIVE_ZERO, raw.name, originals.key_text(row))


def _may_have_doubles(field: SchemaField) -> bool:
    name = type_name(field)
    return name in ("FLOAT64", "JSON") or (name == RECORD and any(map(_may_have_doubles, field.fields)))


def _has_negative_zero(text: str) -> bool:
    found: list[str] = []

    def note(number: str) -> str:
        if number.startswith("-") and not Decimal(number):
            found.append(number)
        return number

    json.loads(text, parse_float=note, parse_int=note)
    return bool(found)
