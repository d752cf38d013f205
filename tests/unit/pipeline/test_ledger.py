"""Whole runs under every contract and in the narrowest of tables: each value has a lawful outcome (SPEC E8)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.pipeline.documents import DOUBLE, INT64, JSON, NUMERIC, TABLE, TEXT, Document, Value, batch_of
from warp_resources.arrow.canonical import canonical_text
from warp_resources.arrow.coerce import coerce
from warp_resources.arrow.types import arrow_type
from warp_resources.connectors.memory.destination import MemoryDestination, MemoryOptions
from warp_resources.connectors.memory.store import StoredTable
from warp_resources.evolution.overflow import overflow_column
from warp_resources.model.batches import ConformedBatch
from warp_resources.model.capabilities import Capabilities
from warp_resources.model.positions import StreamCommit
from warp_resources.model.rules import TableRules
from warp_resources.model.tables import Kind
from warp_resources.pipeline.conform import conform

NAMES = ("a", "b", "c", "d", "e", "_warp_overflow")
ROOMS = {
    "wide": Capabilities(),
    "few columns": Capabilities(max_columns=63),
    "narrow rows": Capabilities(max_row_bytes=160),
}

values: st.SearchStrategy[Value] = st.one_of(
    st.tuples(st.just(INT64), st.sampled_from([1, 2**40, 2**53 + 1])),
    st.tuples(st.just(DOUBLE), st.sampled_from([0.5, 3.0, 1e300])),
    st.tuples(st.just(NUMERIC), st.sampled_from(["1.10", "7"])),
    st.tuples(st.just(TEXT), st.sampled_from(["1", "x", "", "long enough to be kept apart"])),
    st.tuples(st.just(JSON), st.sampled_from(['{"k":1}', "[]"])),
)
rules = st.builds(
    TableRules,
    new_columns=st.sampled_from(["evolve", "discard", "quarantine"]),
    type_changes=st.sampled_from(["evolve", "discard", "quarantine", "json"]),
)


@dataclass
class Ledger:
    """What a run left: the rows, the letters by key and column, and how many values it discarded."""

    table: StoredTable
    letters: set[tuple[str | None, str | None]]
    discarded: int

    def text(self, key: str, name: str) -> tuple[Kind, str | None]:
        """The canonical text of a value, wherever it is kept."""
        schema, row = self.table.versions[-1].schema, self.table.rows[key]
        own = overflow_column(schema)
        overflow = json.loads(row.values.get("_warp_overflow") or "{}")
        if name in overflow:
            return Kind.JSON, json.dumps(overflow[name], separators=(",", ":"))
        column = next((its for its in schema.columns if its.name == name and its != own), None)
        if column is None:
            return Kind.TEXT, None
        stored = pa.array([row.values.get(column.stored)], arrow_type(column.type))
        return column.type.kind, canonical_text(stored, column.type)[0].as_py()


def run(batches: Sequence[Sequence[Document]], rules: TableRules, room: Capabilities) -> Ledger:
    destination = MemoryDestination(MemoryOptions(store=uuid.uuid4().hex))
    state = destination.start_stream("shop", {"at": 0})
    discarded = 0
    for documents in batches:
        known = destination.table_schemas("shop").get(TABLE.name)
        table = conform(batch_of(documents), known, stored_schema="s", capabilities=room, rules=rules)
        discarded += sum(its.count for its in table.discards)
        commit = StreamCommit("shop", state.epoch, state.sequence, {"at": state.sequence})
        receipt = destination.write(ConformedBatch((table,), commit, "run"))
        state = replace(state, sequence=receipt.stream_sequence or 0)
    contents = destination.store.contents
    letters = {(kept.letter.key_text, kept.letter.column) for kept in contents.letters}
    return Ledger(contents.tables[TABLE], letters, discarded)


def spelled(value: Value, kind: Kind) -> str:
    """The value's canonical text, or canonical JSON in a JSON column (numbers by value: they lose no digit here)."""
    array = pa.array([value[1]], arrow_type(value[0]))
    if kind is not Kind.JSON:
        return str(canonical_text(array, value[0])[0].as_py())
    text = coerce(array, value[0], JSON).values[0].as_py()
    return json.dumps(json.loads(text), separators=(",", ":"))


def normal(text: str, kind: Kind) -> str:
    return json.dumps(json.loads(text), separators=(",", ":")) if kind is Kind.JSON else text


# SPEC: E6, E7, E8, E9
@pytest.mark.parametrize("room", ROOMS.values(), ids=ROOMS.keys())
@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.dictionaries(st.sampled_from(NAMES), values), min_size=1, max_size=3), max_size=4), rules)
def test_every_value_is_exact_or_accounted_for(
    room: Capabilities, drawn: list[list[dict[str, Value]]], rules: TableRules
) -> None:
    numbers = iter(range(1_000))
    batches = [[{"_id": (INT64, next(numbers))} | fields for fields in batch] for batch in [[{}], *drawn]]
    ledger = run(batches, rules, room)
    missing = 0
    for document in (document for batch in batches for document in batch):
        key = str(document["_id"][1])
        if (key, None) in ledger.letters:
            assert key not in ledger.table.rows
            continue
        for name, value in document.items():
            kind, text = ledger.text(key, name)
            if text is None and (key, name) not in ledger.letters:
                missing += 1
            elif text is not None:
                # What had become text or a number before its column became JSON stays that.
                assert normal(text, kind) in (
                    spelled(value, kind),
                    str(value[1]),
                    json.dumps(spelled(value, Kind.TEXT)),
                )
    assert missing == ledger.discarded
