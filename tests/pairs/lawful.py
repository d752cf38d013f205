"""Judges a table by SPEC E8: each value exact, or told of by a pending dead letter, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import sql

from tests.pairs.canonical import decimal_text, double_text, json_value, key_text, moment_text, read_json, text_of
from tests.pairs.oracle import reading

_REGISTRY = """
select columns from cartridge_warp_metadata.schema_registry
where schema_name = %s and table_name = %s order by version desc limit 1
"""
_LETTERS = """
select key_text, column_name, reason from cartridge_warp_metadata.dead_letters
where schema_name = %s and table_name = %s and status = 'pending'
"""
_TIMESTAMP = "(extract(epoch from {}) * 1000)::numeric::text"
BY_VALUE = "number by value"
"""The kind of a column of decimals that keeps no scale."""
_ALTERED = {"character_removed", "negative_zero"}


@dataclass(frozen=True, slots=True)
class Stored:
    """A table as it is: its columns' kinds by source name, its rows by key, and its pending letters."""

    kinds: dict[str, str]
    is_mixed: bool
    rows: dict[str, dict[str, str | None]]
    letters: dict[tuple[str, str | None], str]


def unlawful(
    warehouse: str,
    schema: str,
    table: str,
    documents: Mapping[str, Mapping[str, Any]],
    ghosts: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[str]:
    """What breaks E8, or E11: ten lines at most.

    Args:
        documents: what the source has, by ``key_text`` of the key.
        ghosts: what went with a collection that was dropped; their rows may be here still, or not.
    """
    try:
        with reading(warehouse) as connection:
            stored = _stored(connection, schema, table)
    except (psycopg.errors.UndefinedFunction, psycopg.errors.UndefinedColumn):
        return ["the table's columns changed between two looks"]
    if stored is None:
        return [f"no table for {len(documents)} documents"] if documents else []
    return judged(stored, documents, ghosts)


def judged(
    stored: Stored,
    documents: Mapping[str, Mapping[str, Any]],
    ghosts: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[str]:
    """The same of a table that has been read already."""
    found: list[str] = []
    rows = dict(stored.rows)
    for text, document in documents.items():
        row = rows.pop(_row_key(text, document, stored), None)
        if row is not None:
            found += _judge(text, document, row, stored)
        elif (text, None) not in stored.letters:
            found.append(f"{text} is missing, and no letter tells of it")
    for text, document in (ghosts or {}).items():
        rows.pop(_row_key(text, document, stored), None)
    found += [f"{key} is too many" for key in rows]
    return found[:10]


def _judge(text: str, document: Mapping[str, Any], row: Mapping[str, str | None], stored: Stored) -> list[str]:
    found = []
    for name in {*document, *row} - {"_id"}:
        reason = stored.letters.get((text, name))
        value, kind = document.get(name), stored.kinds.get(name, "")
        if not _is_lawful(value, row.get(name), kind, reason):
            found.append(f"{text}.{name!r}: {value!r} is {row.get(name)!r} in a column of {kind}, letter {reason}")
    return found


def _is_lawful(value: Any, stored: str | None, kind: str, reason: str | None) -> bool:
    if value is None or stored is None:
        return stored is None and (value is None or reason not in {None, *_ALTERED})
    if kind == BY_VALUE:
        return not isinstance(value, bool | str) and Decimal(stored) == Decimal(text_of(value))
    if _read(stored, kind) == _expected(value, kind):
        return True
    if reason == "json_number":
        return _is_alike(_read(stored, kind), _expected(value, kind))
    return reason in _ALTERED and _softened(_read(stored, kind)) == _softened(_expected(value, kind))


def _expected(value: Any, kind: str) -> Any:
    return json_value(value) if kind == "json" or isinstance(value, dict | list) else text_of(value)


def _read(stored: str, kind: str) -> Any:
    match kind:
        case "json":
            return read_json(stored)
        case "double":
            return double_text(float(stored))
        case "numeric":
            return decimal_text(Decimal(stored))
        case "timestamp_tz":
            return moment_text(int(Decimal(stored)))
        case "binary":
            return text_of(bytes.fromhex(stored.removeprefix("\\x")))
    return stored


def _softened(value: Any) -> Any:
    """Without what PostgreSQL cannot hold: NUL characters, and the sign of a zero where JSON or numeric has none."""
    if isinstance(value, str):
        return "0" if value == "-0" else value.replace("\0", "")
    if isinstance(value, dict):
        return {_softened(name): _softened(its) for name, its in value.items()}
    return list(map(_softened, value)) if isinstance(value, list) else value


def _is_alike(found: Any, expected: Any) -> bool:
    """The same JSON, but for numbers that are strings with all of their digits."""
    if isinstance(found, str) and isinstance(expected, Decimal):
        return Decimal(found) == expected
    if isinstance(found, dict) and isinstance(expected, dict):
        return found.keys() == expected.keys() and all(_is_alike(found[name], expected[name]) for name in found)
    if isinstance(found, list) and isinstance(expected, list):
        return len(found) == len(expected) and all(map(_is_alike, found, expected))
    return type(found) is type(expected) and bool(found == expected)


def _row_key(text: str, document: Mapping[str, Any], stored: Stored) -> str:
    return text if stored.is_mixed else text_of(document["_id"])


def _stored(connection: psycopg.Connection[Any], schema: str, table: str) -> Stored | None:
    try:
        registered = connection.execute(_REGISTRY, [schema, table]).fetchone()
    except psycopg.errors.UndefinedTable:
        return None
    if registered is None:
        return None
    columns = registered["columns"]["columns"]
    kinds = {column["name"]: column["kind"] for column in columns}
    chosen = [
        sql.SQL("{} as {}").format(_shown(column["kind"], column["stored"]), sql.Identifier(f"c{number}"))
        for number, column in enumerate(columns)
    ]
    where = sql.Identifier(registered["columns"]["stored_schema"], registered["columns"]["stored_table"])
    query = sql.SQL("select {} from {}").format(sql.SQL(", ").join(chosen), where)
    names = [column["name"] for column in columns]
    rows = [dict(zip(names, row.values(), strict=True)) for row in connection.execute(query).fetchall()]
    key = next(column for column in columns if column["name"] == "_id")
    letters = connection.execute(_LETTERS, [schema, table]).fetchall()
    return Stored(
        kinds,
        key.get("family") in ("mixed", "json"),
        {_read(row["_id"], key["kind"]): row for row in rows},
        {(letter["key_text"], letter["column_name"]): letter["reason"] for letter in letters},
    )


def _shown(kind: str, stored: str) -> sql.Composed:
    return sql.SQL(_TIMESTAMP if kind == "timestamp_tz" else "{}::text").format(sql.Identifier(stored))


def keyed(documents: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Documents by the text of their keys."""
    return {key_text(document["_id"]): document for document in documents}
