"""Every BSON type becomes what docs/types.md says, from a first load and from the stream alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.fixtures.servers import MongoDatabase
from tests.pairs.process import Command
from tests.type_tables.bson_types import BSON_TYPES
from tests.type_tables.table import TypeRow

pytestmark = pytest.mark.servers

_COLUMN = """
select data_type from information_schema.columns where table_schema = %s and table_name = %s and column_name = 'v'
"""
_LETTERS = """
select primary_key, reason from cartridge_warp_metadata.dead_letters
where schema_name = %s and table_name = %s and status = 'pending'
"""


def documents(row: TypeRow) -> list[dict[str, Any]]:
    return [{"_id": str(number), "v": sample.value} for number, sample in enumerate(row.samples)]


def test_every_type_arrives_as_documented(tmp_path: Path, mongo_db: MongoDatabase, warehouse: str) -> None:
    # SPEC: E1 E2 E8 E9
    command = Command(tmp_path, mongo_db.uri, warehouse, mongo_db.name)
    for number, row in enumerate(BSON_TYPES):
        mongo_db.database[f"loaded_{number}"].insert_many(documents(row))
        mongo_db.database.create_collection(f"streamed_{number}")
    command.once()
    for number, row in enumerate(BSON_TYPES):
        mongo_db.database[f"streamed_{number}"].insert_many(documents(row))
    command.once()
    with psycopg.connect(warehouse, options="-c timezone=UTC") as connection:
        for number, row in enumerate(BSON_TYPES):
            for way in ("loaded", "streamed"):
                assert found(connection, mongo_db.name, f"{way}_{number}") == expected(row), (row.name, way)


def expected(row: TypeRow) -> dict[str, Any]:
    return {
        "column": row.column if any(sample.value is not None for sample in row.samples) else None,
        "values": {str(number): sample.stored for number, sample in enumerate(row.samples)},
        "letters": {str(number): sample.lost for number, sample in enumerate(row.samples) if sample.lost},
    }


def found(connection: psycopg.Connection[Any], schema: str, table: str) -> dict[str, Any]:
    column = connection.execute(_COLUMN, [schema, table]).fetchone()
    value = sql.SQL("v::text" if column else "null")
    rows = connection.execute(sql.SQL("select _id, {} from {}").format(value, sql.Identifier(schema, table))).fetchall()
    letters = connection.execute(_LETTERS, [schema, table]).fetchall()
    return {
        "column": column[0] if column else None,
        "values": dict(rows),
        "letters": {key.split('"')[3]: reason for key, reason in letters},
    }
