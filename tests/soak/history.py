"""Tells everything that is known of the keys that differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql

from tests.soak.journal import Journal
from tests.soak.judge import Difference

_METADATA = {
    "letter": "select * from cartridge_warp_metadata.dead_letters where table_name = %s and key_text = any(%s)",
    "tombstone": "select key_text, sequence from cartridge_warp_metadata.tombstones"
    " where table_name = %s and key_text = any(%s)",
    "error": "select occurred_at, error_type, column_name, primary_key, message, action"
    " from cartridge_warp_metadata.error_log where table_name = %s and primary_key = any(%s)",
    "deletion": "select * from cartridge_warp_metadata.deletion_log where table_name = %s and primary_key = any(%s)",
}
_TABLE = {
    "marker": "select * from cartridge_warp_metadata.sync_markers where table_name in ('', %s)",
    "generation": "select * from cartridge_warp_metadata.generations where table_name = %s order by opened_at desc"
    " limit 5",
    "slice": "select * from cartridge_warp_metadata.slices where table_name = %s and not is_done",
    "registry": "select version, applied_at, changes from cartridge_warp_metadata.schema_registry"
    " where table_name = %s order by version desc limit 5",
    "table error": "select occurred_at, error_type, message, action from cartridge_warp_metadata.error_log"
    " where table_name = %s and primary_key is null order by occurred_at desc limit 10",
}
_MOST_KEYS = 5


def histories(found: Sequence[Difference], journal: Journal, warehouse: str) -> list[str]:
    """Lines for a reader: each table that differs, and each of its keys."""
    lines: list[str] = []
    for table in dict.fromkeys(its.table for its in found):
        lines.append(f"== {table}")
        schema, _, name = table.partition(".")
        for what, statement in _TABLE.items():
            lines += [f"  {what}: {row}" for row in _rows(warehouse, statement, [name])]
        lines += [f"  journal: {line}" for line in journal.of(table, "")]
        keys = {key for its in found if its.table == table for key in _keys(journal, table, its.line)}
        for key in sorted(keys)[:_MOST_KEYS]:
            lines += _of_key(journal, warehouse, schema, name, key)
    return lines


def _of_key(journal: Journal, warehouse: str, schema: str, name: str, key: str) -> list[str]:
    lines = [f"-- {schema}.{name} {key}", *(f"  {line}" for line in journal.of(f"{schema}.{name}", key))]
    spelled = [key, f'{{"_id": {key}}}', f'{{"_id": {{"$numberInt": "{key}"}}}}']
    for what, statement in _METADATA.items():
        lines += [f"  {what}: {row}" for row in _rows(warehouse, statement, [name, spelled])]
    query = sql.SQL("select * from {} where _id::text = any(%s)").format(sql.Identifier(schema, name))
    lines += [f"  row: {row}" for row in _rows(warehouse, query, [[key, key.strip('"')]])]
    return lines


def _keys(journal: Journal, table: str, line: str) -> list[str]:
    """The keys of a table that a line may be about."""
    known = [key for its, key in journal.entries if its == table and key]
    return [key for key in known if line.startswith((key, key.strip('"'))) or f": {key}}}" in line]


def _rows(warehouse: str, statement: Any, parameters: list[Any]) -> list[Any]:
    try:
        with psycopg.connect(warehouse, autocommit=True, row_factory=psycopg.rows.dict_row) as connection:
            query = statement.encode() if isinstance(statement, str) else statement
            return connection.execute(query, parameters).fetchall()
    except psycopg.Error as error:
        return [f"cannot be read: {error}"]
