"""MongoDB to BigQuery, run as a user runs it: every value by type, with crashes, drift and a resync in between."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from bson import Binary, Decimal128, Int64, ObjectId

from tests.fixtures.servers import BigQueryProject, MongoDatabase
from tests.pairs.bigquery_tables import Tables
from tests.pairs.load import churn, fill
from tests.pairs.process import Command

pytestmark = pytest.mark.servers

START = datetime(2024, 1, 1, tzinfo=UTC)
DRIFTS: dict[str, tuple[Any, Any]] = {
    "int_to_text": (1, "0001"),
    "int_to_number_as_text": (1, "17"),
    "int32_to_int64": (1, Int64(2**40)),
    "int64_to_double": (Int64(2**53 + 1), 0.5),
    "int_to_double": (20000, 19999.5),
    "int_to_decimal": (7, Decimal128("7.10")),
    "double_to_decimal": (0.1, Decimal128("0.20")),
    "decimal_beyond_numeric": (Decimal128("1.25"), Decimal128("1.0000000001")),
    "int_to_object": (1, {"deep": [1, {"x": None}]}),
    "object_to_int": ({"a": 1}, 3),
    "array_to_text": ([1, 2.5], "three"),
    "bool_to_int": (True, 1),
    "date_to_text": (START, "2024-01-01"),
    "text_to_date": ("yesterday", START),
    "nul": ("clean", "nul\0here"),
    "nan": (1.5, float("nan")),
    "minus_zero": (Decimal128("1"), -0.0),
    "binary_to_text": (b"\0\xff", "text"),
    "uuid": (Binary(bytes(range(16)), 4), None),
    "json_numbers": ({"n": Int64(2**63 - 1)}, {"n": Decimal128("0.10"), "f": 1e308, "i": float("inf")}),
    "case": ({"Name": 1}, {"name": 2}),
    "late": (None, ObjectId()),
}
FEW = ("int_to_text", "int_to_decimal", "int_to_object", "date_to_text", "late")
ODD = '"; drop table x; --'


@pytest.fixture
def tables(bigquery: BigQueryProject) -> Iterator[Tables]:
    made = Tables(bigquery)
    yield made
    made.session.close()


@pytest.fixture
def command(tmp_path: Path, mongo_db: MongoDatabase, bigquery: BigQueryProject) -> Command:
    warehouse = {**bigquery.options, "state_file": str(tmp_path / "state.sqlite"), "min_interval": "1s"}
    return Command(tmp_path, mongo_db.uri, warehouse, mongo_db.name)


def put(mongo_db: MongoDatabase, part: int, names: Collection[str] = DRIFTS) -> None:
    """Documents of the types that the fields begin with, or of those that they come to."""
    things = mongo_db.database["things"]
    for number in range(4):
        document = {name: DRIFTS[name][part] for name in names}
        # One that is there already is replaced.
        things.replace_one({"_id": number + 3 * part}, {**document, "Case": number, "case": "c"}, upsert=True)


def test_every_value_arrives_and_only_what_changed_is_written(
    command: Command, mongo_db: MongoDatabase, tables: Tables
) -> None:
    # SPEC: M1 E1 E2 E3 E4 E6 E8 E9 E11 X1 L2 Z4
    users, odd = mongo_db.database["users"], mongo_db.database[ODD]
    fill(users, 600)
    put(mongo_db, 0)
    odd.insert_many([{"_id": key, "": 1, "a`b": key, "select": "s"} for key in (1, 2)])
    command.once()
    assert tables.unlawful(mongo_db.database, "users", "things", ODD) == []
    before = tables.sequences(mongo_db.name, "users")
    churn(users, 200, seed=2)
    put(mongo_db, 1)
    odd.insert_many([{"_id": "1", "v": 1}, {"_id": {"a": 1}, "Select": 2}, {"_id": 2.5}])
    odd.delete_one({"_id": 2})
    command.once()
    assert tables.unlawful(mongo_db.database, "users", "things", ODD) == []
    after = tables.sequences(mongo_db.name, "users")
    assert sum(after.get(key) == sequence for key, sequence in before.items()) > 300
    lost = {its.column_name for its in tables.metadata(f"dead_letters__{mongo_db.name}", mongo_db.name, "things")}
    assert lost == {"int_to_object", "minus_zero"}, "all others have their place"
    command.once()
    assert tables.sequences(mongo_db.name, "users") == after


def test_a_crash_at_any_step_loses_and_repeats_nothing(
    command: Command, mongo_db: MongoDatabase, tables: Tables
) -> None:
    # SPEC: T6 T7 M6 E10  FAULTS: 1 2 4 14
    users = mongo_db.database["users"]
    fill(users, 200)
    put(mongo_db, 0, FEW)
    crash(command, "commit.staged")
    command.once()
    assert tables.unlawful(mongo_db.database, "users", "things") == []
    churn(users, 100, seed=3)
    put(mongo_db, 1, FEW)
    for point in ("ddl.announced", "ddl.swapped", "commit.staged"):
        crash(command, point)
    command.once()
    assert tables.unlawful(mongo_db.database, "users", "things") == []
    assert [name for name in tables.names(mongo_db.name, "things") if name.startswith(("_warp_new", "_warp_old"))] == []
    versions = Counter(its.version for its in tables.metadata("schema_registry", mongo_db.name, "things"))
    assert set(versions.values()) == {1}
    logged = Counter(its.primary_key for its in tables.metadata("deletion_log", mongo_db.name, "users"))
    assert set(logged.values()) == {1}
    assert all("$oid" in json.loads(key)["_id"] for key in logged), "an object by column, as extended JSON"


def crash(command: Command, point: str) -> None:
    """Run until a point is met; what was done before it stays as it is."""
    assert command.start("run", "--once", failpoints=f"{point}=kill").wait(120) == -signal.SIGKILL, (
        point,
        command.log[-3000:],
    )


def test_a_resync_beside_the_stream_mends_what_was_spoiled(
    command: Command, mongo_db: MongoDatabase, tables: Tables
) -> None:
    # SPEC: M5 X1 R5  FAULTS: 14
    users = mongo_db.database["users"]
    fill(users, 600)
    mongo_db.database["gone"].insert_many([{"_id": number} for number in range(5)])
    command.once()
    spoil(tables, mongo_db.name)
    assert tables.unlawful(mongo_db.database, "users")
    assert command.start("verify", "--table", f"{mongo_db.name}.users").wait(120) == 1
    assert "a row that cartridge-warp did not write" in command.log
    mongo_db.database["gone"].insert_one({"_id": 5, "new": "field"})
    process = command.start("run", "--once", "--full-resync")
    for seed in range(8):
        churn(users, 30, seed)
    assert process.wait(120) == 0, command.log[-3000:]
    command.once()
    assert tables.unlawful(mongo_db.database, "users", "gone") == []


def spoil(tables: Tables, schema: str) -> None:
    """A row that the source never had, a wrong value, a row that is missing, and a table that is gone."""
    stored = f"`{schema}`.users"
    tables.session.run(
        f"insert into {stored} (_warp_key, _id, _warp_sequence, _warp_synced_at)"
        " values ('ghost', 'ghost', 1, current_timestamp())"
    )
    for change in ("update {} set n = -1 where", "delete from {} where"):
        tables.session.run(
            f"{change.format(stored)} _warp_key = (select min(_warp_key) from {stored} where n <> -1 and n is not null)"
        )
    tables.session.run(f"drop table `{schema}`.gone")
