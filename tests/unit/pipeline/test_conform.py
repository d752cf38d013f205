"""Conforming a batch: every value exact or dead-lettered, whatever the order of arrival."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.pipeline.documents import (
    BINARY,
    BOOL,
    DATE,
    DOUBLE,
    FAR,
    INT32,
    INT64,
    JSON,
    MILLIS,
    NUMERIC,
    TABLE,
    TARGET,
    TEXT,
    UUID,
    Document,
    Value,
    batch_of,
)
from warp_resources.arrow.canonical import canonical_text
from warp_resources.arrow.coerce import coerce
from warp_resources.arrow.keys import KeyType, key_text, key_values
from warp_resources.arrow.types import arrow_type
from warp_resources.errors import OperatorError
from warp_resources.model.batches import ConformedTable, Flaw, Original, RawColumn, TableBatch, Variant
from warp_resources.model.capabilities import Capabilities
from warp_resources.model.rules import TableRules
from warp_resources.model.tables import ChangeKind, ColumnType, Kind, TableSchema
from warp_resources.pipeline.conform import conform

NARROW = replace(
    TARGET, numeric_digits=(29, 9), declared_digits=(38, 38), numeric_specials=False, wide_json_numbers=False
)


def conformed(batch: TableBatch, known: TableSchema | None = None, target: Capabilities = TARGET) -> ConformedTable:
    return conform(batch, known, stored_schema="shop", capabilities=target)


def as_numbers(times: pa.Array) -> pa.Array:
    """Times as numbers, since Python has no values for far years; anything else as it is."""
    if pa.types.is_timestamp(times.type):
        return times.view(pa.int64())
    return times.view(pa.int32()) if pa.types.is_date32(times.type) else times


@dataclass
class Destination:
    """A dictionary that performs schema changes as a database would."""

    known: TableSchema | None = None
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    letters: dict[tuple[str | None, str | None], str] = field(default_factory=dict)
    error_count: int = 0

    def write(self, table: ConformedTable) -> None:
        assert table.based_on == (self.known.version if self.known else 0)
        for change in table.changes:
            if change.before is not None and change.after is not None:
                values = [row.get(change.before.stored) for row in self.rows.values()]
                array = pa.array(values, arrow_type(change.before.type))
                if change.kind is ChangeKind.KEY_TO_JSON:
                    moved = key_text(Variant(change.before.type, array, change.before.family))
                elif change.after.family:
                    key = KeyType(change.after.type, change.after.family)
                    moved = key_values(
                        [Variant(change.before.type, array, change.before.family)], key, len(array)
                    ).values
                else:
                    coerced = coerce(array, change.before.type, change.after.type)
                    assert not coerced.rejected.true_count
                    moved = coerced.values
                for row, value in zip(self.rows.values(), moved.to_pylist(), strict=True):
                    row[change.after.stored] = value
        self.known = table.schema
        stored = {column.stored: column for column in table.schema.columns}
        for name, column in zip(table.rows.schema.names, table.rows.columns, strict=True):
            assert column.type == arrow_type(stored[name].type)
        plain = [as_numbers(column) for column in table.rows.columns]
        keys = table.row_keys().to_pylist()
        assert len(keys) == len(set(keys)) == table.rows.num_rows
        for number, key in enumerate(keys):
            self.rows[key] = {
                name: column[number].as_py() for name, column in zip(table.rows.schema.names, plain, strict=True)
            }
        for letter in table.dead_letters:
            self.letters[letter.key_text, letter.column] = letter.record
        self.error_count += len(table.errors)

    def text(self, key: str, name: str) -> str | None:
        assert self.known is not None
        column = self.known.column(name)
        assert column is not None
        array = pa.array([self.rows[key].get(column.stored)], arrow_type(column.type))
        return canonical_text(array, column.type)[0].as_py()


def text_of(value: Value | None) -> str | None:
    if value is None:
        return None
    return canonical_text(pa.array([value[1]], arrow_type(value[0])), value[0])[0].as_py()


scalars: st.SearchStrategy[Value] = st.one_of(
    st.tuples(st.just(BOOL), st.booleans()),
    st.tuples(st.just(INT32), st.integers(-(2**31), 2**31 - 1)),
    st.tuples(
        st.just(INT64), st.integers(-(2**63), 2**63 - 1) | st.sampled_from([2**53 - 1, 2**53 + 1, 2**62, 10**18])
    ),
    st.tuples(
        st.just(DOUBLE), (st.floats() | st.sampled_from([1e21, 1e-7, 3.0, 2.0**62])).filter(lambda v: str(v) != "-0.0")
    ),
    st.tuples(st.just(NUMERIC), st.sampled_from(["1.10", "1E+30", "0.00", "NaN", "1E-7", "1.0E-7", "3.0", "1E+6144"])),
    st.tuples(
        st.just(TEXT),
        st.sampled_from(["", "1", "123", "0123", "true", "1.10", "NaN", "-0", "1e+21", "AP8=", "9007199254740993"])
        | st.sampled_from(["1970-01-01T00:00:00.000Z", "2024-01-01", "+292278994-08-17T07:12:55.807Z"])
        | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5),
    ),
    st.tuples(st.just(UUID), st.binary(min_size=16, max_size=16)),
    st.tuples(st.just(BINARY), st.binary(max_size=5)),
    st.tuples(st.just(MILLIS), st.integers(-(2**63), 2**63 - 1) | st.sampled_from([0, FAR])),
    st.tuples(st.just(DATE), st.integers(-800_000, 3_000_000)),
)
troubles: st.SearchStrategy[Value] = st.one_of(
    scalars,
    st.tuples(st.just(JSON), st.sampled_from(['{"a": 1}', "[]", '{"a": "x\\u0000"}', '["\\ud800"]'])),
    st.tuples(st.just(TEXT), st.sampled_from(["a\0b", "\0"])),
    st.tuples(st.sampled_from([DOUBLE]), st.just(-0.0)),
    st.tuples(st.just(NUMERIC), st.sampled_from(["-0.00", "1E+200000"])),
)


def in_batches(documents: Sequence[Document], cuts: Sequence[bool]) -> list[list[Document]]:
    batches: list[list[Document]] = [[]]
    for document, cut in zip(documents, cuts, strict=True):
        if cut:
            batches.append([])
        batches[-1].append(document)
    return [batch for batch in batches if batch]


@st.composite
def arrivals(draw: st.DrawFn, values: st.SearchStrategy[Value]) -> list[list[Document]]:
    """Documents in some order, cut into batches."""
    drawn = draw(st.lists(st.none() | values, min_size=1, max_size=8))
    documents = [{"_id": (INT64, number)} | ({"x": value} if value else {}) for number, value in enumerate(drawn)]
    ordered = draw(st.permutations(documents))
    return in_batches(ordered, draw(st.lists(st.booleans(), min_size=len(ordered), max_size=len(ordered))))


# SPEC: E2, E3, E8
@given(arrivals(scalars))
@settings(max_examples=300, deadline=None)
def test_scalars_read_the_same_in_any_order(batches: list[list[Document]]) -> None:
    destination = Destination()
    for documents in batches:
        destination.write(conformed(batch_of(documents), destination.known))
    assert not destination.letters
    for document in (document for documents in batches for document in documents):
        if "x" in document:
            assert destination.text(str(document["_id"][1]), "x") == text_of(document["x"])


# SPEC: E6, E8
@given(arrivals(troubles))
@settings(max_examples=300, deadline=None)
def test_nothing_is_lost_in_silence(batches: list[list[Document]]) -> None:
    destination = Destination()
    for documents in batches:
        destination.write(conformed(batch_of(documents), destination.known))
    assert destination.known is not None
    is_json = (column := destination.known.column("x")) is not None and column.type.kind is Kind.JSON
    for document in (document for documents in batches for document in documents):
        key = text_of(document["_id"]) or ""
        if "x" not in document:
            assert column is None or destination.text(key, "x") is None
        elif (key, "x") in destination.letters:
            assert destination.letters[key, "x"] == repr(document)
            assert destination.error_count
        elif is_json:
            alone = coerce(pa.array([document["x"][1]], arrow_type(document["x"][0])), document["x"][0], JSON)
            assert destination.text(key, "x") == alone.values[0].as_py()
        elif document["x"][0].kind in (Kind.DOUBLE, Kind.NUMERIC) and (text_of(document["x"]) or "").startswith("-0"):
            # A stored negative zero meets numeric only in the destination's own ALTER.
            assert (destination.text(key, "x") or "").lstrip("-") == (text_of(document["x"]) or "")[1:]
        else:
            assert destination.text(key, "x") == text_of(document["x"])


keys: st.SearchStrategy[Value] = st.one_of(
    st.tuples(st.just(INT64), st.integers(-(2**63), 2**63 - 1) | st.integers(0, 3)),
    st.tuples(st.just(TEXT), st.sampled_from(["1", "a", "é", '"'])),
    st.tuples(st.just(BOOL), st.booleans()),
    st.tuples(st.just(JSON), st.sampled_from(['{"a": 1}', "null"])),
    st.tuples(st.just(UUID), st.binary(min_size=16, max_size=16)),
    st.tuples(st.just(MILLIS), st.integers(-(2**40), 2**40)),
    st.tuples(st.just(DOUBLE), st.sampled_from([0.5, 0.1, 1e-7, 1e300, 2.0**62, 2.0**-30, 1e23])),
    st.tuples(
        st.just(NUMERIC), st.sampled_from(["0.1", "0.10", "0.50", "1E-7", "9.31322574615478515625E-10", "1E+23"])
    ),
    st.tuples(st.just(INT64), st.integers(2**62, 2**62 + 100)),
)
numeric_keys = keys.filter(lambda key: key[0].kind in (Kind.INT64, Kind.DOUBLE, Kind.NUMERIC))
batches_of_keys = st.one_of(
    st.lists(st.lists(which, min_size=1, max_size=4), min_size=1, max_size=5) for which in (keys, numeric_keys)
)


# SPEC: E11
@settings(max_examples=300, deadline=None)
@given(batches_of_keys)
def test_distinct_keys_stay_distinct(batches: list[list[Value]]) -> None:
    destination, seen = Destination(), set()
    for values in batches:
        documents = [{"_id": value} for value in {key_of(value): value for value in values}.values()]
        seen |= {key_of(value) for value in values}
        destination.write(conformed(batch_of(documents), destination.known))
    assert set(destination.rows) == seen
    assert destination.known is not None
    column = destination.known.key_columns[0]
    stored = [row["_id"] for row in destination.rows.values()]
    array = pa.array(stored, arrow_type(column.type))
    assert key_text(Variant(column.type, array, column.family)).to_pylist() == list(destination.rows)


def key_of(value: Value) -> str:
    return str(key_text(Variant(value[0], pa.array([value[1]], arrow_type(value[0]))))[0].as_py())


def test_a_second_family_turns_the_key_to_json() -> None:
    first = conformed(batch_of([{"_id": (INT64, 1)}]))
    second = conformed(batch_of([{"_id": (TEXT, "1")}]), first.schema)
    assert [change.kind for change in second.changes] == [ChangeKind.KEY_TO_JSON]
    assert second.rows.column("_id").to_pylist() == ['"1"']
    third = conformed(batch_of([{"_id": (INT64, 2)}], [{"_id": (INT64, 1)}]), second.schema)
    assert third.changes == ()
    assert third.rows.column("_id").to_pylist() == third.row_keys().to_pylist() == ["2"]
    assert third.deletes is not None
    assert third.deletes.column("_id").to_pylist() == third.delete_keys().to_pylist() == ["1"]


def test_an_integer_key_that_no_double_is_stays_apart_from_the_double_written_alike() -> None:
    # SPEC: E11
    first = conformed(batch_of([{"_id": (INT64, 4611686018427388000)}]))
    second = conformed(batch_of([{"_id": (DOUBLE, 2.0**62)}]), first.schema)
    assert second.schema.key_columns[0].type == NUMERIC
    assert second.rows.column("_id").to_pylist() == ["4611686018427387904"]


def test_one_type_per_column_passes_without_a_copy() -> None:
    batch = batch_of([{"_id": (INT64, 1), "a": (TEXT, "x"), "b": (JSON, "{}"), "c": (MILLIS, 0)}])
    table = conformed(batch, conformed(batch).schema)
    assert table.changes == table.errors == ()
    for source, column in zip(batch.columns, table.rows.columns, strict=True):
        for theirs, ours in zip(source.variants[0].values.buffers(), column.buffers(), strict=True):
            assert (theirs and theirs.address) == (ours and ours.address)


def test_a_clean_batch_costs_no_python_per_row() -> None:
    def batch(count: int) -> TableBatch:
        kinds = (TEXT, INT64, INT32, DOUBLE, BOOL, NUMERIC, MILLIS, JSON, DATE)
        values = ("text", 5, 6, 0.5, True, "1.10", 7, '{"a": 1}', 8)
        columns = [RawColumn("_id", (Variant(INT64, pa.array(range(count), pa.int64())),))]
        columns += [
            RawColumn(f"f{n}", (Variant(kind, pa.array([value] * count, arrow_type(kind))),))
            for n, (kind, value) in enumerate(zip(kinds, values, strict=True))
        ]
        return TableBatch(TABLE, ("_id",), tuple(columns), count)

    def calls(count: int) -> int:
        made, found = batch(count), 0
        known = conformed(made).schema

        def note(*_: object) -> None:
            nonlocal found
            found += 1

        sys.setprofile(note)
        try:
            conformed(made, known)
        finally:
            sys.setprofile(None)
        return found

    # A few calls more or less are caches that fill and the collector; one per row would be thousands.
    assert abs(calls(20_000) - calls(200)) < 500


# SPEC: E6
def test_an_object_for_a_scalar_is_set_aside() -> None:
    known = conformed(batch_of([{"_id": (INT64, 1), "x": (INT64, 5), "y": (INT64, 1)}])).schema
    documents = [{"_id": (INT64, 2), "x": (JSON, "{}"), "y": (INT64, 2)}, {"_id": (INT64, 3), "x": (INT64, 7)}]
    table = conformed(batch_of(documents), known)
    assert table.rows.to_pydict() == {"_id": [2, 3], "x": [None, 7], "y": [2, None]}
    [letter], [entry] = table.dead_letters, table.errors
    assert (letter.reason, letter.column, letter.key_text, letter.record) == (
        "drastic_change",
        "x",
        "2",
        repr(documents[0]),
    )
    assert (entry.error_type, entry.column, entry.primary_key) == ("drastic_change", "x", letter.primary_key)


# SPEC: E8
@pytest.mark.parametrize(
    ("value", "stored", "reason"),
    [
        ((TEXT, "a\0b"), "ab", "character_removed"),
        ((JSON, '"\\u0000x"'), '"x"', "character_removed"),
        ((NUMERIC, "-0.00"), "0.00", "negative_zero"),
    ],
    ids=str,
)
def test_altered_values_are_told(value: Value, stored: str | None, reason: str) -> None:
    table = conformed(batch_of([{"_id": (INT64, 1), "x": value}, {"_id": (INT64, 2)}]))
    assert table.rows.column("x").to_pylist() == [stored, None]
    assert [(letter.reason, letter.column, letter.key_text) for letter in table.dead_letters] == [(reason, "x", "1")]
    assert [entry.error_type for entry in table.errors] == [reason]


# SPEC: E3 E8 E9
@pytest.mark.parametrize(
    ("known", "came", "stored"),
    [
        (None, [(NUMERIC, "1E+200000"), (NUMERIC, "1.50"), (NUMERIC, "NaN")], ["1e+200000", "1.50", "NaN"]),
        ((NUMERIC, "2"), [(NUMERIC, "1" * 30), (INT64, 3)], ["1." + "1" * 29 + "e+29", "3"]),
        ((NUMERIC, "2"), [(NUMERIC, "0.1234567891")], ["0.1234567891"]),
        ((INT64, 2**62), [(DOUBLE, 1 / 3)], ["0.3333333333333333"]),
        ((DOUBLE, 1e-300), [(INT64, 2**62)], [str(2**62)]),
        ((JSON, "1"), [(NUMERIC, "9" * 40)], ['"9.' + "9" * 39 + 'e+39"']),
    ],
    ids=str,
)
def test_numbers_that_the_destination_has_not_are_text(
    known: Value | None, came: list[Value], stored: list[str]
) -> None:
    basis = conformed(batch_of([{"_id": (INT64, 1), "x": known}]), target=NARROW).schema if known else None
    table = conformed(batch_of([{"_id": (INT64, n), "x": its} for n, its in enumerate(came)]), basis, NARROW)
    assert table.rows.column("x").to_pylist() == stored
    column = table.schema.column("x")
    assert column is not None
    is_json = known is not None and known[0] == JSON
    assert column.type.kind is (Kind.JSON if is_json else Kind.TEXT)
    assert [letter.reason for letter in table.dead_letters] == (["json_number"] if is_json else [])


# SPEC: E2 E11
def test_numbers_that_a_narrow_destination_has_stay_numbers_and_keys_that_it_has_not_are_set_aside() -> None:
    rows: list[Document] = [{"_id": (NUMERIC, "1"), "x": (NUMERIC, "9" * 29 + ".123456789")}]
    rows += [{"_id": (NUMERIC, "NaN")}, {"_id": (NUMERIC, "1E+40")}]
    table = conformed(batch_of(rows), target=NARROW)
    assert table.rows.to_pydict() == {"_id": ["1"], "x": ["9" * 29 + ".123456789"]}
    assert [letter.reason for letter in table.dead_letters] == ["key_unstorable", "key_unstorable"]
    rules = TableRules(types={"p": ColumnType(Kind.NUMERIC, precision=38, scale=12)})
    batch = batch_of([{"_id": (INT64, n), "p": (NUMERIC, its)} for n, its in enumerate(["1.0123456789012", "1E+40"])])
    table = conform(batch, None, stored_schema="shop", capabilities=NARROW, rules=rules)
    assert table.rows.column("p").to_pylist() == ["1.012345678901", None]
    assert [letter.reason for letter in table.dead_letters] == ["conversion", "truncation"]


# SPEC: E3
# SPEC: E8 E9
def test_a_date_that_the_destination_has_not_is_text_or_under_a_declared_date_set_aside() -> None:
    beyond = 2_146_882_860
    table = conformed(batch_of([{"_id": (INT64, 1), "d": (DATE, beyond)}]))
    assert table.rows.to_pydict()["d"] == ["+5879935-08-18"]
    far = batch_of([{"_id": (INT64, 1), "d": (MILLIS, beyond * 86_400_000)}])
    rules = TableRules(types={"d": DATE})
    table = conform(far, None, stored_schema="shop", capabilities=TARGET, rules=rules)
    assert table.rows.to_pydict()["d"] == [None]
    assert [(its.column, its.reason) for its in table.dead_letters] == [("d", "conversion")]


def test_fallback_to_text_and_conversions_are_warned_of() -> None:
    known = conformed(batch_of([{"_id": (INT64, 1), "x": (INT64, 5), "y": (INT64, 5)}])).schema
    table = conformed(batch_of([{"_id": (INT64, 2), "x": (TEXT, "a"), "y": (TEXT, "7")}]), known)
    assert table.rows.to_pydict() == {"_id": [2], "x": ["a"], "y": [7]}
    assert [(entry.column, entry.error_type, entry.action) for entry in table.errors] == [
        ("x", "type_conversion", "kept as text"),
        ("y", "type_conversion", "converted"),
    ]


# SPEC: E7
@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (None, "key_missing"),
        ((TEXT, "x" * 2601), "key_too_long"),
        ((TEXT, "a\0"), "key_unstorable"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_row_that_cannot_have_its_key_is_set_aside_whole(key: Value | None, reason: str) -> None:
    bad: Document = {"new": (BOOL, True), "x": (TEXT, "\0")} | ({"_id": key} if key else {})
    documents = [bad, {"_id": (TEXT, "good"), "x": (TEXT, "a\0")}]
    table = conformed(batch_of(documents))
    assert table.rows.to_pydict() == {"_id": ["good"], "x": ["a"]}
    assert [(letter.reason, letter.column, letter.record) for letter in table.dead_letters] == [
        (reason, None, repr(bad)),
        ("character_removed", "x", repr(documents[1])),
    ]
    assert table.row_keys().to_pylist() == ['"good"']
    assert [letter.key_text for letter in table.dead_letters] == [key and key_of(key), '"good"']


def test_a_deleted_key_that_cannot_be_stored_is_left_out() -> None:
    deletes = [{"_id": (TEXT, "x" * 2601)}, {"_id": (TEXT, "a")}]
    table = conformed(batch_of([], deletes))
    assert table.deletes is not None
    assert table.deletes.to_pydict() == {"_id": ["a"]}
    assert table.delete_keys().to_pylist() == ['"a"']
    assert table.rows.num_rows == 0


@pytest.mark.parametrize(
    ("key", "deleted", "left"),
    [
        ((INT32, 1), (INT64, 1), []),
        ((JSON, '{"a": 1}'), (JSON, '{"a": 1}'), []),
        ((INT32, 1), (INT64, 2), ["2"]),
        ((TEXT, "1"), (INT64, 1), ["1"]),
    ],
)
def test_a_key_that_was_deleted_and_made_anew_is_there_in_the_end(key: Value, deleted: Value, left: list[str]) -> None:
    # SPEC: E11
    table = conformed(batch_of([{"_id": key}], [{"_id": deleted}]))
    assert table.rows.num_rows == 1
    assert table.delete_keys().to_pylist() == left
    assert (table.deletes is None) == (not left)


def test_a_batch_without_any_key_makes_no_table() -> None:
    flaw = Flaw(Original("raw", "base64", "{}"), "undecodable", key_text="1")
    table = conformed(batch_of([{"x": (INT64, 1)}], flaws=(flaw,)))
    assert (table.schema.version, table.schema.columns, table.changes) == (0, (), ())
    assert (table.rows.num_rows, table.deletes) == (0, None)
    assert [letter.reason for letter in table.dead_letters] == ["undecodable", "key_missing"]
    again = conformed(batch_of([{"_id": (INT64, 1)}]), table.schema)
    assert [change.kind for change in again.changes] == [ChangeKind.CREATE_TABLE]


# SPEC: E5
def test_columns_that_the_batch_lacks_are_absent_and_empty_ones_null() -> None:
    known = conformed(batch_of([{"_id": (INT64, 1), "x": (INT64, 5), "y": (INT64, 1)}])).schema
    batch = batch_of([{"_id": (INT64, 2)}])
    batch = replace(batch, columns=(*batch.columns, RawColumn("x", ()), RawColumn("z", ())))
    table = conformed(batch, known)
    assert table.schema == known
    assert table.rows.to_pydict() == {"_id": [2], "x": [None]}
    assert table.rows.column("x").type == pa.int64()


def test_reserved_names_are_not_given_out() -> None:
    batch = batch_of([{"_id": (INT64, 1), "is_deleted": (BOOL, True)}])
    table = conform(batch, None, stored_schema="s", capabilities=TARGET, rules=TableRules(flag="is_deleted"))
    assert [name[:11] for name in table.rows.schema.names] == ["_id", "is_deleted_"]


def test_another_key_is_refused() -> None:
    known = conformed(batch_of([{"_id": (INT64, 1)}])).schema
    with pytest.raises(OperatorError, match="another primary key"):
        conformed(replace(batch_of([{"_id": (INT64, 1)}]), key=("email",)), known)
    with pytest.raises(OperatorError, match="no primary key"):
        conformed(replace(batch_of([{"_id": (INT64, 1)}]), key=()))


def test_compound_keys() -> None:
    documents: list[Document] = [{"a": (INT64, 1), "b": (TEXT, "x")}, {"a": (INT64, 1)}]
    table = conformed(replace(batch_of(documents), key=("a", "b")))
    assert table.row_keys().to_pylist() == ['[1, "x"]']
    assert [(letter.reason, letter.key_text) for letter in table.dead_letters] == [("key_missing", None)]
