"""Turns decoded documents into columns, with one variant per type and family that occurs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
from bson.binary import Binary

from warp_resources.arrow.types import arrow_type
from warp_resources.connectors.mongodb.raw import KEY
from warp_resources.connectors.mongodb.scalars import relaxed
from warp_resources.connectors.mongodb.types import (
    EXTENDED_JSON,
    JSON,
    KEY_JSON,
    Carrier,
    Values,
    binary_carrier,
    carrier_of,
)
from warp_resources.model.batches import RawColumn, Variant
from warp_resources.model.tables import ColumnType


@dataclass(frozen=True, slots=True)
class Field:
    """One top-level field of n documents: a value each, None where it is null or missing."""

    name: str
    values: Values
    types: frozenset[type]


@dataclass(frozen=True, slots=True)
class Transposed:
    """Documents turned on their side; ``shapes`` counts the documents by their field names."""

    fields: tuple[Field, ...]
    shapes: dict[tuple[str, ...], int]
    count: int


def transpose(documents: Sequence[dict[str, Any]]) -> Transposed:
    """The fields of documents, in the order in which they are first seen."""
    shapes = Counter(map(tuple, documents))
    names = dict.fromkeys(name for shape in shapes for name in shape)
    columns: Any
    if len(shapes) == 1:
        columns = zip(*(document.values() for document in documents), strict=True)
    else:
        columns = ([document.get(name) for document in documents] for name in names)
    fields = tuple(
        Field(name, values, frozenset(map(type, values))) for name, values in zip(names, columns, strict=True)
    )
    return Transposed(fields, dict(shapes), len(documents))


def column_of(field: Field) -> RawColumn:
    """A field's values by type and, of the key, by family. May change the values in place."""
    groups = _key_groups(field) if field.name == KEY else _groups(field)
    return RawColumn(field.name, tuple(carrier.variant(values) for carrier, values in groups))


def extended_column_of(field: Field) -> RawColumn:
    """As ``column_of``, with nested values as relaxed extended JSON."""
    groups = _key_groups(field) if field.name == KEY else _groups(field)
    return RawColumn(
        field.name,
        tuple((EXTENDED_JSON if carrier is JSON else carrier).variant(values) for carrier, values in groups),
    )


def concatenate(parts: Sequence[tuple[Sequence[RawColumn], int]]) -> tuple[RawColumn, ...]:
    """One after the other, batches of columns with their row counts; what one lacks is null."""
    if len(parts) == 1:
        return tuple(parts[0][0])
    names = dict.fromkeys(column.name for columns, _ in parts for column in columns)
    by_name = [({column.name: column for column in columns}, count) for columns, count in parts]
    return tuple(
        RawColumn(name, _concatenated([(columns.get(name), count) for columns, count in by_name])) for name in names
    )


def _groups(field: Field) -> list[tuple[Carrier, Values]]:
    types = field.types - {type(None)}
    if Binary not in types:
        return _by_type(field.values, {value_type: carrier_of(value_type) for value_type in types})
    others = {value_type: carrier_of(value_type) for value_type in types - {Binary, bytes}}
    return [*_by_type(_masked(field.values, others), others), *_by_subtype(field.values)]


def _by_type(values: Values, carriers: dict[type, Carrier]) -> list[tuple[Carrier, Values]]:
    members: dict[Carrier, set[type]] = {}
    for value_type, carrier in carriers.items():
        members.setdefault(carrier, set()).add(value_type)
    if len(members) == 1:
        return [(carrier, values) for carrier in members]
    return [(carrier, _masked(values, types)) for carrier, types in members.items()]


def _by_subtype(values: Values) -> Iterator[tuple[Carrier, Values]]:
    carriers = [binary_carrier(value) if isinstance(value, bytes) else None for value in values]
    for carrier in dict.fromkeys(filter(None, carriers)):
        yield (
            carrier,
            [value if its is carrier or its == carrier else None for value, its in zip(values, carriers, strict=True)],
        )


def _key_groups(field: Field) -> list[tuple[Carrier, Values]]:
    odd = {value_type for value_type in field.types if carrier_of(value_type) is JSON}
    if not odd:
        return _groups(field)
    texts = [relaxed(value) if type(value) in odd else None for value in field.values]
    usual = field.types - odd
    return [*_groups(Field(field.name, _masked(field.values, usual), usual)), (KEY_JSON, texts)]


def _masked(values: Values, types: Collection[type]) -> Values:
    return [value if type(value) in types else None for value in values]


def _concatenated(parts: Sequence[tuple[RawColumn | None, int]]) -> tuple[Variant, ...]:
    kinds: dict[tuple[ColumnType, str], bool] = {}
    for column, _ in parts:
        for variant in column.variants if column else ():
            identity = _identity(variant)
            kinds[identity] = kinds.get(identity, True) and variant.type.exact
    return tuple(_joined(identity, exact, parts) for identity, exact in kinds.items())


def _joined(identity: tuple[ColumnType, str], exact: bool, parts: Sequence[tuple[RawColumn | None, int]]) -> Variant:
    column_type, family = identity
    arrays = []
    for column, count in parts:
        found = [variant.values for variant in (column.variants if column else ()) if _identity(variant) == identity]
        arrays.append(found[0] if found else pa.nulls(count, arrow_type(column_type)))
    return Variant(replace(column_type, exact=exact), pa.concat_arrays(arrays), family)


def _identity(variant: Variant) -> tuple[ColumnType, str]:
    return replace(variant.type, exact=False), variant.family
