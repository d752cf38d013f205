"""Every kind of column keeps its values in BigQuery, and turns into text and JSON as SPEC 5 spells them (SPEC: E9)."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pyarrow as pa
import pytest

from tests.fixtures.servers import BigQueryProject
from tests.type_tables.bigquery_columns import TEXTS
from warp_resources.arrow.keys import compound, key_text
from warp_resources.arrow.types import arrow_type
from warp_resources.connectors.bigquery.conversions import (
    canonical_text,
    converted,
    key_part,
    temporary_functions,
)
from warp_resources.connectors.bigquery.narrowing import retyped
from warp_resources.connectors.bigquery.options import BigQueryDestinationOptions
from warp_resources.connectors.bigquery.session import Session
from warp_resources.connectors.bigquery.staging import ROW, Section, stage
from warp_resources.connectors.bigquery.types import staged, stored_type
from warp_resources.connectors.bigquery.warehouse import make_dataset
from warp_resources.errors import OperatorError
from warp_resources.model.batches import Variant
from warp_resources.model.tables import ColumnType, Kind

pytestmark = pytest.mark.servers

SCALARS = [its for its, _ in TEXTS if its.kind is not Kind.JSON]
NUMBERS = (Kind.BOOL, Kind.INT16, Kind.INT32, Kind.INT64, Kind.FLOAT32, Kind.DOUBLE, Kind.NUMERIC)


@pytest.fixture
def session(bigquery: BigQueryProject) -> Iterator[Session]:
    opened = Session(BigQueryDestinationOptions(**bigquery.endpoints))
    make_dataset(opened, "shop")
    yield opened
    opened.close()


def stored(session: Session, columns: list[tuple[ColumnType, list[object]]]) -> str:
    """A table with the values of each column, by way of a staging table; ``number`` tells the rows apart."""
    length = max(len(values) for _, values in columns)
    slots, definitions, expressions = {}, ["number int64"], ["S._row"]
    for number, (its, values) in enumerate(columns):
        how = staged(its)
        padded = pa.array([*values, *[None] * (length - len(values))], arrow_type(its))
        slots[f"{how.slot}{number}"] = how.carried(padded)
        definitions.append(f"c{number} {stored_type(its)}")
        expressions.append(how.expression(f"S.{how.slot}{number}"))
    staging = stage(session, "shop", [Section(0, ROW, pa.array([str(row) for row in range(length)]), slots)])
    assert staging is not None
    session.run(
        f"create table `shop`.`kept` ({', '.join(definitions)});"
        f" insert into `shop`.`kept` select {', '.join(expressions)} from {staging.name} as S"
    )
    return "`shop`.`kept`"


def asked(session: Session, table: str, expressions: list[str]) -> list[list[object]]:
    """The answers to each expression over ``T``, by row."""
    named = ", ".join(f"{its} as a{number}" for number, its in enumerate(expressions))
    rows = session.run(f"{temporary_functions()}\nselect {named} from {table} as T order by T.number")
    return [[row[number] for row in rows] for number in range(len(expressions))]


# SPEC: E8 E9
def test_each_kind_keeps_its_values_and_has_their_canonical_text(session: Session) -> None:
    table = stored(session, [(its, [value for value, _ in cases]) for its, cases in TEXTS])
    texts = asked(session, table, [canonical_text(its, f"T.c{number}") for number, (its, _) in enumerate(TEXTS)])
    for (its, cases), found in zip(TEXTS, texts, strict=True):
        length = len(found)
        wanted = [text for _, text in cases] + [None] * (length - len(cases))
        assert found == ([text or "null" for text in wanted] if its.kind is Kind.JSON else wanted), its


# SPEC: E6 E8
def test_each_kind_becomes_json_as_canonical_json_spells_it(session: Session) -> None:
    cases = [(its, [case for case in cases if _is_json_number(its, case[1])]) for its, cases in TEXTS[:-1]]
    table = stored(session, [(its, [value for value, _ in its_cases]) for its, its_cases in cases])
    json_type = ColumnType(Kind.JSON)
    found = asked(
        session,
        table,
        [f"to_json_string({converted(its, json_type, f'T.c{number}')})" for number, (its, _) in enumerate(cases)],
    )
    for (its, its_cases), answers in zip(cases, found, strict=True):
        for (_, text), answer in zip(its_cases, answers, strict=False):
            is_number = its.kind in NUMBERS and text not in ("NaN", "Infinity", "-Infinity")
            read = json.loads(str(answer))
            # What a double holds may be written as one.
            wanted = json.loads(text, parse_int=type(read)) if is_number else text
            assert read == wanted, its


def _is_json_number(its: ColumnType, text: str) -> bool:
    """JSON has no room for more digits than a double has."""
    return its.kind is not Kind.NUMERIC or len(text) < 17


# SPEC: E11
def test_each_column_is_told_from_a_key_of_many(session: Session) -> None:
    keys = [
        (its, family, [value for value, text in cases if "NaN" not in text])
        for its, cases in TEXTS
        for family in _families(its)
    ]
    length = max(len(values) for _, _, values in keys)
    texts = [
        key_text(Variant(its, pa.array((values * length)[:length], arrow_type(its)), family))
        for its, family, values in keys
    ]
    table = stored(session, [(ColumnType(Kind.TEXT), compound(texts).to_pylist())])
    found = asked(session, table, [key_part(number, len(texts), "T.c0") for number in range(len(texts))])
    for (its, family, _), here, there in zip(keys, found, texts, strict=True):
        assert here == there.to_pylist(), (its, family)


def _families(its: ColumnType) -> list[str]:
    if its.kind is Kind.NUMERIC:
        # Keys beyond what a decimal holds stay text, whose family is another one.
        return ["decimal"] if stored_type(its) == "NUMERIC" else []
    if its.kind is Kind.BINARY:
        return ["binary:00", "binary:80"]
    if its.kind is Kind.TEXT:
        return ["string"]
    return [] if its.kind is Kind.JSON else [""]


# SPEC: E2
def test_the_way_back_keeps_only_what_is_exactly_so(session: Session) -> None:
    text = ColumnType(Kind.TEXT)
    ways: list[tuple[ColumnType, list[object], list[bool]]] = [
        (ColumnType(Kind.INT64), ["123", "0123", "x", "9223372036854775808"], [True, False, False, False]),
        (ColumnType(Kind.INT16), ["32767", "32768"], [True, False]),
        (ColumnType(Kind.DOUBLE), ["0.1", "1e+21", "1e21", "-0", "NaN"], [True, True, False, True, True]),
        (ColumnType(Kind.NUMERIC), ["1.5", "1.50", "0.0000000001"], [True, False, False]),
        (ColumnType(Kind.BOOL), ["true", "TRUE"], [True, False]),
        (ColumnType(Kind.BINARY), ["AP8=", "AP8"], [True, False]),
        (
            ColumnType(Kind.TIMESTAMP_TZ, unit="ms"),
            ["2024-05-01T10:00:00.000Z", "2024-05-01T10:00:00Z"],
            [True, False],
        ),
        (ColumnType(Kind.DATE), ["2024-05-01", "2024-5-1"], [True, False]),
        (ColumnType(Kind.UUID), ["ffffffff-ffff-ffff-ffff-fffffffffffe", "FFFFFFFF"], [True, False]),
    ]
    table = stored(session, [(text, values) for _, values, _ in ways])
    found = asked(
        session,
        table,
        [f"({retyped(text, its, f'T.c{number}')}) is not null" for number, (its, _, _) in enumerate(ways)],
    )
    for (its, values, kept), answers in zip(ways, found, strict=True):
        assert answers[: len(values)] == kept, its


# SPEC: E8
def test_json_refuses_numbers_that_it_would_round(session: Session) -> None:
    with pytest.raises(OperatorError, match="loss of precision"):
        stored(session, [(ColumnType(Kind.JSON), ["12345678901234567890123"])])
