"""Reads a BigQuery destination without a job, for the judge of SPEC E8."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo.database import Database

from tests.fixtures.servers import BigQueryProject
from tests.pairs.canonical import text_of
from tests.pairs.lawful import BY_VALUE, Stored, judged, keyed
from warp_resources.connectors.bigquery.options import BigQueryOptions
from warp_resources.connectors.bigquery.session import Session

_METADATA = "cartridge_warp_metadata"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Tables:
    """What a project has, as a reader sees it."""

    def __init__(self, project: BigQueryProject) -> None:
        self.session = Session(BigQueryOptions(**project.endpoints))  # type: ignore[arg-type]

    def unlawful(self, documents: Database[dict[str, Any]], *names: str) -> list[str]:
        """What breaks E8 or E11 in the tables of some collections, whose schema has the database's name."""
        found = []
        for name in names:
            stored = self.stored(documents.name, name)
            lines = ["no table"] if stored is None else judged(stored, keyed(list(documents[name].find())))
            found += [f"{name}: {line}" for line in lines]
        return found

    def stored(self, schema: str, table: str) -> Stored | None:
        """A table as it is; None where the registry has none."""
        document = self.registered(schema, table)
        if document is None:
            return None
        columns = document["columns"]
        kinds = {column["name"]: column["type"]["kind"] for column in columns}
        rows: dict[str, dict[str, str | None]] = {}
        for row in self.rows(f"{document['stored_schema']}.{document['stored_table']}"):
            shown = {its["name"]: _shown(row[its["stored"]], its["type"]["kind"]) for its in columns}
            rows[shown["_id"] or ""] = shown
        [key] = [column for column in columns if column["name"] == "_id"]
        letters = {
            (its.key_text, its.column_name): its.reason
            for its in self.metadata(f"dead_letters__{schema}", schema, table)
            if its.status == "pending"
        }
        by_value = {name: BY_VALUE if kind == "numeric" and name != "_id" else kind for name, kind in kinds.items()}
        return Stored(by_value, key.get("family") in ("mixed", "json"), rows, letters)

    def registered(self, schema: str, table: str) -> dict[str, Any] | None:
        """The latest version of a table's schema."""
        versions = self.metadata("schema_registry", schema, table)
        return json.loads(max(versions, key=lambda its: its.version).document) if versions else None

    def metadata(self, name: str, schema: str, table: str) -> list[Any]:
        """The rows that a metadata table has of one of the user's."""
        found = self.rows(f"{_METADATA}.{name}")
        return [its for its in found if (its.schema_name, its.table_name) == (schema, table)]

    def rows(self, name: str) -> Iterable[Any]:
        return self.session.rows(f"{self.session.project}.{name}")

    def sequences(self, schema: str, table: str) -> dict[str, int]:
        return {row["_warp_key"]: row["_warp_sequence"] for row in self.rows(f"{schema}.{table}")}

    def names(self, schema: str, table: str) -> set[str]:
        """The stored names of a table's columns."""
        found = self.session.table(f"{self.session.project}.{schema}.{table}")
        return set() if found is None else {field.name for field in found.schema}


def _shown(value: Any, kind: str) -> str | None:
    """A value as the judge reads it."""
    if value is None:
        return None
    if kind == "json":
        return json.dumps(value)
    match value:
        case bool():
            return text_of(value)
        case datetime():
            return str(round((value - _EPOCH) / timedelta(milliseconds=1)))
        case bytes():
            return "\\x" + value.hex()
        case float():
            return repr(value)
    return str(value)
