"""Decides, from what a table looks like, which step leads on to its next version.

No step is a part of a transaction, so each is decided anew, by whoever gets here: what is done shows in the table. A
column that is replaced leaves ``_warp_old_<version>_<change>`` behind until the table bears the new version.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from warp_resources.connectors.bigquery import ddl
from warp_resources.connectors.bigquery.conversions import is_widening, key_part
from warp_resources.connectors.bigquery.layout import TableLayout
from warp_resources.connectors.bigquery.merge import KEY, SEQUENCE
from warp_resources.connectors.bigquery.narrowing import remade
from warp_resources.connectors.bigquery.physical import Found
from warp_resources.connectors.bigquery.session import quoted
from warp_resources.connectors.bigquery.table_failures import dropped
from warp_resources.connectors.bigquery.types import stored_type
from warp_resources.errors import TableFailure
from warp_resources.model.tables import ChangeKind, Column, SchemaChange, TableSchema

CREATED, FILLED, SWAPPED, DROPPED = "ddl.created", "ddl.filled", "ddl.swapped", "ddl.dropped"
_OURS = re.compile(r"_warp_(?:new|old|renaming|renamed)_([0-9]+)(?:_[0-9]+)?")
_RETYPING = (ChangeKind.ALTER_TYPE, ChangeKind.KEY_TO_JSON)
_MOST_REPLACED = 50
"""Columns in one statement, whose text may have a million characters."""


@dataclass(frozen=True, slots=True)
class Evolution:
    """A version that a table, of that full name, is to come to; ``before`` None: the registry has none."""

    table: str
    before: TableSchema | None
    after: TableSchema
    changes: tuple[SchemaChange, ...]
    layout: TableLayout

    def old_name(self, number: int) -> str:
        """Where the values of the column that a change replaces are kept until the end."""
        return f"_warp_old_{self.after.version}_{number}"

    def new_name(self, number: int) -> str:
        """What replaces the column of a change, until it is filled."""
        return f"_warp_new_{self.after.version}_{number}"


@dataclass(frozen=True, slots=True)
class Step:
    """One job. ``refused``: why it cannot go on if a number of the job's answer, in this order, is not 0.

    ``point``: the failpoint that follows.

    ``name`` tells a step that leaves no trace from one that is yet to be done.
    """

    name: str
    statement: str
    refused: tuple[TableFailure, ...] = ()
    point: str = ""


DROP_LEFTOVERS = "drop leftovers"
BEAR_VERSION = Step("bear version", "")
"""The table is as the version wants it, and is to say so."""

Rule = Callable[[Found, Evolution, frozenset[str]], Step | None]


def next_step(found: Found | None, its: Evolution, done: frozenset[str]) -> Step | None:
    """What is to be done next; None where the table is what it is to be.

    Args:
        done: names of the steps that this process has done.

    Raises:
        TableFailure: the table cannot become that.
    """
    if found is None and its.before is not None:
        # Made here, it would lack all rows but the latest, and nobody would be told.
        raise dropped(its.after.table)
    if found is None:
        return Step("create", ddl.create_table(its.table, its.after, its.layout), point=CREATED)
    if its.before is None or found.version < its.after.version:
        for rule in _RULES:
            step = rule(found, its, done)
            if step is not None:
                return step
        if found.version != its.after.version:
            return BEAR_VERSION
    return _without_leftovers(found, its)


def _adopted(found: Found, its: Evolution, done: frozenset[str]) -> Step | None:
    """A table that the registry does not know is taken over, unless it has rows that are not ours."""
    if its.before is not None:
        return None
    if not (found.has(KEY) and found.has(SEQUENCE)) and "adopt" not in done:
        failure = TableFailure(
            "The destination has a table of this name with rows that cartridge-warp did not write",
            remedy="Rename or empty it, or set another destination.schema",
            table=its.after.table,
            stored=f"{its.after.stored_schema}.{its.after.stored_table}",
        )
        return Step("adopt", ddl.count_rows(its.table), (failure,))
    if found.has(SEQUENCE) and not done & {"create", "age"}:
        # Its sequences begin anew with the registry: rows with higher ones would pass for newer than any reading.
        return Step("age", ddl.age_rows(its.table))
    wanted = {name.lower() for name in ddl.wanted_columns(its.after)}
    foreign = next((name for name in found.required if name.lower() not in wanted), None)
    return None if foreign is None else Step(f"relax {foreign}", ddl.relax_column(its.table, foreign))


def _unkeyed(found: Found, its: Evolution, done: frozenset[str]) -> Step | None:
    """No column of a primary key can be replaced or renamed."""
    moved = {change.before.stored.lower() for change in _moving(found, its) if change.before is not None}
    if not moved & {name.lower() for name in found.key}:
        return None
    return Step("drop primary key", ddl.drop_primary_key(its.table))


def _renamed(found: Found, its: Evolution, done: frozenset[str]) -> Step | None:
    pairs = _renames(its)
    if not pairs:
        return None
    taken = {before.lower() for before, _ in pairs} & {after.lower() for _, after in pairs}
    if taken:
        return _exchanged(found, its, pairs)
    pairs = [(before, after) for before, after in pairs if found.has(before)]
    for _, after in pairs:
        if found.has(after):
            return _without(its, after, done)
    return Step("rename", ddl.rename_columns(its.table, pairs), point=SWAPPED) if pairs else None


def _exchanged(found: Found, its: Evolution, pairs: list[tuple[str, str]]) -> Step | None:
    """Names that are swapped look alike before and after; a column of their own says which it is."""
    version = its.after.version
    before, after = f"_warp_renaming_{version}", f"_warp_renamed_{version}"
    if found.has(after):
        return None
    if not found.has(before):
        return Step("announce renaming", ddl.add_columns(its.table, [(before, "BOOL")]), point=CREATED)
    between = [f"_warp_new_{version}_{number}" for number in range(len(pairs))]
    steps = [
        *zip((old for old, _ in pairs), between, strict=True),
        *zip(between, (new for _, new in pairs), strict=True),
        (before, after),
    ]
    return Step("rename", ddl.rename_columns(its.table, steps), point=SWAPPED)


def _cleared(found: Found, its: Evolution, done: frozenset[str]) -> Step | None:
    """A column that is new to the registry but there in another type: somebody's own, or a crash has left it."""
    known = set() if its.before is None else {name.lower() for name in ddl.wanted_columns(its.before)}
    known |= {after.lower() for _, after in _renames(its)}
    for name, wanted in ddl.wanted_columns(its.after).items():
        if name.lower() not in known and found.type_of(name) not in (None, wanted):
            return _without(its, name, done)
    return None


def _without(its: Evolution, name: str, done: frozenset[str]) -> Step:
    """Drop a column that is in the way, once it is known to hold nothing."""
    check = f"count {name}"
    if check in done:
        return Step(f"drop {name}", ddl.drop_columns(its.table, [name]))
    failure = TableFailure(
        "The destination's table has a column of this name, of another type and with values",
        remedy="Rename or drop the column, or rename the field by columns: {...: {rename: ...}}",
        table=its.after.table,
        column=name,
    )
    return Step(check, ddl.count_values(its.table, name), (failure,))


def _added(found: Found, its: Evolution, done: frozenset[str]) -> Step | None:
    missing = [pair for pair in ddl.wanted_columns(its.after).items() if not found.has(pair[0])]
    return Step("add columns", ddl.add_columns(its.table, missing), point=CREATED) if missing else None


def _flagged(found: Found, its: Evolution, done: frozenset[str]) -> Step | None:
    """Readers ask for rows that are not flagged, and null is no answer."""
    is_new = any(its.kind is ChangeKind.DELETION and its.before is None for its in its.changes)
    if its.before is None or not is_new or not its.after.flag or "fill flag" in done:
        return None
    return Step("fill flag", ddl.fill_flag(its.table, its.after.flag), point=FILLED)


def _retyped(found: Found, its: Evolution, done: frozenset[str]) -> Step | None:
    """Replace columns many at a time, since a table takes few changes a second; then widen what BigQuery widens."""
    replaced, widened = list[tuple[int, SchemaChange]](), list[Column]()
    for number, change in retypings(its):
        _, after = _both(change)
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


def _demand_loose(found: Found, its: Evolution, change: SchemaChange) -> None:
    before, after = _both(change)
    if after.stored.lower() in found.placed:
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
    afters = [_both(change)[1] for _, change in changes]
    names = [its.new_name(number) for number, _ in changes]
    missing = [
        (name, stored_type(after.type)) for name, after in zip(names, afters, strict=True) if not found.has(name)
    ]
    if missing:
        return Step(f"add {' '.join(names)}", ddl.add_columns(its.table, missing), point=CREATED)
    fill = f"fill {' '.join(names)}"
    stored = [after.stored for after in afters]
    if fill not in done:
        values = [_expression(its, change) for _, change in changes]
        refused = tuple(_unfit(its, change) for _, change in changes)
        statement = ddl.fill_columns(its.table, list(zip(names, stored, values, strict=True)))
        return Step(fill, statement, refused, FILLED)
    old = [its.old_name(number) for number, _ in changes]
    pairs = [*zip(stored, old, strict=True), *zip(names, stored, strict=True)]
    return Step(f"swap {' '.join(names)}", ddl.rename_columns(its.table, pairs), point=SWAPPED)


def _expression(its: Evolution, change: SchemaChange) -> str:
    before, after = _both(change)
    value = f"T.{quoted(after.stored)}"
    if change.kind is ChangeKind.KEY_TO_JSON:
        return key_part(its.after.key.index(after.name), len(its.after.key), f"T.{KEY}")
    return remade(before, after, value, is_key=after.name in its.after.key)


def _unfit(its: Evolution, change: SchemaChange) -> TableFailure:
    before, after = _both(change)
    return TableFailure(
        "Stored values do not fit the new type of their column",
        remedy="Set the column's type in the configuration to one that holds them, such as text",
        table=its.after.table,
        column=after.name,
        before=before.type,
        after=after.type,
    )


def _keyed(found: Found, its: Evolution, done: frozenset[str]) -> Step | None:
    names = {change.after.name for change in its.changes if change.after is not None}
    if its.before is not None and not names & set(its.after.key):
        return None
    wanted = ddl.primary_key(its.after)
    if [name.lower() for name in found.key] == [name.lower() for name in wanted]:
        return None
    if found.key:
        return Step("drop primary key", ddl.drop_primary_key(its.table))
    return Step("add primary key", ddl.add_primary_key(its.table, wanted))


_RULES: tuple[Rule, ...] = (_adopted, _unkeyed, _renamed, _cleared, _added, _flagged, _retyped, _keyed)


def _without_leftovers(found: Found, its: Evolution) -> Step | None:
    # What a later version has under way is not ours to drop.
    names = [name for name in found.types if (ours := _OURS.fullmatch(name)) and int(ours[1]) <= its.after.version]
    return Step(DROP_LEFTOVERS, ddl.drop_columns(its.table, names), point=DROPPED) if names else None


def prepared_columns(found: Found, version: int) -> list[str]:
    """The columns of our own that changes to a version have made and nobody reads."""
    return [name for name in found.types if (ours := _OURS.fullmatch(name)) and int(ours[1]) == version]


def retypings(its: Evolution) -> Iterator[tuple[int, SchemaChange]]:
    """The changes that put other values into a column, with their numbers."""
    for number, change in enumerate(its.changes):
        if change.kind in _RETYPING:
            yield number, change


def _renames(its: Evolution) -> list[tuple[str, str]]:
    pairs = []
    for change in its.changes:
        is_flag = change.kind is ChangeKind.DELETION and its.before is not None
        if change.before is None or change.after is None or change.before.stored == change.after.stored:
            continue
        if change.kind is ChangeKind.RENAME_COLUMN or is_flag:
            pairs.append((change.before.stored, change.after.stored))
    return pairs


def _moving(found: Found, its: Evolution) -> Iterator[SchemaChange]:
    """The changes that still have a column to replace or rename."""
    is_renamed = found.has(f"_warp_renamed_{its.after.version}")
    for number, change in enumerate(its.changes):
        if change.kind is ChangeKind.RENAME_COLUMN:
            before, _ = _both(change)
            is_moving = not is_renamed and found.has(before.stored)
        elif change.kind in _RETYPING:
            _, after = _both(change)
            has_type = found.type_of(after.stored) == stored_type(after.type)
            is_alike = has_type and change.kind is ChangeKind.ALTER_TYPE
            is_moving = not found.has(its.old_name(number)) and not is_alike
        else:
            continue
        if is_moving:
            yield change


def _both(change: SchemaChange) -> tuple[Column, Column]:
    if change.before is None or change.after is None:
        raise TableFailure("A schema change names no column", remedy="Report this as a bug", kind=change.kind)
    return change.before, change.after
