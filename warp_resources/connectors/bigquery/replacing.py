"""Decides how columns get values of another type: looked at first, then added, filled and swapped in."""

from __future__ import annotations

from warp_resources.connectors.bigquery import ddl
from warp_resources.connectors.bigquery.conversions import is_widening, key_part
from warp_resources.connectors.bigquery.evolution import (
    CREATED,
    FILLED,
    SWAPPED,
    Evolution,
    Step,
    both,
    renames,
    retypings,
)
from warp_resources.connectors.bigquery.merge import KEY
from warp_resources.connectors.bigquery.narrowing import present, remade
from warp_resources.connectors.bigquery.physical import Found
from warp_resources.connectors.bigquery.session import quoted
from warp_resources.connectors.bigquery.types import stored_type
from warp_resources.errors import TableFailure
from warp_resources.model.tables import ChangeKind, Column, SchemaChange

_MOST_REPLACED = 20
"""Columns in one statement, whose conversions may have many subqueries each."""


def is_begun(found: Found, its: Evolution) -> bool:
    """Whether anything of the earlier version is replaced, renamed or widened by now."""
    if its.before is None:
        return False
    traces = (its.name("old").lower(), its.name("renamed").lower())
    is_altered = any(found.type_of(name) != wanted for name, wanted in ddl.wanted_columns(its.before).items())
    return is_altered or any(name.startswith(traces) for name in found.types)


def examined(found: Found, its: Evolution, done: frozenset[str]) -> Step | None:
    """What may be in the way is looked for before anything is changed: a change that has begun cannot go back."""
    if its.before is None or is_begun(found, its):
        return None
    for renamed, _ in renames(its):
        _demand_free(found, its, renamed)
    values = list[tuple[SchemaChange, tuple[str, str]]]()
    for _, change in retypings(its):
        before, after = both(change)
        is_altered = change.kind is ChangeKind.ALTER_TYPE
        if is_altered and _is_kept(stored_type(before.type), stored_type(after.type)):
            continue
        _demand_loose(found, its, change)
        values.append((change, (present(before, before.stored), _expression(its, change, before.stored))))
    for start in range(0, len(values), _MOST_REPLACED):
        group = values[start : start + _MOST_REPLACED]
        if f"examine {start}" not in done:
            statement = ddl.count_unfit(its.table, [pair for _, pair in group])
            return Step(f"examine {start}", statement, tuple(_unfit(its, change) for change, _ in group))
    return None


def _is_kept(has: str, wanted: str) -> bool:
    """Whether BigQuery itself brings a column to a type, if it is not of it already."""
    return has == wanted or is_widening(has, wanted)


def retyped_columns(found: Found, its: Evolution, done: frozenset[str]) -> Step | None:
    """Replace columns many at a time, since a table takes few changes a second; then widen what BigQuery widens."""
    replaced, widened = list[tuple[int, SchemaChange]](), list[Column]()
    for number, change in retypings(its):
        _, after = both(change)
        has, wanted = found.type_of(after.stored), stored_type(after.type)
        is_altered = change.kind is ChangeKind.ALTER_TYPE
        if found.has(its.old_name(number)) or (is_altered and has == wanted):
            continue
        if is_altered and has is not None and is_widening(has, wanted):
            widened.append(after)
        else:
            _demand_loose(found, its, change)
            replaced.append((number, change))
    if replaced:
        return _replaced(found, its, replaced[:_MOST_REPLACED], done)
    for after in widened:
        statement = ddl.widen_column(its.table, after.stored, stored_type(after.type))
        return Step(f"widen {after.stored}", statement, point=SWAPPED)
    return None


def _demand_free(found: Found, its: Evolution, stored: str) -> None:
    """Refuse to rename what BigQuery does not let be renamed."""
    if stored.lower() in found.placed:
        raise TableFailure(
            "The column by which the table is partitioned or clustered is renamed, which BigQuery does not allow",
            remedy="Take the rename out of the configuration, or drop the table, take the column out of"
            " destination.tables and resync",
            table=its.after.table,
            column=stored,
        )


def _demand_loose(found: Found, its: Evolution, change: SchemaChange) -> None:
    before, after = both(change)
    if not found.placed.isdisjoint((before.stored.lower(), after.stored.lower())):
        raise TableFailure(
            "The column by which the table is partitioned or clustered changes its type, which BigQuery does not allow",
            remedy="Set the column's type in the configuration, or drop the table, take the column out of"
            " destination.tables and resync",
            table=its.after.table,
            column=after.name,
            before=before.type,
            after=after.type,
        )


def _replaced(found: Found, its: Evolution, changes: list[tuple[int, SchemaChange]], done: frozenset[str]) -> Step:
    """The next step of replacing columns, each by a new one that is filled and then takes its name."""
    befores, afters = zip(*(both(change) for _, change in changes), strict=True)
    names = [its.new_name(number) for number, _ in changes]
    missing = [
        (name, stored_type(after.type)) for name, after in zip(names, afters, strict=True) if not found.has(name)
    ]
    if missing:
        return Step(f"add {' '.join(names)}", ddl.add_columns(its.table, missing), point=CREATED)
    fill = f"fill {' '.join(names)}"
    stored = [after.stored for after in afters]
    if fill not in done:
        values = [_expression(its, change, name) for (_, change), name in zip(changes, stored, strict=True)]
        brought = [present(before, name) for before, name in zip(befores, stored, strict=True)]
        refused = tuple(_unfit(its, change) for _, change in changes)
        statement = ddl.fill_columns(its.table, list(zip(names, brought, values, strict=True)))
        return Step(fill, statement, refused, FILLED)
    old = [its.old_name(number) for number, _ in changes]
    pairs = [*zip(stored, old, strict=True), *zip(names, stored, strict=True)]
    return Step(f"swap {' '.join(names)}", ddl.rename_columns(its.table, pairs), point=SWAPPED)


def _expression(its: Evolution, change: SchemaChange, stored: str) -> str:
    """What a change makes of the values that are in a column of this name."""
    before, after = both(change)
    value = f"T.{quoted(stored)}"
    if change.kind is ChangeKind.KEY_TO_JSON:
        return key_part(its.after.key.index(after.name), len(its.after.key), f"T.{KEY}")
    return remade(before, after, value, is_key=after.name in its.after.key)


def _unfit(its: Evolution, change: SchemaChange) -> TableFailure:
    before, after = both(change)
    return TableFailure(
        "Stored values do not fit the new type of their column",
        remedy="Set the column's type in the configuration to one that holds them, such as text",
        table=its.after.table,
        column=after.name,
        before=before.type,
        after=after.type,
    )
