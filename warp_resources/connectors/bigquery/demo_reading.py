"""Reads the tables of the demonstration back, for a compare from outside."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

from google.cloud import bigquery

from warp_resources.connectors.bigquery.options import BigQueryOptions
from warp_resources.connectors.bigquery.session import Session, quoted

_METADATA, _OURS = "cartridge_warp_metadata", "_warp_"
_KINDS = {"JSON": "json", "STRING": "text", "NUMERIC": "numeric", "BIGNUMERIC": "numeric"}


class BigQueryReading:
    """The tables of one project; a context manager that closes its client."""

    def __init__(self, options: Mapping[str, str]) -> None:
        its = {name: value for name, value in options.items() if name != "type"}
        self._session = Session(BigQueryOptions.model_validate(its))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def column_types(self, schema: str, table: str) -> dict[str, str]:
        """The columns of a table that hold source fields, by name; empty where there is no such table."""
        found = self._session.table(f"{self._session.project}.{schema}.{table}")
        fields = found.schema if found is not None else []
        return {
            field.name: _KINDS.get(field.field_type, field.field_type.lower())
            for field in fields
            if not field.name.startswith(_OURS)
        }

    def read_rows(self, schema: str, table: str, columns: list[str]) -> Iterator[tuple[Any, ...]]:
        """Every row of a table; numbers within JSON are decimals."""
        kinds = self.column_types(schema, table)
        is_json = [kinds[name] == "json" for name in columns]
        # As text, because the client would read its numbers as floats.
        values = [f"to_json_string({quoted(name)})" if kinds[name] == "json" else quoted(name) for name in columns]
        for row in self._session.run(f"select {', '.join(values)} from {quoted(self._session.project, schema, table)}"):
            yield tuple(_parsed(value) if text else value for value, text in zip(row.values(), is_json, strict=True))

    def set_aside(self, schema: str) -> set[tuple[str, str, str | None]]:
        """Table, key and column of the pending dead letters of a schema."""
        letters = quoted(self._session.project, _METADATA, "dead_letters")
        rows = self._session.run(
            f"select table_name, primary_key, column_name from {letters} "
            "where schema_name = @schema and status = 'pending'",
            [bigquery.ScalarQueryParameter("schema", "STRING", schema)],
        )
        return {
            (row.table_name, json.dumps(json.loads(row.primary_key), sort_keys=True), row.column_name) for row in rows
        }


def _parsed(text: str | None) -> object:
    return None if text is None else json.loads(text, parse_float=Decimal, parse_int=Decimal)
