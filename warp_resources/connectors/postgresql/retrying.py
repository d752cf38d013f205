"""Writes staged rows and deletes, halving what the server refuses until it is known which of them it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias, TypeVar

import psycopg
from psycopg import sql

from warp_resources.connectors.postgresql.merge import Rule, bury_keys, delete_rows, merge_rows, row_stamps
from warp_resources.connectors.postgresql.refusals import Refusal, refusal_of
from warp_resources.connectors.postgresql.session import Connection
from warp_resources.connectors.postgresql.staged import Staged

Item = TypeVar("Item")
Refused: TypeAlias = list[tuple[Item, Refusal]]
"""What was not taken, each with the reason."""


def write_rows(
    connection: Connection, staged: Staged, rows: Sequence[int], sequences: Sequence[int]
) -> tuple[int, Refused[int]]:
    """Upsert some of the staged rows, each with its own sequence; how many, and which were refused and why."""
    stamps = row_stamps(staged.extra, sequences)

    def merge(some: Sequence[int]) -> int:
        target = replace(staged.target, staging=_only(staged, some))
        return connection.execute(merge_rows(target, Rule.ALWAYS, sequence=stamps)).rowcount

    return _in_halves(connection, merge, rows)


def delete_keys(
    connection: Connection, staged: Staged, keys: Mapping[str, int], *, buries: bool
) -> tuple[int, Refused[str]]:
    """Delete some of the staged keys, as old as the sequence of each; how many, and which were refused and why."""
    deleted = 0
    refused: Refused[str] = []
    for sequence in sorted(set(keys.values())):

        def delete(some: Sequence[str], sequence: int = sequence) -> int:
            target = replace(staged.target, staging=_only(staged, some))
            if buries:
                connection.execute(bury_keys(target.schema, target.staging, staged.extra, sequence=sequence))
            if not target.schema.version:
                return 0
            return connection.execute(delete_rows(target, staged.extra, sequence=sequence, position=None)).rowcount

        count, held = _in_halves(connection, delete, [key for key, its in keys.items() if its == sequence])
        deleted += count
        refused += held
    return deleted, refused


def _only(staged: Staged, items: Sequence[int] | Sequence[str]) -> sql.Composed:
    """The staged rows of these ordinals, or deletes of these key texts."""
    return sql.SQL("(select * from {} where {} = any({}))").format(
        staged.target.staging, sql.Identifier(f"c{staged.extra}"), sql.Literal(list(items))
    )


def _in_halves(
    connection: Connection, write: Callable[[Sequence[Item]], int], items: Sequence[Item]
) -> tuple[int, Refused[Item]]:
    if not items:
        return 0, []
    try:
        with connection.transaction():
            return write(items), []
    except psycopg.Error as error:
        refusal = refusal_of(error)
        if refusal is None:
            raise
    if len(items) == 1:
        return 0, [(items[0], refusal)]
    middle = len(items) // 2
    early: tuple[int, Refused[Item]] = _in_halves(connection, write, items[:middle])
    late: tuple[int, Refused[Item]] = _in_halves(connection, write, items[middle:])
    # What was refused early may have waited for what was taken late.
    again = [item for item, why in early[1] if why.may_pass and late[0]]
    last: tuple[int, Refused[Item]] = _in_halves(connection, write, again)
    held = [pair for pair in early[1] if pair[0] not in again]
    return early[0] + late[0] + last[0], [*held, *last[1], *late[1]]
