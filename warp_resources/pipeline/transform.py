"""Runs a table's business rules: a user's function from RecordBatch to RecordBatch."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache, reduce
from typing import TypeAlias

import pyarrow as pa

from warp_resources.arrow.coerce import coerce
from warp_resources.arrow.foreign import KIND, Refused, variant_of
from warp_resources.arrow.lattice import join
from warp_resources.arrow.rows import first_valid
from warp_resources.errors import ConfigurationError, TableFailure
from warp_resources.model.batches import RawColumn, TableBatch
from warp_resources.model.tables import ColumnType, Kind

Transform: TypeAlias = Callable[[pa.RecordBatch], pa.RecordBatch]


@cache
def load_transform(path: str) -> Transform:
    """The function that ``module:function`` names; modules are found as ``python -m`` finds them.

    Raises:
        ConfigurationError: there is no such module, it cannot be imported, or has no such function.
    """
    module_name, _, name = path.partition(":")
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.append(os.getcwd())
    try:
        found = getattr(importlib.import_module(module_name), name, None)
    except (Exception, SystemExit) as error:
        raise ConfigurationError(
            f"The transform {path} cannot be imported: {type(error).__name__}: {error}",
            remedy="Put its module beside where cartridge-warp is started, or install it",
        ) from error
    if not callable(found):
        raise ConfigurationError(
            f"The transform {path} names no function", remedy=f"Define {name} in the module {module_name}"
        )
    function: Transform = found
    return function


def transformed(batch: TableBatch, path: str | None) -> TableBatch:
    """The batch with its rows as the rules leave them; deletes are not shown to the rules.

    A column that comes back with the same values, under whatever name, keeps the types that the source gave each
    of them.

    Raises:
        TableFailure: the rules fail, or do more than rules may: rows and keys stay as they are.
    """
    if path is None or not batch.row_count:
        return batch
    joined = {raw.name: _joined(raw, batch.row_count) for raw in batch.columns}
    given = pa.RecordBatch.from_arrays(
        [values for _, values in joined.values()],
        schema=pa.schema([_field(name, its, values) for name, (its, values) in joined.items()]),
    )
    made = _called(path, given, batch)
    _refuse_others(path, given, made, batch)
    known = {raw.name: raw for raw in batch.columns}
    columns = []
    for place, field in enumerate(made.schema):
        values, before = made.column(place), known.get(field.name)
        if before is not None and _is_same(given.column(field.name), values):
            columns.append(before)
        elif (former := _passed_on(field, values, given)) is not None:
            columns.append(replace(known[former], name=field.name))
        else:
            columns.append(_column(path, batch, field, values, given))
    return replace(batch, columns=tuple(columns))


def _joined(raw: RawColumn, length: int) -> tuple[ColumnType | None, pa.Array]:
    """All values of a field in one type."""
    if not raw.variants:
        return None, pa.nulls(length)
    its = reduce(join, (variant.type for variant in raw.variants))
    if len(raw.variants) == 1:
        return its, raw.variants[0].values
    return its, first_valid([coerce(variant.values, variant.type, its).values for variant in raw.variants])


def _field(name: str, its: ColumnType | None, values: pa.Array) -> pa.Field:
    return pa.field(name, values.type, metadata={KIND: str(its.kind).encode()} if its else None)


def _called(path: str, given: pa.RecordBatch, batch: TableBatch) -> pa.RecordBatch:
    try:
        return load_transform(path)(given)
    except ConfigurationError:
        raise
    # Whatever a user's function raises concerns its table only, and so does a call of sys.exit.
    except (Exception, SystemExit) as error:
        raise _failure(path, batch, f"raised {type(error).__name__}", "Mend it; --debug shows where") from error


def _refuse_others(path: str, given: pa.RecordBatch, made: object, batch: TableBatch) -> None:
    if not isinstance(made, pa.RecordBatch):
        raise _failure(path, batch, f"returned a {type(made).__name__}", "Return a pyarrow.RecordBatch")
    if made.num_rows != given.num_rows:
        what = f"returned {made.num_rows} rows for {given.num_rows}"
        raise _failure(path, batch, what, "Return each row once, in the order given; it may change values and columns")
    if len(set(made.schema.names)) < len(made.schema.names):
        raise _failure(path, batch, "returned two columns of one name", "Give each column a name of its own")
    if any("\0" in name for name in made.schema.names):
        raise _failure(path, batch, "returned a column with a NUL in its name", "Give it another name")
    for name in batch.key:
        if name in given.schema.names and not (
            name in made.schema.names and _is_same(given.column(name), made.column(name))
        ):
            raise _failure(path, batch, f"changed the key column {name}", "Return it as it was given")


def _column(path: str, batch: TableBatch, field: pa.Field, values: pa.Array, given: pa.RecordBatch) -> RawColumn:
    try:
        variant = variant_of(values, _kind(field, given))
    except Refused as error:
        raise _failure(path, batch, f"returned the column {field.name} {error}", error.remedy) from error
    return RawColumn(field.name, () if variant is None else (variant,))


def _kind(field: pa.Field, given: pa.RecordBatch) -> Kind | None:
    """What the field says it holds; else what it held, if its Arrow type is the same."""
    said = (field.metadata or {}).get(KIND)
    if said is None and field.name in given.schema.names and given.schema.field(field.name).type == field.type:
        said = (given.schema.field(field.name).metadata or {}).get(KIND)
    return next((kind for kind in Kind if said == str(kind).encode()), None)


def _passed_on(field: pa.Field, values: pa.Array, given: pa.RecordBatch) -> str | None:
    """The name under which a field's very array was given, unless the field says that it holds another kind now."""
    said = (field.metadata or {}).get(KIND)
    for place, its in enumerate(given.schema):
        if said not in (None, (its.metadata or {}).get(KIND)) or its.type != field.type:
            continue
        if _place(given.column(place)) == _place(values):
            return str(its.name)
    return None


def _is_same(one: pa.Array, other: pa.Array) -> bool:
    """Whether two arrays are one, or hold the same; NaN is itself only in one array."""
    if one.type != other.type:
        return False
    return _place(one) == _place(other) or bool(one.equals(other))


def _place(values: pa.Array) -> tuple[object, ...]:
    return (values.offset, len(values), *(part.address if part is not None else None for part in values.buffers()))


def _failure(path: str, batch: TableBatch, what: str, remedy: str) -> TableFailure:
    return TableFailure(f"The transform {path} {what}", remedy=remedy, table=batch.table)
