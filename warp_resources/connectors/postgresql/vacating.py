"""Finds ways for rows of one commit to exchange values of a unique key, which PostgreSQL checks row by row."""

from __future__ import annotations

from psycopg import sql

from warp_resources.connectors.postgresql.constraints import Constraints
from warp_resources.connectors.postgresql.staged import Staged
from warp_resources.connectors.postgresql.trying import vacate_by_delete, vacate_by_null
from warp_resources.model.tables import TableSchema

_BY_DELETE = ""


class Vacating:
    """What is to be done to the stored rows before a part overwrites them, learnt from what was refused.

    A column of the key that may be null is made so. Otherwise the rows are deleted, if that leaves no other trace.
    """

    def __init__(self, schema: TableSchema, constraints: Constraints) -> None:
        self._schema = schema
        self._constraints = constraints
        self._ways: dict[str, list[str]] = {}
        self._changed: set[str] = set()

    def learn(self, index: str) -> bool:
        """Note that a unique key was violated; whether there is a way that was not taken yet."""
        if index not in self._ways:
            self._ways[index] = self._found(index)
            return bool(self._ways[index])
        is_changed = index in self._changed and bool(self._ways[index])
        self._changed.discard(index)
        return is_changed

    def statements(self, part: Staged) -> list[tuple[str, sql.Composed]]:
        """What to execute before a part is written, each with the unique key that it is for."""
        return [(index, _statement(part, ways[0])) for index, ways in self._ways.items() if ways]

    def fails(self, index: str) -> None:
        """Note that such a statement was refused: another way is taken from now on, if there is one.

        A delete may be refused for the sake of a single row, so it stays the way of the others.
        """
        ways = self._ways[index]
        if ways[0] != _BY_DELETE:
            del ways[0]
            self._changed.add(index)

    def _found(self, index: str) -> list[str]:
        unique = (self._constraints.unique or {}).get(index)
        if unique is None:
            return []
        keys = {column.stored for column in self._schema.key_columns}
        own = {column.stored for column in self._schema.columns}
        ways = [name for name in unique.columns if name in unique.nullable and name in own - keys][:1]
        ways = ways if self._constraints.may_blank else []
        return [*ways, *([_BY_DELETE] if self._constraints.may_replace else [])]


def _statement(part: Staged, way: str) -> sql.Composed:
    return vacate_by_delete(part) if way == _BY_DELETE else vacate_by_null(part, way)
