"""What every source owes: the record of a dead letter is a row again, the same as when it was read."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from decimal import Decimal

from tests.contract.laboratories import SourceLab
from warp_resources.connectors.interfaces import ReadLimits
from warp_resources.model.batches import UNREADABLE_RECORD, WITHHELD, Original, TableBatch
from warp_resources.model.positions import KeyRange

LIMITS = ReadLimits(None, 10**7)


def content(batch: TableBatch) -> dict[str, list[tuple[str, str, list[object]]]]:
    """The variants of each column, with their values."""
    return {
        raw.name: sorted((str(its.type), its.family, its.values.to_pylist()) for its in raw.variants)
        for raw in batch.columns
    }


# SPEC: T5
def test_records_come_back_as_they_were_read(source_lab: SourceLab) -> None:
    source, scope = source_lab.open(), source_lab.scope()
    row = {
        "_id": 1,
        "text": 'a "quoted" text',
        "whole": 2**53 + 1,
        "broken": 1.5,
        "nan": float("nan"),
        "at": datetime(2024, 5, 1, 12, 30, tzinfo=UTC),
        "raw": b"\x00\xff",
        "nested": {"list": [1, None, {"deep": True}]},
        "nothing": None,
    }
    source_lab.put("users", row)
    read = source.read_chunk(scope, "users", KeyRange(), None, LIMITS, None).batch
    restored = source.restore(scope, "users", [read.original(0)])
    assert repr(content(restored)) == repr(content(read))
    assert (restored.table, restored.key, restored.row_count, restored.flaws) == (read.table, read.key, 1, ())
    assert restored.original(0) == read.original(0)


def test_the_key_alone_comes_back_too(source_lab: SourceLab) -> None:
    source, scope = source_lab.open(), source_lab.scope()
    source_lab.put("users", {"_id": "k", "n": 1})
    key = source.read_chunk(scope, "users", KeyRange(), None, LIMITS, None).batch.original(0).primary_key
    restored = source.restore(scope, "users", [Original(key, "extended_json", key)])
    assert [raw.name for raw in restored.columns] == ["_id"]
    assert restored.columns[0].variants[0].values.to_pylist() == ["k"]


def test_a_record_that_cannot_be_read_is_a_flaw_and_the_others_are_rows(source_lab: SourceLab) -> None:
    source, scope = source_lab.open(), source_lab.scope()
    source_lab.put("users", {"_id": 1, "n": 1})
    good = source.read_chunk(scope, "users", KeyRange(), None, LIMITS, None).batch.original(0)
    bad = [
        Original("{", "extended_json", "{}"),
        Original("[1]", "extended_json", "{}"),
        Original("!", "base64", "{}"),
        Original('{"_id": {"$numberDecimal": "x"}}', "extended_json", "{}"),
        Original(good.primary_key, WITHHELD, good.primary_key),
    ]
    restored = source.restore(scope, "users", [bad[0], good, *bad[1:]])
    assert restored.row_count == 1
    assert [(flaw.original, flaw.reason, flaw.column) for flaw in restored.flaws] == [
        (its, UNREADABLE_RECORD, None) for its in bad
    ]


def test_values_of_memory_alone_come_back() -> None:
    from datetime import date, time

    from warp_resources.connectors.memory.originals import original
    from warp_resources.connectors.memory.restoring import restored

    row = {
        "_id": uuid.UUID(int=5),
        "price": Decimal("1.10"),
        "day": date(2024, 5, 1),
        "hour": time(12, 30),
        "naive": datetime(2024, 5, 1),
        "big": 10**30,
    }
    rows, flaws = restored([original(row, ("_id",))], ("_id",))
    assert (rows, flaws) == ([row], [])
