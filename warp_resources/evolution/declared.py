"""Decides the type of columns that were declared to have one: what comes in does not change it."""

from __future__ import annotations

from dataclasses import replace

from warp_resources.arrow.lattice import TIMESTAMPS, Fit, fit
from warp_resources.errors import TableFailure
from warp_resources.evolution.diff import ColumnDiff
from warp_resources.evolution.policy import Decision
from warp_resources.model.tables import ColumnType, Kind, TableId

_INTEGER_DIGITS = {Kind.INT16: 5, Kind.INT32: 10, Kind.INT64: 19}


def decide_declared(column: ColumnDiff, declared: ColumnType, table: TableId) -> Decision:
    """The declared type, from the first value on.

    Raises:
        TableFailure: the column is there already, with a type that cannot become the declared one without loss.
    """
    known = column.known
    if known is None and not column.variants:
        return Decision(column.name, None, None, ())
    target = _with_unit(declared, column)
    if known is not None and not _holds(target, known.type):
        raise TableFailure(
            f"The column {column.name} is {known.type} and cannot become {declared} without losing values",
            remedy="Declare a type that holds all that the column has, such as text, or remove the type",
            table=table,
            column=column.name,
        )
    return Decision(column.name, known, target, column.variants, reason="declared type", is_declared=True)


def _with_unit(declared: ColumnType, column: ColumnDiff) -> ColumnType:
    """Timestamps keep the precision of what they come as, in which they are spelled if they ever become text."""
    if declared.kind not in TIMESTAMPS:
        return declared
    units = {variant.type.unit or "us" for variant in column.variants}
    if column.known is not None:
        units.add(column.known.type.unit or "us")
    return replace(declared, unit="ms" if units == {"ms"} else "us")


def _holds(target: ColumnType, stored: ColumnType) -> bool:
    """Whether every value that the stored type may hold is one of the target."""
    if target.kind is stored.kind and target.kind is not Kind.NUMERIC:
        return True
    if target.kind is Kind.NUMERIC and target.precision is not None and stored.kind in _INTEGER_DIGITS:
        return target.precision - (target.scale or 0) >= _INTEGER_DIGITS[stored.kind]
    return target.kind is Kind.TEXT or fit(target, stored) is Fit.EXACT
