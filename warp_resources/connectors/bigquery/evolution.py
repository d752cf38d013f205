"""A version that a table is to come to, and the steps that lead there: one job each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from warp_resources.connectors.bigquery.layout import TableLayout
from warp_resources.errors import TableFailure
from warp_resources.model.tables import ChangeKind, Column, SchemaChange, TableSchema

CREATED, FILLED, SWAPPED, DROPPED = "ddl.created", "ddl.filled", "ddl.swapped", "ddl.dropped"
RETYPING = (ChangeKind.ALTER_TYPE, ChangeKind.KEY_TO_JSON)


@dataclass(frozen=True, slots=True)
class Evolution:
    """A version that a table, of that full name, is to come to; ``before`` None: the registry has none.

    ``token``: of its announcement: what a withdrawn one has left behind is none of another's.
    """

    table: str
    before: TableSchema | None
    after: TableSchema
    changes: tuple[SchemaChange, ...]
    layout: TableLayout
    token: str = ""

    def name(self, what: str) -> str:
        """The name of a column of our own, or how the names of several begin: what it is for, and for which change."""
        return f"_warp_{what}_{self.after.version}{self.token and '_'}{self.token}"

    def old_name(self, number: int) -> str:
        """Where the values of the column that a change replaces are kept until the end."""
        return f"{self.name('old')}_{number}"

    def new_name(self, number: int) -> str:
        """What replaces the column of a change, until it is filled."""
        return f"{self.name('new')}_{number}"


@dataclass(frozen=True, slots=True)
class Step:
    """One job. ``refused``: why it cannot go on if a number of the job's answer, in this order, is not 0.

    ``point``: the failpoint that follows. ``name`` tells a step that leaves no trace from one that is yet to be done.
    """

    name: str
    statement: str
    refused: tuple[TableFailure, ...] = ()
    point: str = ""


def retypings(its: Evolution) -> Iterator[tuple[int, SchemaChange]]:
    """The changes that put other values into a column, with their numbers."""
    for number, change in enumerate(its.changes):
        if change.kind in RETYPING:
            yield number, change


def renames(its: Evolution) -> list[tuple[str, str]]:
    """The stored names, before and after, of the columns that get another one."""
    pairs = []
    for change in its.changes:
        is_flag = change.kind is ChangeKind.DELETION and its.before is not None
        if change.before is None or change.after is None or change.before.stored == change.after.stored:
            continue
        if change.kind is ChangeKind.RENAME_COLUMN or is_flag:
            pairs.append((change.before.stored, change.after.stored))
    return pairs


def both(change: SchemaChange) -> tuple[Column, Column]:
    """The column of a change as it was and as it is to be."""
    if change.before is None or change.after is None:
        raise TableFailure("A schema change names no column", remedy="Report this as a bug", kind=change.kind)
    return change.before, change.after
