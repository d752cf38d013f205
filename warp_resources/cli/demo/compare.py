"""Compares a source collection with its destination table: every row, every column, every value."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from warp_resources.cli.demo.reading import Reading, SetAside
from warp_resources.connectors.mongodb.demo_reading import Forms, SourceRow, read_documents

KEY = "_id"
_SHOWN = 5


@dataclass(slots=True)
class Comparison:
    """What a compare of one table found; ``differences`` has the first few."""

    schema: str
    table: str
    documents: int = 0
    rows: int = 0
    values: int = 0
    dead_letters: int = 0
    difference_count: int = 0
    differences: list[str] = field(default_factory=list)

    @property
    def is_equal(self) -> bool:
        return self.difference_count == 0

    def differ(self, text: str) -> None:
        self.difference_count += 1
        if len(self.differences) < _SHOWN:
            self.differences.append(text)


def compare(mongo_uri: str, reading: Reading, schema: str, table: str) -> Comparison:
    """Compare a table of a schema that has its database's name."""
    found = Comparison(schema, table)
    types = reading.column_types(schema, table)
    if not types:
        found.differ("the table does not exist")
        return found
    letters = reading.set_aside(schema)
    columns = list(types)
    rows: dict[object, dict[str, Any]] = {}
    for values in reading.read_rows(schema, table, columns):
        row = dict(zip(columns, values, strict=True))
        if row[KEY] in rows:
            found.differ(f"{row[KEY]} is there twice")
        rows[row[KEY]] = row
    found.rows = len(rows)
    for document in read_documents(mongo_uri, schema, table):
        found.documents += 1
        _compare_row(found, document, rows.pop(document.fields[KEY].exact, None), types, letters)
    for key in rows:
        found.differ(f"{key} is in the destination only")
    return found


def _compare_row(
    found: Comparison, document: SourceRow, row: dict[str, Any] | None, types: dict[str, str], letters: set[SetAside]
) -> None:
    key = json.dumps(document.key, sort_keys=True)
    if row is None:
        found.differ(f"{key} is in the source only")
        return
    for name in {*document.fields, *types}:
        found.values += 1
        forms = document.fields.get(name)
        if _is_same(forms, row.get(name), types.get(name)):
            continue
        if (found.table, key, name) in letters:
            found.dead_letters += 1
        else:
            found.differ(f"{key}.{name}: {forms.exact if forms else None!r} arrived as {row.get(name)!r}")


def _is_same(forms: Forms | None, stored: object, kind: str | None) -> bool:
    if forms is None or stored is None:
        return forms is None and stored is None
    if kind == "json":
        return forms.json == stored
    if kind == "text":
        return forms.text == stored
    exact = Decimal(repr(forms.exact)) if isinstance(forms.exact, float) and kind == "numeric" else forms.exact
    return exact == stored and isinstance(exact, bool) == isinstance(stored, bool)
