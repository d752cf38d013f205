"""Reads what a table really looks like, from the free answer to a request for it."""

from __future__ import annotations

from dataclasses import dataclass

from google.cloud import bigquery

from warp_resources.connectors.bigquery.ddl import VERSION_LABEL

_STANDARD = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "RECORD": "STRUCT"}


@dataclass(frozen=True, slots=True)
class Found:
    """A table as it is. Names of columns are told apart without regard to case, as BigQuery does.

    ``types``: of the columns, by lower-case name. ``required``: those that take no null, as spelled.
    ``version``: the one that it has come to, 0 where it is not known. ``key``: the columns of its primary key.
    ``placed``: the lower-case names of the columns that it is partitioned or clustered by, which cannot be replaced.
    """

    types: dict[str, str]
    required: tuple[str, ...] = ()
    version: int = 0
    key: tuple[str, ...] = ()
    placed: frozenset[str] = frozenset()

    def has(self, name: str) -> bool:
        return name.lower() in self.types

    def type_of(self, name: str) -> str | None:
        return self.types.get(name.lower())


def found_in(table: bigquery.Table) -> Found:
    """What the service says of a table."""
    label = table.labels.get(VERSION_LABEL, "")
    constraints = table.table_constraints
    key = constraints.primary_key if constraints is not None else None
    partitions = [table.time_partitioning.field] if table.time_partitioning is not None else []
    partitions += [table.range_partitioning.field] if table.range_partitioning is not None else []
    placed = [*partitions, *(table.clustering_fields or [])]
    return Found(
        types={field.name.lower(): _type(field) for field in table.schema},
        required=tuple(field.name for field in table.schema if field.mode == "REQUIRED"),
        version=int(label) if label.isdecimal() else 0,
        key=tuple(key.columns or []) if key is not None else (),
        placed=frozenset(name.lower() for name in placed if name),
    )


def _type(field: bigquery.SchemaField) -> str:
    name = _STANDARD.get(field.field_type, field.field_type)
    return f"ARRAY<{name}>" if field.mode == "REPEATED" else name
