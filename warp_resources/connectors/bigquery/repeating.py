"""Decides which columns of a table that is made again are REPEATED, and tells of those that are not but should be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import structlog

from warp_resources.connectors.bigquery.layout import Layout
from warp_resources.connectors.bigquery.table_failures import made_anew
from warp_resources.evolution.arrays import is_to_be_array
from warp_resources.model.tables import ChangeKind, Kind, SchemaChange, TableId, TableSchema

log = structlog.get_logger(__name__)


def as_chosen(schema: TableSchema, layout: Layout) -> tuple[TableSchema, tuple[SchemaChange, ...]]:
    """The next version of a table that is empty, whose JSON columns are REPEATED or not as is chosen by now.

    Without changes it is the version that it was.
    """
    wanted = layout.of(schema.table).repeated
    after = tuple(replace(its, is_array=is_to_be_array(its, schema, wanted)) for its in schema.columns)
    changes = tuple(
        SchemaChange(ChangeKind.ALTER_TYPE, new, old, "the table is made again")
        for new, old in zip(after, schema.columns, strict=True)
        if new != old
    )
    return replace(schema, columns=after, version=schema.version + bool(changes)), changes


class Unrepeated:
    """The columns that were to be REPEATED and are something else; each is told of once."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._told: set[tuple[TableId, str]] = set()

    def tell(self, schemas: Iterable[TableSchema]) -> None:
        """Warn of what these tables have that was chosen to be another way."""
        for schema in schemas:
            for name in self._layout.of(schema.table).repeated:
                self._tell(schema, name)

    def _tell(self, schema: TableSchema, name: str) -> None:
        column = schema.column(name)
        if column is None or column.is_array or (schema.table, name) in self._told:
            return
        self._told.add((schema.table, name))
        remedy = f"Drop the table in BigQuery. {made_anew(schema.table)}"
        if column.type.kind is not Kind.JSON or name in schema.key:
            remedy = "Only columns of JSON can be, but for the key's: take it out of destination.tables"
        log.warning(
            "column is not repeated", table=str(schema.table), column=name, type=str(column.type), remedy=remedy
        )
