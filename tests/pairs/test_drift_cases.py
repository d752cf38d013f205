"""The drifts in which replication tools lose data quietly, in every mode: each value is judged by SPEC E8."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from bson import Binary, DatetimeMS, Decimal128, Int64
from bson.codec_options import CodecOptions, DatetimeConversion

from tests.fixtures.servers import MongoDatabase
from tests.pairs.lawful import keyed, unlawful
from tests.pairs.process import Command, eventually, stop

pytestmark = pytest.mark.servers

Documents = list[dict[str, Any]]
START = datetime(2024, 1, 1, tzinfo=UTC)


def meet(before: Any, after: Any) -> tuple[Documents, Documents]:
    """Rows of one type, then one of another, which also replaces a value that was there."""
    first = [{"_id": number, "v": before} for number in range(5)]
    return first, [{"_id": 4, "v": after}, {"_id": 5, "v": after}]


CASES: dict[str, tuple[Documents, Documents]] = {
    "late field": ([{"_id": n, "a": n} for n in range(2000)], [{"_id": 2000, "a": 1, "late": "here"}]),
    "int to string": meet(1, "0001"),
    "int to number as string": meet(1, "17"),
    "int32 to int64": meet(1, Int64(2**40)),
    "int64 to double": meet(Int64(2**53 + 1), 0.5),
    "int to double": meet(20000, 19999.5),
    "int to decimal": meet(7, Decimal128("7.10")),
    "double to decimal": meet(0.1, Decimal128("0.10")),
    "int to object": meet(1, {"deep": [1, {"x": None}]}),
    "object to int": meet({"a": 1}, 3),
    "array to text": meet([1, 2], "three"),
    "bool to int": meet(True, 1),
    "date to text": meet(START, "2024-01-01"),
    "text to date": meet("yesterday", START),
    "date past 9999": meet(START, DatetimeMS(253_402_300_800_000)),
    "date past 294276": meet(START, DatetimeMS(2**62)),
    "date before year 1": meet(START, DatetimeMS(-62_167_219_200_001)),
    "NUL": meet("clean", "nul\0here"),
    "NUL within": meet({"a": "clean"}, {"nul\0here".replace("\0", ""): "nul\0here"}),
    "NaN": meet(1.5, float("nan")),
    "NaN within": meet([1.5], [float("nan"), float("-inf"), -0.0]),
    "minus zero": meet(Decimal128("1"), -0.0),
    "text like numbers": meet("12", "012"),
    "Name and name": ([{"_id": 1, "Name": "N"}], [{"_id": 1, "Name": "N", "name": 2}, {"_id": 2, "name": "n"}]),
    "odd names": ([{"_id": 1, "": 1, " ": 2}], [{"_id": 2, "x" * 70: 1, "x" * 71: 2, "ctid": 3, "_warp_sequence": 4}]),
    "field that comes back": ([{"_id": 1, "v": 1}], [{"_id": 1}, {"_id": 2, "v": "back"}]),
    "500 new fields": ([{"_id": 1}], [{"_id": 2, **{f"f{n}": n for n in range(500)}}]),
    "keys of two families": ([{"_id": 1, "v": 1}, {"_id": 2, "v": 2}], [{"_id": "1", "v": 3}, {"_id": 2.5, "v": 4}]),
    "keys of many families": (
        [{"_id": Binary(b"a", subtype), "v": subtype} for subtype in (0, 5, 128)],
        [
            {"_id": key, "v": number}
            for number, key in enumerate([None, True, {"a": 1}, {"a": "1"}, "nul\0", "a", START])
        ],
    ),
    "keys that look alike": ([{"_id": 0.1, "v": 1}, {"_id": 3, "v": 2}], [{"_id": Decimal128("0.1"), "v": 3}]),
}


def put(mongo_db: MongoDatabase, part: int) -> None:
    for name, parts in CASES.items():
        for document in parts[part]:
            stamped = {**document, "updated_at": datetime.now(UTC)}
            mongo_db.database[name].replace_one({"_id": document["_id"]}, stamped, upsert=True)


def differences(mongo_db: MongoDatabase, warehouse: str) -> list[str]:
    found = []
    for name in CASES:
        documents = keyed(list(raw(mongo_db, name)))
        found += [f"{name}: {line}" for line in unlawful(warehouse, mongo_db.name, name, documents)]
    return found


def raw(mongo_db: MongoDatabase, name: str) -> Documents:
    """What is there, with dates that no datetime can hold."""
    options: CodecOptions[dict[str, Any]] = CodecOptions(
        tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO
    )
    return list(mongo_db.database.get_collection(name, codec_options=options).find())


@pytest.fixture
def line(tmp_path: Path, mongo_db: MongoDatabase, warehouse: str) -> Callable[..., Command]:
    return lambda **schema: Command(tmp_path, mongo_db.uri, warehouse, mongo_db.name, **schema)


MODES: dict[str, dict[str, Any]] = {
    "stream": {},
    "batch": {"mode": "batch"},
    "hash": {"mode": "batch", "change_detection": {"strategy": "hash"}},
}


@pytest.mark.parametrize("mode", MODES)
def test_drift_loses_nothing(mode: str, line: Callable[..., Command], mongo_db: MongoDatabase, warehouse: str) -> None:
    # SPEC: E2 E3 E4 E5 E6 E8 E9 E11 X4 M2
    command = line(**MODES[mode])
    put(mongo_db, 0)
    command.once()
    assert differences(mongo_db, warehouse) == []
    put(mongo_db, 1)
    command.once()
    assert differences(mongo_db, warehouse) == []


def test_drift_in_a_running_stream_loses_nothing(
    line: Callable[..., Command], mongo_db: MongoDatabase, warehouse: str
) -> None:
    # SPEC: E2 E3 E4 E6 E8 E10
    command = line()
    put(mongo_db, 0)
    process = command.start("run")
    try:
        eventually(lambda: differences(mongo_db, warehouse))
        put(mongo_db, 1)
        eventually(lambda: differences(mongo_db, warehouse))
        assert stop(process) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
