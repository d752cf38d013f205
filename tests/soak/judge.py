"""Judges a soak at rest: every table equals its collection, and the metadata agrees with it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from pymongo import MongoClient

from tests.pairs import oracle
from tests.pairs.canonical import key_text
from tests.pairs.lawful import keyed, unlawful
from tests.soak.layout import SOFT_COLUMN, STREAMS
from tests.soak.lives import UglyLife
from tests.soak.load import Load
from warp_resources.config import WarpConfig
from warp_resources.model.positions import Position
from warp_resources.pipeline.engine import STREAM, Unit
from warp_resources.pipeline.options import open_destination, open_source

_SHOWN = 10
_ASIDE = """
select schema_name || '.' || table_name, aside_reason from cartridge_warp_metadata.sync_markers
where aside_position is not null
"""
_UNEXPLAINED = """
select d.schema_name || '.' || d.table_name, d.primary_key, d.column_name, d.reason
from cartridge_warp_metadata.dead_letters as d where not exists (
    select from cartridge_warp_metadata.error_log as e
    where e.schema_name = d.schema_name and e.table_name = d.table_name
        and e.column_name is not distinct from d.column_name and e.primary_key is not distinct from d.primary_key
        and e.error_type = d.reason
) limit 10
"""
_DELETED = """
select schema_name || '.' || table_name as name, key_text, count from (
    select schema_name, table_name, primary_key as key_text, count(*) as count
    from cartridge_warp_metadata.deletion_log where cause = 'source' group by 1, 2, 3
) as counted
"""
_WAITING = """
select schema_name || '.' || table_name, primary_key, reason from cartridge_warp_metadata.dead_letters
where status = 'pending' and reason = 'foreign_key'
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """A table, and what is wrong with it; a line begins with the key that it is about, if it is about one."""

    table: str
    line: str

    def __str__(self) -> str:
        return f"{self.table}: {self.line}"


@dataclass(slots=True)
class Judge:
    """What is compared: the source by a client, the warehouse, and what the load knows."""

    client: MongoClient[dict[str, Any]]
    warehouse: str
    load: Load
    folder: Path

    def differences(self) -> list[Difference]:
        """What is not equal; may be so for a while after the load has stopped."""
        found: list[Difference] = []
        for table, life in list(self.load.lives.items()):
            if isinstance(life, UglyLife):
                found += self._ugly(table, life)
            else:
                found += self._exact(table)
        found += self._exact("family.parents")
        return found + self._waiting()

    def ends(self) -> dict[str, Position]:
        """Where the log of each stream ends now."""
        config = self._config
        with closing(open_source(config)) as source:
            return {schema: source.log_end(Unit(config, schema, STREAM).scope) for schema in STREAMS}

    def behind(self, ends: Mapping[str, Position]) -> list[Difference]:
        """Streams whose marker is not where the source ended."""
        config = self._config
        found = []
        with closing(open_source(config)) as source, closing(open_destination(config)) as destination:
            for schema, end in ends.items():
                state = destination.stream_state(schema)
                if state is None or not source.is_reached(state.position, end):
                    found.append(Difference(schema, f"the marker {state} is before the source's end {end}"))
        return found

    @property
    def _config(self) -> WarpConfig:
        return WarpConfig.from_file(self.folder / "direct.yaml")

    def contradictions(self) -> list[Difference]:
        """What must not be, however long one waits: told once everything is equal."""
        found = [Difference(str(table), f"is set aside: {reason}") for table, reason in self._rows(_ASIDE)]
        for table, key, column, reason in self._rows(_UNEXPLAINED):
            found.append(Difference(table, f"{key} has a letter {reason} of {column} that error_log does not tell of"))
        for table, key, count in self._rows(_DELETED):
            text = self._key_text(key)
            if count > self.load.journal.deletes[table, text]:
                found.append(
                    Difference(table, f"{text} was deleted {count} times in deletion_log, and not at the source")
                )
        return found[:_SHOWN]

    def _exact(self, table: str) -> list[Difference]:
        schema, name = table.split(".")
        if schema != "soft":
            lines = oracle.differences(self.client[schema], self.warehouse, schema, name)
        else:
            lines = self._soft(schema, name)
        return [Difference(table, line) for line in lines]

    def _soft(self, schema: str, name: str) -> list[str]:
        stored = oracle.rows(self.warehouse, schema, name)
        rows = {row["_id"]: row for row in stored}
        found = [] if len(rows) == len(stored) else ["keys are there twice"]
        live = {key for key, row in rows.items() if not row[SOFT_COLUMN]}
        for document in self.client[schema][name].find():
            key = document["_id"]
            live.discard(key)
            row = rows.get(key)
            if row is None or row[SOFT_COLUMN]:
                found.append(f"{key} is {'missing' if row is None else 'flagged'}")
                continue
            for field in {*document, *row} - {SOFT_COLUMN}:
                if not oracle.same(document.get(field), row.get(field)):
                    found.append(f"{key}.{field}: {document.get(field)!r} is {row.get(field)!r}")
        return [*found, *(f"{key} is not flagged" for key in live)][:_SHOWN]

    def _ugly(self, table: str, life: UglyLife) -> list[Difference]:
        schema, name = table.split(".")
        documents = keyed(list(life.collection.find()))
        lines = unlawful(self.warehouse, schema, name, documents, life.ghosts)
        return [Difference(table, line) for line in lines]

    def _waiting(self) -> list[Difference]:
        """At rest every child has its parent, so no row may wait for one."""
        rows = self._rows(_WAITING)
        return [Difference(table, f"{key} waits ({reason})") for table, key, reason in rows][:_SHOWN]

    def _rows(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.warehouse, autocommit=True) as connection:
            try:
                return connection.execute(statement.encode()).fetchall()
            except psycopg.errors.UndefinedTable:
                return []

    @staticmethod
    def _key_text(primary_key: str) -> str:
        from bson import json_util

        return key_text(json_util.loads(primary_key)["_id"])
