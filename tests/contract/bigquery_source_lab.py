"""Reaches a BigQuery project beside the source: makes tables of rows, as their values need them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from google.cloud.bigquery import ScalarQueryParameter

from tests.contract.laboratories import SourceLab
from tests.fixtures.servers import BigQueryProject
from warp_resources.connectors.bigquery.options import BigQuerySourceOptions
from warp_resources.connectors.bigquery.session import Session, quoted
from warp_resources.connectors.bigquery.source import BigQuerySource
from warp_resources.connectors.interfaces import SourceScope

_TYPES: dict[type, str] = {
    bool: "BOOL",
    int: "INT64",
    float: "FLOAT64",
    Decimal: "NUMERIC",
    str: "STRING",
    bytes: "BYTES",
    datetime: "TIMESTAMP",
    date: "DATE",
    time: "TIME",
    dict: "JSON",
}


class BigQuerySourceLab(SourceLab):
    """Rows in one dataset; ``_id`` is the key of every table, declared where the table is made here."""

    mixes_types = False

    def __init__(self, project: BigQueryProject) -> None:
        super().__init__("shop_db")
        self.options = BigQuerySourceOptions(**project.endpoints)  # type: ignore[arg-type]
        self.session = Session(self.options)
        self._columns: dict[str, dict[str, str]] = {}
        self.run(f"create schema {self.database}")
        self.make_table("existing", _id="INT64")

    def make(self) -> BigQuerySource:
        return BigQuerySource(self.options)

    def close(self) -> None:
        super().close()
        self.session.close()

    def scope(self, *include: str, exclude: tuple[str, ...] = ()) -> SourceScope:
        return replace(super().scope(*include, exclude=exclude), keys=(("*", ("_id",)),))

    def run(self, script: str, parameters: Sequence[ScalarQueryParameter] = ()) -> list[Any]:
        return self.session.run(script, parameters)

    def sql(self, table: str) -> str:
        return quoted(self.session.project, self.database, table)

    def make_table(self, table: str, ending: str = "", /, **columns: str) -> None:
        """A table with its key declared.

        Args:
            ending: what follows the columns, such as ``partition by``.
        """
        listed = ", ".join(f"{quoted(name)} {its}" for name, its in columns.items())
        self.run(f"create table {self.sql(table)} ({listed}, primary key (_id) not enforced) {ending}")
        self._columns[table] = dict(columns)

    def put(self, table: str, *rows: dict[str, Any]) -> None:
        """Insert or replace rows; a value that is not of its column's type becomes null."""
        columns = self._made(table, rows)
        self._delete(table, columns["_id"], [row["_id"] for row in rows])
        for first in range(0, len(rows), 100):
            self._insert(table, columns, rows[first : first + 100])

    def delete(self, table: str, *keys: Any) -> None:
        self._delete(table, self._columns[table]["_id"], keys)

    def drop(self, table: str) -> None:
        self.run(f"drop table {self.sql(table)}")
        self._columns.pop(table, None)

    def _made(self, table: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        """The columns of a table, which is made, or given more columns, as the rows need it."""
        found = {name: _TYPES[type(value)] for row in rows for name, value in row.items() if value is not None}
        if table not in self._columns:
            self.make_table(table, **found)
        known = self._columns[table]
        for name in found.keys() - known.keys():
            self.run(f"alter table {self.sql(table)} add column {quoted(name)} {found[name]}")
            known[name] = found[name]
        return known

    def _insert(self, table: str, columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> None:
        parameters: list[ScalarQueryParameter] = []
        lines = []
        for row in rows:
            places = []
            for name, its in columns.items():
                value = row.get(name)
                value = value if value is not None and _TYPES[type(value)] == its else None
                label = f"p{len(parameters)}"
                places.append(f"parse_json(@{label})" if its == "JSON" else f"@{label}")
                given, text = ("STRING", json.dumps(value)) if its == "JSON" else (its, value)
                parameters.append(ScalarQueryParameter(label, given, None if value is None else text))
            lines.append(f"({', '.join(places)})")
        names = ", ".join(map(quoted, columns))
        self.run(f"insert into {self.sql(table)} ({names}) values {', '.join(lines)}", parameters)

    def _delete(self, table: str, its: str, keys: Sequence[Any]) -> None:
        parameters = [ScalarQueryParameter(f"k{number}", its, key) for number, key in enumerate(keys)]
        listed = ", ".join(f"@{parameter.name}" for parameter in parameters)
        self.run(f"delete from {self.sql(table)} where _id in ({listed})", parameters)
