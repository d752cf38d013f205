"""What is dropped, hashed or masked is nowhere in the batch, nor in the records kept for it."""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import bson
import pytest
from bson import Decimal128

from warp_resources.connectors.memory.columns import raw_columns
from warp_resources.connectors.memory.originals import original
from warp_resources.connectors.memory.redaction import redacted as redacted_row
from warp_resources.connectors.mongodb.decode import decode
from warp_resources.connectors.mongodb.redaction import redacted as redacted_document
from warp_resources.errors import TableFailure
from warp_resources.model.batches import Discard, Original, Replacements, TableBatch
from warp_resources.model.tables import TableId
from warp_resources.pipeline.shape import shaped

TABLE = TableId("shop", "users")
SECRET = "s3cr3t-value"


def rows_batch(*rows: dict[str, Any]) -> TableBatch:
    whole = [{"id": number, **row} for number, row in enumerate(rows)]
    return TableBatch(
        TABLE, ("id",), raw_columns(whole), len(whole), original=lambda number: original(whole[number], ("id",))
    )


def documents_batch(*documents: dict[str, Any] | bytes) -> TableBatch:
    raw = [each if isinstance(each, bytes) else bson.encode(each) for each in documents]
    return decode(TABLE, raw)


def redact_row(table: str, record: Original, replacements: Replacements) -> Original:
    return redacted_row(record, replacements)


def redact_document(table: str, record: Original, replacements: Replacements) -> Original:
    return redacted_document(record, replacements)


def values(batch: TableBatch, name: str) -> list[Any]:
    [column] = [raw for raw in batch.columns if raw.name == name]
    found = [variant.values.to_pylist() for variant in column.variants]
    return [next((value for value in row if value is not None), None) for row in zip(*found, strict=True)]


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def everything(batch: TableBatch) -> str:
    columns = [(raw.name, [variant.values.to_pylist() for variant in raw.variants]) for raw in batch.columns]
    records = [batch.original(row) for row in range(batch.row_count)]
    return repr((columns, records, batch.flaws, batch.discards))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Ann", "Ann"),
        ("", ""),
        ("with\0nul", "with\0nul"),
        ("0123", "0123"),
        (1, "1"),
        (1.0, "1"),
        (Decimal("1.00"), "1"),
        (Decimal("1E+2"), "100"),
        (Decimal("100.50"), "100.5"),
        (Decimal("-0.00"), "-0"),
        (-0.0, "-0"),
        (1e21, "1e+21"),
        (Decimal("1.50E-9"), "1.5e-9"),
        (float("nan"), "NaN"),
        (Decimal("NaN"), "NaN"),
        (float("inf"), "Infinity"),
        (True, "true"),
        (datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC), "2024-01-02T03:04:05Z"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (b"\x00\xff", "AP8="),
        ({"a": [1.0, None]}, '{"a":[1,null]}'),
        ([], "[]"),
    ],
    ids=repr,
)
def test_a_hash_is_of_the_canonical_text(value: Any, text: str) -> None:
    # SPEC: T5
    found = shaped(rows_batch({"ssn": value}), {"ssn": "hash"}, redact_row)
    assert values(found, "ssn") == [digest(text)]
    assert digest(text) in found.original(0).record


@pytest.mark.parametrize("action", ["hash", "mask"])
def test_null_stays_null_and_is_not_counted(action: str) -> None:
    # SPEC: T5 E8
    found = shaped(rows_batch({"ssn": None}, {"ssn": SECRET}, {}), {"ssn": action}, redact_row)
    assert [value is None for value in values(found, "ssn")] == [True, False, True]
    assert found.discards == (Discard("ssn", action, 1),)
    assert '"ssn": null' in found.original(0).record


@pytest.mark.parametrize("value", ["Ann", 1, float("nan"), "\0", {"x": SECRET}, [SECRET], b"x", False], ids=repr)
@pytest.mark.parametrize("action", ["drop", "mask"])
def test_nothing_of_a_value_is_left(action: str, value: Any) -> None:
    # SPEC: T5
    found = shaped(rows_batch({"note": value, "kept": 7}), {"note": action}, redact_row)
    assert values(found, "kept") == [7]
    assert found.discards == (Discard("note", action, 1),)
    if action == "mask":
        assert values(found, "note") == ["***"]
        assert '"note": "***"' in found.original(0).record
    else:
        assert "note" not in {raw.name for raw in found.columns}
        assert "note" not in found.original(0).record


def test_columns_of_several_types_and_batches_without_the_field() -> None:
    mixed = shaped(rows_batch({"v": 1}, {"v": "1"}, {"v": 1.0}, {"v": 2}), {"v": "hash"}, redact_row)
    assert values(mixed, "v") == [digest("1")] * 3 + [digest("2")]
    batch = rows_batch({"a": 1})
    assert shaped(batch, {}) is batch
    assert shaped(batch, {"v": "type"}) is batch
    assert shaped(batch, {"v": "hash"}).discards == ()


def test_a_restored_hash_is_not_hashed_again() -> None:
    once = shaped(rows_batch({"ssn": SECRET}), {"ssn": "hash"}, redact_row)
    again = shaped(
        rows_batch({"ssn": values(once, "ssn")[0]}, {"ssn": SECRET}), {"ssn": "hash"}, redact_row, restored=True
    )
    assert values(again, "ssn") == [digest(SECRET), digest(SECRET)]
    assert again.discards == ()
    assert SECRET not in everything(again)


def test_keys_are_refused() -> None:
    with pytest.raises(TableFailure, match=r"columns\.id\.action: hash"):
        shaped(rows_batch({"a": 1}), {"id": "hash"})


@pytest.mark.parametrize("action", ["drop", "hash", "mask"])
def test_records_of_documents_hold_nothing(action: str) -> None:
    # SPEC: T5
    batch = documents_batch(
        {"_id": 1, "ssn": SECRET, "n": Decimal128("1.10")},
        {"_id": 2, "ssn": {"deep": [SECRET]}, "n": None},
        {"_id": 3, "ssn": Decimal128("1.0")},
        # A negative zero within JSON is a flaw of the column.
        {"_id": 4, "ssn": {"z": -0.0, "s": SECRET}},
        # The field twice, and invalid UTF-8 in it: rows that are set aside whole.
        doubled(bson.encode({"_id": 5, "ssn": SECRET}), bson.encode({"ssn": SECRET + "2"})),
        bson.encode({"_id": 6, "ssn": SECRET + "x", "other": "fine"}).replace(b"valuex", b"value\xff"),
        bson.encode({"_id": 7, "ssn": SECRET, "other": "finex"}).replace(b"finex", b"fine\xff"),
    )
    assert len(batch.flaws) == 4
    assert SECRET in everything(batch)
    found = shaped(batch, {"ssn": action}, redact_document)
    assert len(found.flaws) == 3
    assert SECRET not in decoded(everything(found))
    if action == "hash":
        assert values(found, "ssn")[0] == digest(SECRET)
        assert [digest(SECRET) in decoded(repr(flaw)) for flaw in found.flaws].count(True) == 2
        for row, value in enumerate(values(found, "ssn")):
            assert value in found.original(row).record
    assert '"n": {"$numberDecimal": "1.10"}' in found.original(0).record


def test_a_record_that_cannot_be_taken_apart_is_withheld() -> None:
    # SPEC: T5
    broken = bson.encode({"_id": 1, "ssn": SECRET})[:-9] + b"\0"
    for record in (Original(SECRET, "extended_json", "{}"), Original(_base64(broken), "base64", "{}")):
        found = redacted_document(record, {"ssn": None})
        assert (found.record, found.encoding) == ("{}", "withheld")


def test_values_of_extended_tables_hash_alike_in_rows_and_records() -> None:
    raw = [bson.encode({"_id": 1, "at": {"x": datetime(2024, 1, 1)}})]
    batch = decode(TABLE, raw, extended=True)
    found = shaped(batch, {"at": "hash"}, lambda table, record, how: redacted_document(record, how, extended=True))
    assert values(found, "at") == [digest('{"x": {"$date": "2024-01-01T00:00:00Z"}}')]
    assert values(found, "at")[0] in found.original(0).record


def doubled(first: bytes, second: bytes) -> bytes:
    """One document with the fields of both."""
    body = first[4:-1] + second[4:-1]
    return (len(body) + 5).to_bytes(4, "little") + body + b"\0"


def decoded(text: str) -> str:
    """The text with what it holds in base64 put beside it."""
    import base64
    import re

    parts = [base64.b64decode(part).decode("latin-1") for part in re.findall(r"record='([A-Za-z0-9+/=]+)'", text)]
    return text + "".join(parts)


def _base64(raw: bytes) -> str:
    import base64

    return base64.b64encode(raw).decode()
