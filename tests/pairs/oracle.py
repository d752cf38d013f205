"""Compares a MongoDB collection with its table, value by value, by rules written down a second time."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
from bson import Decimal128, Int64, ObjectId
from psycopg import sql
from pymongo.database import Database

Documents = Database[dict[str, Any]]


@contextmanager
def reading(warehouse: str) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    """A connection that gives rows as dicts and JSON numbers as decimals."""
    with psycopg.connect(warehouse, row_factory=psycopg.rows.dict_row, options="-c timezone=UTC") as connection:
        psycopg.types.json.set_json_loads(
            lambda text: json.loads(text, parse_float=Decimal, parse_int=Decimal), connection
        )
        yield connection


def rows(warehouse: str, schema: str, table: str) -> list[dict[str, Any]]:
    """The rows of a table, without the columns of our own; none where there is no table."""
    with reading(warehouse) as connection:
        try:
            found = connection.execute(sql.SQL("select * from {}").format(sql.Identifier(schema, table))).fetchall()
        except psycopg.errors.UndefinedTable:
            return []
    return [{name: value for name, value in row.items() if not name.startswith("_warp")} for row in found]


def differences(database: Documents, warehouse: str, schema: str, table: str) -> list[str]:
    """What differs, at most ten lines; empty where every document is a row with the same values."""
    stored = rows(warehouse, schema, table)
    by_key = {str(row["_id"]): row for row in stored}
    found = [] if len(by_key) == len(stored) else [f"{len(stored) - len(by_key)} keys twice"]
    documents = list(database[table].find())
    for document in documents:
        row = by_key.pop(str(document["_id"]), None)
        if row is None:
            found.append(f"{document['_id']} is missing")
            continue
        for name in {*document, *row} - {"_id"}:
            if not same(document.get(name), row.get(name)):
                found.append(f"{document['_id']}.{name}: {document.get(name)!r} is {row.get(name)!r}")
    found += [f"{key} is too many" for key in by_key]
    return found[:10]


def same(value: Any, stored: Any) -> bool:
    """Whether a stored value is what SPEC 5 makes of a BSON value that kept its type."""
    if value is None or isinstance(value, bool):
        return value is stored or (value == stored and type(value) is type(stored))
    if isinstance(value, datetime):
        return isinstance(stored, datetime) and value.replace(tzinfo=UTC) == stored
    if isinstance(value, Decimal128):
        return isinstance(stored, Decimal) and stored.as_tuple() == value.to_decimal().as_tuple()
    if isinstance(value, ObjectId):
        return bool(stored == str(value))
    if isinstance(value, int | Int64):
        return not isinstance(stored, bool) and Decimal(int(value)) == stored
    if isinstance(value, float):
        if isinstance(stored, bool) or not isinstance(stored, int | float | Decimal):
            return False
        return (math.isnan(value) and math.isnan(stored)) or Decimal(repr(value)) == Decimal(str(stored))
    if isinstance(value, dict):
        return (
            isinstance(stored, dict) and value.keys() == stored.keys() and all(same(value[k], stored[k]) for k in value)
        )
    if isinstance(value, list):
        return isinstance(stored, list) and len(value) == len(stored) and all(map(same, value, stored))
    return type(value) is type(stored) and value == stored
