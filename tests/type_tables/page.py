"""Prints docs/types.md from the tables that the tests on real servers are driven by, and from the lattice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tests.type_tables.bigquery_columns import TEXTS as BIGQUERY_TEXTS
from tests.type_tables.bigquery_types import BIGQUERY_TYPES
from tests.type_tables.bson_types import BSON_TYPES
from tests.type_tables.postgresql_types import TEXTS
from tests.type_tables.table import TypeRow
from warp_resources.arrow.lattice import Fit, fit, join
from warp_resources.config.column_types import NAMES, column_type
from warp_resources.connectors.bigquery.types import stored_type as bigquery_type
from warp_resources.connectors.postgresql.types import stored_type
from warp_resources.model.tables import ColumnType, Kind

_INTRODUCTION = """\
# Types

What each type of a source becomes in the destination, with its limits. This page is printed from the tables that the
tests on real servers are driven by (`make docs`), so that it cannot say what is not so.

A value has one of these fates and no other: it arrives exact; it is NULL or altered, with a row in `error_log` and the
original in `dead_letters`; its row is set aside whole, likewise; or the configuration says that it is to be dropped,
hashed, masked or discarded, and it is counted.

## MongoDB to PostgreSQL

Marked with † : altered, and the original kept in `dead_letters` with the reason given.
"""
_BIGQUERY = """
## BigQuery to PostgreSQL

A column has the type that BigQuery declares of it, from the first value on. A table with a TIMESTAMP(12) stops with a
message, since its picoseconds would be lost: read a view that casts it to TIMESTAMP or STRING.
"""
_MEETINGS = """
## When types meet

The row is the column as it is, the column of the table what a batch brings. In **bold**: the column changes its type,
keeping every value. "if exact": such values are stored in the column as it is as long as each reads the same there
(`"123"` in a bigint does, `"0123"` does not); with the first that does not, the column becomes text, and every value
keeps its canonical text. "set aside": the value is NULL and the original goes to `dead_letters`; with
`contract: {type_changes: json}` the column becomes jsonb instead.
"""
_COLUMNS = """
## PostgreSQL columns and their canonical text

The types that columns have, from a source's types or from `columns: {price: {type: "decimal(18,4)"}}`, and what their
values read like once a column becomes text: the text that SPEC calls canonical, equal for equal values.
"""
_BIGQUERY_COLUMNS = """
## BigQuery columns and their canonical text

The same with BigQuery as the destination. A decimal there has no scale of its own, so that 1.10 is 1.1. A declared
precision beyond 29 digits before and 9 after the point is BIGNUMERIC, beyond 38 and 38 STRING.
"""
_LIMITS = """
## Limits

| what | limit | beyond it |
|---|---|---|
| dates | 4714 BC to year 294276 | the column becomes text |
| numeric | 131,072 digits before the point, 16,383 after | the column becomes text; in JSON NULL, `too_many_digits` |
| text, names | no NUL character, no lone surrogate | the character is removed, `character_removed`, the original kept |
| keys | 2,600 bytes as text | the row is set aside, `key_too_long` |
| names | 63 bytes; those that collide | shortened with a hash, see `name_map` |
| columns of a table | 1,540 | further fields go to `_warp_overflow` |
| a document | 16 MB, the source's own limit | - |
| a document with a field name twice, or with invalid UTF-8 | - | the row is set aside with the document in base64 |
| -0.0 in numeric and in JSON | neither has it | stored as 0, `negative_zero`, the original kept |

## Keys

A key column has the type of its keys as long as they are of one family: numbers, strings, ObjectIds, UUIDs, dates,
binary of one subtype, booleans. When a second family appears, the column becomes text and holds each key as relaxed
extended JSON (`1`, `"1"`, `{"$oid": "65a0b1c2d3e4f5a6b7c8d9e0"}`), those that are there already included, so that keys
which differ in the source never become one. A document as a key is such JSON from the start.
"""
_MET = (
    ColumnType(Kind.BOOL),
    ColumnType(Kind.INT64, exact=True),
    ColumnType(Kind.INT64),
    ColumnType(Kind.DOUBLE),
    ColumnType(Kind.NUMERIC),
    ColumnType(Kind.TEXT),
    ColumnType(Kind.TIMESTAMP_TZ, unit="ms"),
    ColumnType(Kind.BINARY),
    ColumnType(Kind.UUID),
    ColumnType(Kind.JSON),
)
_MOST_SAMPLES, _LONGEST_SAMPLE = 12, 40
_SHORT = {"timestamp with time zone": "timestamptz", "double precision": "double"}


def page() -> str:
    """The whole page."""
    lines = [
        _INTRODUCTION,
        *_types("BSON", BSON_TYPES),
        _BIGQUERY,
        *_types("BigQuery", BIGQUERY_TYPES),
        _MEETINGS,
        *_meetings(),
        _COLUMNS,
        *_columns("PostgreSQL", TEXTS, stored_type),
        _BIGQUERY_COLUMNS,
        *_columns("BigQuery", BIGQUERY_TEXTS, bigquery_type),
        _LIMITS,
    ]
    return "\n".join(lines)


def _types(source: str, rows: Sequence[TypeRow]) -> Iterator[str]:
    yield f"| {source} | PostgreSQL | value | stored as | |"
    yield "|---|---|---|---|---|"
    for row in rows:
        for number, sample in enumerate(row.samples):
            stored = "NULL" if sample.stored is None else _code(sample.stored)
            lost = f" † `{sample.lost}`" if sample.lost else ""
            name, column, note = (row.name, row.column, row.note) if number == 0 else ("", "", "")
            yield f"| {name} | {column} | {_code(sample.shown)} | {stored}{lost} | {note} |"


def _meetings() -> Iterator[str]:
    names = list(map(_name, _MET))
    yield "| | " + " | ".join(names) + " |"
    yield "|---" * (len(names) + 1) + "|"
    for established, name in zip(_MET, names, strict=True):
        yield f"| {name} | " + " | ".join(_meeting(established, incoming) for incoming in _MET) + " |"


def _meeting(established: ColumnType, incoming: ColumnType) -> str:
    met = fit(established, incoming)
    if met is Fit.EXACT:
        return _plain(established)
    if met is Fit.DRASTIC:
        return "set aside"
    if met is Fit.CHECKED:
        return "if exact"
    joined = join(established, incoming)
    return _plain(joined) if _plain(joined) == _plain(established) else f"**{_plain(joined)}**"


def _columns(
    destination: str,
    texts: Sequence[tuple[ColumnType, Sequence[tuple[object, str]]]],
    stored: Callable[[ColumnType], str],
) -> Iterator[str]:
    yield f"| {destination} | declared as | value | canonical text |"
    yield "|---|---|---|---|"
    for its, cases in texts:
        declared = ", ".join(f"`{name}`" for name in NAMES if column_type(name).kind is its.kind)
        short = [case for case in cases if len(case[1]) <= _LONGEST_SAMPLE and case[1].isprintable()]
        for number, (value, text) in enumerate(short[:_MOST_SAMPLES]):
            names = (stored(its), declared) if number == 0 else ("", "")
            yield f"| {names[0]} | {names[1]} | {_code(_shown(value, its))} | {_code(text)} |"


def _shown(value: object, its: ColumnType) -> str:
    if isinstance(value, bytes):
        return value[:16].hex(" ")
    count = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    units = {Kind.DATE: "days since 1970", Kind.TIME: "us since midnight"}
    unit = f"{its.unit} since 1970" if its.unit else units.get(its.kind, "")
    return f"{count} {unit}".strip()


def _name(its: ColumnType) -> str:
    if its.kind is Kind.INT64:
        return "bigint, at most 2^53" if its.exact else "bigint, beyond 2^53"
    return _plain(its)


def _plain(its: ColumnType) -> str:
    stored = stored_type(its)
    return _SHORT.get(stored, stored)


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|") if text else "(empty)"


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201
