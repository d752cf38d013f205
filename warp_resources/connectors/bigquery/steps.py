"""Decides, from what a table looks like, which step leads on to its next version.

No step is a part of a transaction, so each is decided anew, by whoever gets here: what is done shows in the table. A
column that is replaced leaves ``_warp_old_<version>_<token>_<change>`` behind until the table bears the new version.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from warp_resources.connectors.bigquery import ddl
from warp_resources.connectors.bigquery.evolution import (
    CREATED,
    DROPPED,
    FILLED,
    RETYPING,
    SWAPPED,
    Evolution,
    Step,
    both,
    renames,
)
from warp_resources.connectors.bigquery.merge import KEY, SEQUENCE
from warp_resources.connectors.bigquery.physical import Found
from warp_resources.connectors.bigquery.replacing import examined, retyped_columns
from warp_resources.connectors.bigquery.table_failures import dropped
from warp_resources.connectors.bigquery.types import stored_type
from warp_resources.errors import TableFailure
from warp_resources.model.tables import ChangeKind, SchemaChange

_OURS = re.compile(r"_warp_(?:new|old|renaming|renamed)_([0-9]+)(?:_[0-9a-z]+)*")

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


def noted(done: frozenset[str], step: Step) -> frozenset[str]:
    """The steps that are done with one more; columns that were added are yet to be filled."""
    kept = (name for name in done if not name.startswith("fill ")) if step.name.startswith("add ") else done
    return frozenset((*kept, step.name))


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
    pairs = renames(its)
    if not pairs:
        return None
    taken = {before.lower() for before, _ in pairs} & {after.lower() for _, after in pairs}
    if taken:
        return _exchanged(found, its, pairs)
    pairs = [(before, after) for before, after in pairs if found.has(before)]
    for _, after in pairs:
        if found.has(after):
            return _without(found, its, after, done)
    return Step("rename", ddl.rename_columns(its.table, pairs), point=SWAPPED) if pairs else None


def _exchanged(found: Found, its: Evolution, pairs: list[tuple[str, str]]) -> Step | None:
    """Names that are swapped look alike before and after; a column of their own says which it is."""
    before, after = its.name("renaming"), its.name("renamed")
    if found.has(after):
        return None
    if not found.has(before):
        return Step("announce renaming", ddl.add_columns(its.table, [(before, "BOOL")]), point=CREATED)
    between = [its.new_name(number) for number in range(len(pairs))]
    steps = [
        *zip((old for old, _ in pairs), between, strict=True),
        *zip(between, (new for _, new in pairs), strict=True),
        (before, after),
    ]
    return Step("rename", ddl.rename_columns(its.table, steps), point=SWAPPED)


def _cleared(found: Found, its: Evolution, done: frozenset[str]) -> Step | None:
    """A column that is new to the registry but there in another type: somebody's own, or a crash has left it."""
    known = set() if its.before is None else {name.lower() for name in ddl.wanted_columns(its.before)}
    known |= {after.lower() for _, after in renames(its)}
    for name, wanted in ddl.wanted_columns(its.after).items():
        if name.lower() not in known and found.type_of(name) not in (None, wanted):
            return _without(found, its, name, done)
    return None


def _without(found: Found, its: Evolution, name: str, done: frozenset[str]) -> Step:
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
    is_array = (found.type_of(name) or "").startswith("ARRAY<")
    return Step(check, ddl.count_values(its.table, name, is_array=is_array), (failure,))


def _added(found: Found, its: Evolution, done: frozenset[str]) -> Step | None:
    missing = [pair for pair in ddl.wanted_columns(its.after).items() if not found.has(pair[0])]
    return Step("add columns", ddl.add_columns(its.table, missing), point=CREATED) if missing else None


def _flagged(found: Found, its: Evolution, done: frozenset[str]) -> Step | None:
    """Readers ask for rows that are not flagged, and null is no answer."""
    is_new = any(its.kind is ChangeKind.DELETION and its.before is None for its in its.changes)
    if its.before is None or not is_new or not its.after.flag or "fill flag" in done:
        return None
    return Step("fill flag", ddl.fill_flag(its.table, its.after.flag), point=FILLED)


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


_RULES: tuple[Rule, ...] = (_adopted, examined, _unkeyed, _renamed, _cleared, _added, _flagged, retyped_columns, _keyed)


def _without_leftovers(found: Found, its: Evolution) -> Step | None:
    # What a later version has under way is not ours to drop.
    names = [name for name in found.types if (ours := _OURS.fullmatch(name)) and int(ours[1]) <= its.after.version]
    return Step(DROP_LEFTOVERS, ddl.drop_columns(its.table, names), point=DROPPED) if names else None


def prepared_columns(found: Found, its: Evolution) -> list[str]:
    """The columns of our own that a change has made and nobody reads."""
    begins = (f"{its.name('new')}_".lower(), its.name("renaming").lower())
    return [name for name in found.types if name.startswith(begins)]


def _moving(found: Found, its: Evolution) -> Iterator[SchemaChange]:
    """The changes that still have a column to replace or rename."""
    is_renamed = found.has(its.name("renamed"))
    for number, change in enumerate(its.changes):
        if change.kind is ChangeKind.RENAME_COLUMN:
            before, _ = both(change)
            is_moving = not is_renamed and found.has(before.stored)
        elif change.kind in RETYPING:
            _, after = both(change)
            has_type = found.type_of(after.stored) == stored_type(after.type)
            is_alike = has_type and change.kind is ChangeKind.ALTER_TYPE
            is_moving = not found.has(its.old_name(number)) and not is_alike
        else:
            continue
        if is_moving:
            yield change
