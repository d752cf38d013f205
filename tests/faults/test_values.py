"""The ugliest documents and names in one stream with good neighbours, and a process that dies in the middle of them."""

from __future__ import annotations

import base64

import pytest

from tests.faults.poison import NAMES, ODD, RAW, Document, poison, raw
from tests.faults.stage import Stage
from tests.pairs.canonical import key_text
from tests.pairs.lawful import unlawful

pytestmark = pytest.mark.servers

RECORDS = "select record from cartridge_warp_metadata.dead_letters where encoding = 'base64' and schema_name = %s"
LETTERS = "select count(*) from cartridge_warp_metadata.dead_letters where schema_name = %s"


# SPEC: E6, E7, E8, E9, E11, T7  FAULTS: 13
def test_poison_beside_good_neighbours_and_a_crash(stage: Stage) -> None:
    neighbours, poisoned = stage.machine(), stage.database["poison"]
    neighbours.fill(50)
    documents: list[Document] = [{"_id": f"good {number}", "v": number, "n": number} for number in range(20)]
    poisoned.insert_many(documents)
    stage.command.once()
    for number, document in enumerate(poison()):
        poisoned.insert_one(document)
        documents.append(document)
        if number % 3 == 0:
            neighbours.step()
    poisoned.insert_many(map(raw, RAW))
    documents += [{"_id": key} for key in RAW]
    stage.dies("commit.ready=kill")
    neighbours.burst(30)
    stage.dies("commit.done=kill")
    stage.command.once()
    assert stage.differences("users") == []
    by_key = {key_text(document["_id"]): document for document in documents}
    assert unlawful(stage.warehouse, stage.schema, "poison", by_key) == []
    kept = {base64.b64decode(record) for record in stage.query(RECORDS)}
    assert {raw(key).raw for key in RAW} <= kept


# SPEC: E4, E5, Z4, T7  FAULTS: 16
def test_odd_names_under_drift_and_a_crash(stage: Stage) -> None:
    stage.machine().fill(30)
    for name in ODD[::2]:
        stage.database[name].insert_one({"_id": "first", "n": 1, name.replace(".", "_"): "own"})
    stage.command.once()
    for number, field in enumerate(NAMES):
        for name in ODD:
            collection = stage.database[name]
            collection.insert_one({"_id": number, field: number, "n": number})
            collection.update_one({"_id": number}, {"$set": {f"{field.strip('$').replace('.', ' ')}2": [field]}})
    stage.dies("commit.ready=kill@2")
    stage.command.once()
    assert stage.differences("users") == []
    for name in ODD:
        documents = {key_text(its["_id"]): its for its in stage.database[name].find()}
        assert unlawful(stage.warehouse, stage.schema, name, documents) == [], name
    query = "select stored_name from cartridge_warp_metadata.name_map where schema_name = %s and is_table"
    told = stage.query(query)
    assert len(set(told)) == len(told) >= 3
    assert stage.query(LETTERS) == [0]
