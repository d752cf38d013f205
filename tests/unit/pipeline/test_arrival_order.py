"""Whole runs over the in-memory destination: the order and the batching of arrival decide nothing (SPEC E8)."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.pipeline.documents import (
    BINARY,
    BOOL,
    DATE,
    DOUBLE,
    INT32,
    INT64,
    MILLIS,
    NUMERIC,
    TABLE,
    TEXT,
    UUID,
    Document,
    Value,
    batch_of,
)
from warp_resources.arrow.canonical import canonical_text
from warp_resources.arrow.keys import key_text
from warp_resources.arrow.types import arrow_type
from warp_resources.connectors.memory.destination import MemoryDestination, MemoryOptions
from warp_resources.model.batches import ConformedBatch, Variant
from warp_resources.model.positions import StreamCommit
from warp_resources.model.tables import ColumnType, Kind
from warp_resources.pipeline.conform import conform

# Of the two precisions, as one source has but one.
NAIVE = ColumnType(Kind.TIMESTAMP, unit="us")
NAMES = ("x", "y")

integers = st.integers(-3, 3) | st.sampled_from([2**31, 2**53 - 1, 2**53 + 1, 2**62, 2**62 + 96, -(2**63), 10**18])
doubles = st.floats() | st.sampled_from([-0.0, 0.1, 0.5, 3.0, 1e21, 1e23, 1e-7, 2.0**62, 2.0**-30])
decimals = st.sampled_from(
    ["1.10", "0.1", "0.50", "0.00", "-0.00", "NaN", "Infinity", "1E+30", "1E-7", "3", "9.31322574615478515625E-10"]
)
strings = st.sampled_from(
    ["", "1", "123", "0123", "-0", "true", "1.10", "NaN", "1e+21", "AP8=", "1970-01-01", "1970-01-01T00:00:00.000Z"]
)
scalars: st.SearchStrategy[Value] = st.one_of(
    st.tuples(st.just(BOOL), st.booleans()),
    st.tuples(st.just(INT32), st.integers(-(2**31), 2**31 - 1)),
    st.tuples(st.just(INT64), integers),
    st.tuples(st.just(DOUBLE), doubles),
    st.tuples(st.just(ColumnType(Kind.FLOAT32)), st.sampled_from([0.5, -0.0, 3.0])),
    st.tuples(st.just(NUMERIC), decimals),
    st.tuples(st.just(TEXT), strings),
    st.tuples(st.just(UUID), st.sampled_from([bytes(16), b"x" * 16])),
    st.tuples(st.just(BINARY), st.sampled_from([b"", b"\x00\xff"])),
    st.tuples(st.sampled_from([MILLIS, NAIVE]), st.sampled_from([0, 1_500, -1])),
    st.tuples(st.just(DATE), st.sampled_from([0, -700_000, 19_000])),
    st.tuples(st.just(ColumnType(Kind.TIME)), st.sampled_from([0, 1])),
)
keys: st.SearchStrategy[Value] = st.one_of(
    st.tuples(st.just(INT64), integers),
    st.tuples(st.just(DOUBLE), doubles),
    st.tuples(st.just(NUMERIC), decimals),
    st.tuples(st.just(TEXT), strings),
    st.tuples(st.just(BOOL), st.booleans()),
    st.tuples(st.just(UUID), st.just(bytes(16))),
    st.tuples(st.just(MILLIS), st.sampled_from([0, -1])),
)


def key_of(value: Value) -> str:
    return str(key_text(Variant(value[0], pa.array([value[1]], arrow_type(value[0]))))[0].as_py())


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[list[list[Document]], list[list[Document]]]:
    """The same documents in two orders, cut into batches in two ways."""
    drawn = draw(st.lists(st.tuples(keys, *(st.none() | scalars for _ in NAMES)), min_size=1, max_size=7))
    found = {
        key_of(key): {"_id": key} | {name: value for name, value in zip(NAMES, values, strict=True) if value}
        for key, *values in drawn
    }
    return draw(cut(list(found.values()))), draw(cut(list(found.values())))


@st.composite
def cut(draw: st.DrawFn, documents: list[Document]) -> list[list[Document]]:
    batches: list[list[Document]] = []
    for document in draw(st.permutations(documents)):
        if not batches or draw(st.booleans()):
            batches.append([])
        batches[-1].append(document)
    return batches


def run(batches: Sequence[Sequence[Document]]) -> tuple[dict[str, dict[str, str | None]], int]:
    """The canonical text of each row's columns by the text of its key, and how many losses were told."""
    destination = MemoryDestination(MemoryOptions(store=uuid.uuid4().hex))
    state = destination.start_stream("shop", {"at": 0})
    for documents in batches:
        known = destination.table_schemas("shop").get(TABLE.name)
        table = conform(batch_of(documents), known, stored_schema="s", capabilities=destination.capabilities)
        commit = StreamCommit("shop", state.epoch, state.sequence, {"at": state.sequence})
        receipt = destination.write(ConformedBatch((table,), commit, "run"))
        state = replace(state, sequence=receipt.stream_sequence or 0)
    contents = destination.store.contents
    stored = contents.tables[TABLE]
    schema = stored.versions[-1].schema
    texts: dict[str, dict[str, str | None]] = {key: {} for key in stored.rows}
    for column in schema.columns:
        values = pa.array([row.values.get(column.stored) for row in stored.rows.values()], arrow_type(column.type))
        if column.name in schema.key:
            spelled = key_text(Variant(column.type, values, column.family))
            assert spelled.to_pylist() == list(stored.rows), "the stored key is the key"
            continue
        for key, text in zip(stored.rows, canonical_text(values, column.type).to_pylist(), strict=True):
            texts[key][column.name] = text
    return texts, len(contents.letters)


def text_of(value: Value | None) -> str | None:
    if value is None:
        return None
    text: str = canonical_text(pa.array([value[1]], arrow_type(value[0])), value[0])[0].as_py()
    return text


def unsigned(text: str | None) -> str | None:
    """Without the minus sign of a zero, which numeric columns do not have; its loss is told of."""
    return re.sub(r"^-(0(\.0+)?)$", r"\1", text) if text is not None else None


# SPEC: E2, E3, E8, E11
@settings(max_examples=100, deadline=None)
@given(arrivals())
def test_the_values_do_not_depend_on_the_order_of_arrival(
    both: tuple[list[list[Document]], list[list[Document]]],
) -> None:
    expected = {
        key_of(document["_id"]): {name: unsigned(text_of(document.get(name))) for name in NAMES}
        for batch in both[0]
        for document in batch
    }
    for batches in both:
        found, letters = run(batches)
        assert {key: {name: unsigned(texts.get(name)) for name in NAMES} for key, texts in found.items()} == expected
        zeros = [value for batch in batches for its in batch for value in its.values() if "-0" in str(text_of(value))]
        assert letters == 0 or zeros, "only a negative zero may have lost anything"
