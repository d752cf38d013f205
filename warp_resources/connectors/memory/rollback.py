"""Brings stored rows back to the types of an earlier version of their table."""

from __future__ import annotations

from dataclasses import replace

from warp_resources.arrow.coerce import coerce
from warp_resources.connectors.memory.alter import apply_changes, column_values
from warp_resources.connectors.memory.store import Contents, StoredTable, now
from warp_resources.evolution.history import rolled_back, version_of, way_back
from warp_resources.model.tables import TableId
from warp_resources.model.versions import ColumnStep, Rollback, SchemaVersion


def plan_rollback(contents: Contents, table_id: TableId, version: int) -> Rollback:
    """What would go back, and which values are in the way."""
    table = contents.tables.get(table_id)
    versions = table.versions if table is not None else []
    target = version_of(versions, version).schema
    rollback = way_back(versions[-1].schema, target)
    if table is not None:
        rollback = replace(rollback, steps=tuple(_examined(table, step) for step in rollback.steps))
    changes = [f"{step.before.stored}: {step.before.type} to {step.after.type}" for step in rollback.possible]
    return replace(rollback, statement="; ".join(changes))


def roll_back(contents: Contents, table_id: TableId, version: int, run_id: str) -> Rollback:
    """Do it in a draft, as a new version of the table."""
    rollback = plan_rollback(contents, table_id, version)
    if not rollback.possible:
        return rollback
    table = contents.table(table_id)
    schema, changes = rolled_back(rollback)
    apply_changes(table, changes)
    table.versions.append(SchemaVersion(schema, changes, now(), run_id))
    table.next_sequence()
    table.state = replace(table.state, schema_version=schema.version)
    return replace(rollback, version=schema.version)


def _examined(table: StoredTable, step: ColumnStep) -> ColumnStep:
    """A step with the values counted that do not become the type, or not the same again from it."""
    values = column_values(table, step.before)
    there = coerce(values, step.before.type, step.after.type)
    back = coerce(there.values, step.after.type, step.before.type)
    # As Python shows them: NaN is itself, and -0.0 is not 0.0.
    pairs = zip(values.to_pylist(), back.values.to_pylist(), strict=True)
    return replace(step, refused=sum(repr(value) != repr(returned) for value, returned in pairs))
