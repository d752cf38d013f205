"""Reads the tables of the demonstration back, for a compare from outside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import set_json_loads

_COLUMNS = """
select column_name, data_type from information_schema.columns
where table_schema = %s and table_name = %s and not starts_with(column_name, '_warp_') order by ordinal_position
"""
_LETTERS = """
select table_name, primary_key, column_name from cartridge_warp_metadata.dead_letters
where schema_name = %s and status = 'pending'
"""
_KINDS = {"jsonb": "json"}


class PostgresReading:
    """The tables of one database."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def column_types(self, schema: str, table: str) -> dict[str, str]:
        """The columns of a table that hold source fields, by name; empty where there is no such table."""
        with self._connect() as connection:
            return {name: _KINDS.get(kind, kind) for name, kind in connection.execute(_COLUMNS, [schema, table])}

    def read_rows(self, schema: str, table: str, columns: list[str]) -> Iterator[tuple[Any, ...]]:
        """Every row of a table; numbers within JSON are decimals."""
        with self._connect() as connection:
            set_json_loads(lambda text: json.loads(text, parse_float=Decimal, parse_int=Decimal), connection)
            names = sql.SQL(", ").join(map(sql.Identifier, columns))
            yield from connection.execute(sql.SQL("select {} from {}").format(names, sql.Identifier(schema, table)))

    def set_aside(self, schema: str) -> set[tuple[str, str, str | None]]:
        """Table, key and column of the pending dead letters of a schema."""
        with self._connect() as connection:
            return {(table, _compact(key), column) for table, key, column in connection.execute(_LETTERS, [schema])}

    def _connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(self._uri, options="-c timezone=UTC")


def _compact(key: str) -> str:
    return json.dumps(json.loads(key), sort_keys=True)
