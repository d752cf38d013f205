"""The decoder of whole columns against the one that reads document by document, which is its oracle."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import bson
import pytest
from bson import Code, Decimal128, Int64, MinKey, ObjectId, Regex, Timestamp
from bson.binary import Binary
from bson.datetime_ms import DatetimeMS
from hypothesis import given, settings
from hypothesis import strategies as st

from warp_resources.connectors.mongodb import decode as decoder
from warp_resources.connectors.mongodb import vector_json
from warp_resources.connectors.mongodb.uniform import decode_uniform
from warp_resources.model.batches import TableBatch
from warp_resources.model.tables import TableId

TABLE = TableId("shop", "users")
NEVER = 10**9


def rows_of(batch: TableBatch) -> dict[str, dict[str, tuple[str, str, object]]]:
    """Each row by its original: per field the type, the family and the value, as Arrow has it."""
    found: dict[str, dict[str, tuple[str, str, object]]] = {}
    for row in range(batch.row_count):
        fields = {}
        for column in batch.columns:
            for variant in column.variants:
                if variant.values[row].is_valid:
                    value = str(variant.values[row].cast("int64") if variant.type.unit else variant.values[row])
                    assert column.name not in fields, "variants are disjoint"
                    fields[column.name] = (str(variant.type), variant.family, value)
        found[batch.original(row).record] = fields
    return found


def faults_of(batch: TableBatch) -> set[tuple[str, str | None, str]]:
    return {(flaw.reason, flaw.column, flaw.original.record) for flaw in batch.flaws}


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    def decode(raw: list[bytes]) -> tuple[TableBatch, TableBatch]:
        batches = []
        for worthwhile in (2, NEVER):
            monkeypatch.setattr(decoder, "_WORTHWHILE_ROWS", worthwhile)
            monkeypatch.setattr(vector_json, "_WORTHWHILE_VALUES", worthwhile)
            batches.append(decoder.decode(TABLE, raw))
        return batches[0], batches[1]

    return decode


TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=6)
DECIMALS = ["0", "1.10", "-0.5", "-0", "1E+30", "NaN", "Infinity", "1E-6176", "9" * 34, "0.00", "123456.789"]
INNER_NAMES = st.sampled_from(["a", "b", 'q"', "é"])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**31), 2**31 - 1),
    st.integers(-(2**63), 2**63 - 1).map(Int64),
    st.floats(),
    TEXTS,
    st.binary(min_size=12, max_size=12).map(ObjectId),
    st.integers(-(2**62), 2**62).map(DatetimeMS),
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)),
    st.sampled_from(
        ["0", "1.10", "-0.5", "-0", "1E+30", "NaN", "Infinity", "1E-6176", "9" * 34, "0.00", "123456.789"]
    ).map(Decimal128),
    st.binary(max_size=4),
    st.sampled_from([Regex("a"), Code("x"), MinKey(), Timestamp(1, 2), Binary(b"0" * 16, 4), Binary(b"a", 5)]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(INNER_NAMES, inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(["n", "name", "x.y", "$odd", "", "日本", 'quo"te'])


@st.composite
def collections(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Documents of a few layouts, each with many documents, so that both ways are taken."""
    layouts = draw(
        st.lists(st.dictionaries(NAMES, st.lists(VALUES, min_size=1, max_size=3), max_size=4), min_size=1, max_size=3)
    )
    documents = []
    for number in range(draw(st.integers(1, 12))):
        fields = layouts[number % len(layouts)]
        documents.append({"_id": number, **{name: values[number % len(values)] for name, values in fields.items()}})
    return documents


@settings(max_examples=300, deadline=None)
@given(documents=collections())
def test_both_decoders_agree(documents: list[dict[str, Any]]) -> None:
    # SPEC: E8 E9
    raw = [bson.encode(document) for document in documents]
    batches = []
    before = decoder._WORTHWHILE_ROWS, vector_json._WORTHWHILE_VALUES
    try:
        for worthwhile in (2, NEVER):
            decoder._WORTHWHILE_ROWS = vector_json._WORTHWHILE_VALUES = worthwhile
            batches.append(decoder.decode(TABLE, raw))
    finally:
        decoder._WORTHWHILE_ROWS, vector_json._WORTHWHILE_VALUES = before
    fast, exact = batches
    assert rows_of(fast) == rows_of(exact)
    assert faults_of(fast) == faults_of(exact)


def element(kind: int, name: bytes, value: bytes) -> bytes:
    return bytes([kind]) + name + b"\0" + value


def document(*elements: bytes) -> bytes:
    body = b"".join(elements)
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def text(value: bytes) -> bytes:
    return struct.pack("<i", len(value) + 1) + value + b"\0"


KEYS = [element(0x10, b"_id", struct.pack("<i", number)) for number in range(10)]


@pytest.mark.parametrize(
    "odd",
    [
        document(KEYS[5], element(0x02, b"a", text(b"\xff\xfe"))),
        document(KEYS[5], element(0x02, b"a", text(b"x")), element(0x02, b"a", text(b"y"))),
        document(KEYS[5], element(0x02, b"a\xff", text(b"x"))),
        document(KEYS[5], element(0x03, b"a", document(element(0x0A, b"x", b""), element(0x08, b"x", b"\1")))),
        document(KEYS[5], element(0x04, b"a", document(element(0x02, b"0", text(b"\xc3("))))),
        document(KEYS[5], element(0x02, b"a", text(b"nul\0inside"))),
        document(element(0x03, b"_id", document(KEYS[0])), element(0x02, b"a", text(b"x"))),
        document(element(0x0A, b"_id", b""), element(0x02, b"a", text(b"x"))),
    ],
    ids=["utf8", "twice", "name", "nested twice", "array utf8", "nul", "document key", "null key"],
)
@pytest.mark.parametrize("place", [0, 5])
def test_an_odd_document_spoils_no_other(both: Any, odd: bytes, place: int) -> None:
    # SPEC: E7 E8
    raw = [document(KEYS[number], element(0x02, b"a", text(b"x"))) for number in (0, 1, 2, 3, 4, 6, 7, 8)]
    raw.insert(place, odd)
    fast, exact = both(raw)
    assert rows_of(fast) == rows_of(exact)
    assert faults_of(fast) == faults_of(exact)


def test_a_layout_is_read_at_once_and_others_are_left() -> None:
    raw = [
        bson.encode({"_id": n, "a": None if n % 3 == 0 else n, "at": datetime(2024, 1, 1, tzinfo=UTC)})
        for n in range(1, 9)
    ]
    other = bson.encode({"_id": 9, "b": 1})
    uniform = decode_uniform([*raw[:4], other, *raw[4:]])
    assert uniform is not None
    assert uniform.rows.tolist() == [0, 1, 2, 3, 5, 6, 7, 8]
    assert [column.name for column in uniform.columns] == ["_id", "a", "at"]
    assert uniform.columns[1].variants[0].values.to_pylist() == [1, 2, None, 4, 5, None, 7, 8]
