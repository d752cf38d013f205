"""The ugliest documents and names on their way to BigQuery, and a process that dies in the middle of them."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.bigquery_stage import BigQueryStage, bigquery_stage
from tests.faults.poison import NAMES, ODD, RAW, VALUES, Document, poison, raw
from tests.fixtures.servers import BigQueryProject, MongoDatabase
from tests.pairs.bigquery_tables import Tables
from tests.pairs.canonical import key_text
from tests.pairs.lawful import judged

pytestmark = pytest.mark.servers

LETTERS = "select record from cartridge_warp_metadata.dead_letters where schema_name = %s and {}"
NAMED = "select stored_name from cartridge_warp_metadata.name_map where schema_name = %s and {}"
LONG = ["é" * 149, "é" * 151, "v" * 300, "v" * 301, "v" * 300 + "w", "v" * 299 + "W"]
TABLES = [ODD[0], "users ", "\U0001f4a5", "Users", "a.b.c"]
"""One differs from ``users`` in case only, which some datasets, and the emulator, take for one."""
RESERVED = ["_PARTITIONTIME", "_table_suffix", "_CHANGE_TYPE", "_warp_key", "ti`ck", "line\nbreak", "\\"]


@pytest.fixture
def stage(tmp_path: Path, mongo_db: MongoDatabase, bigquery: BigQueryProject) -> BigQueryStage:
    return bigquery_stage(tmp_path, mongo_db, bigquery)


@pytest.fixture
def tables(bigquery: BigQueryProject) -> Iterator[Tables]:
    made = Tables(bigquery)
    yield made
    made.session.close()


def unlawful(tables: Tables, stage: BigQueryStage, name: str, documents: list[Document]) -> list[str]:
    stored = tables.stored(stage.schema, name)
    return ["no table"] if stored is None else judged(stored, {key_text(its["_id"]): its for its in documents})


# SPEC: E1, E6, E7, E8, E9, E11, T7  FAULTS: 13
def test_poison_beside_good_neighbours_and_a_crash(stage: BigQueryStage, tables: Tables) -> None:
    neighbours, poisoned = stage.machine(), stage.database["poison"]
    neighbours.fill(30)
    documents: list[Document] = [{"_id": f"good {number}", "v": number, "j": {}} for number in range(20)]
    poisoned.insert_many(documents)
    stage.command.once()
    documents += poison()
    documents += [{"_id": f"json {number}", "j": [value]} for number, value in enumerate(VALUES)]
    poisoned.insert_many(documents[20:])
    poisoned.insert_many(map(raw, RAW))
    documents += [{"_id": key} for key in RAW]
    neighbours.burst(20)
    stage.dies("commit.staged=kill")
    neighbours.burst(20)
    stage.dies("commit.done=kill")
    stage.command.once()
    assert stage.differences("users") == []
    assert unlawful(tables, stage, "poison", documents) == []
    kept = {base64.b64decode(record) for record in stage.query(LETTERS.format("encoding = 'base64'"))}
    assert {raw(key).raw for key in RAW} <= kept
    told = len(stage.query(LETTERS.format("true")))
    stage.command.once()
    assert len(stage.query(LETTERS.format("true"))) == told


# SPEC: E4, E5, Z4, T7  FAULTS: 16
def test_odd_names_under_drift_and_a_crash(stage: BigQueryStage, tables: Tables) -> None:
    stage.machine().fill(20)
    for name in TABLES[::2]:
        stage.database[name].insert_one({"_id": "first", "n": 1, name.replace(".", "_"): "own"})
    stage.command.once()
    for name in TABLES:
        collection = stage.database[name]
        for number, field in enumerate([*NAMES, *LONG, *RESERVED] if name == TABLES[0] else NAMES):
            collection.insert_one({"_id": number, field: number, "n": number})
            collection.update_one({"_id": number}, {"$set": {f"{field.strip('$').replace('.', ' ')}2": [field]}})
    stage.dies("commit.staged=kill@2")
    stage.command.once()
    assert stage.differences("users") == []
    for name in TABLES:
        assert unlawful(tables, stage, name, list(stage.database[name].find())) == [], name
        [columns] = [{column["stored"] for column in (tables.registered(stage.schema, name) or {})["columns"]}]
        assert len({column.lower() for column in columns}) == len(columns)
        assert max(len(column.encode()) for column in columns) <= 300
    told = stage.query(NAMED.format("is_table"))
    assert len(set(told)) == len(told) >= 3
    assert stage.query(LETTERS.format("true")) == []
