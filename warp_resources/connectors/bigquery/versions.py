"""Reads the versions of a table's schema, and goes back to the types of an earlier one."""

from __future__ import annotations

from dataclasses import replace

from google.cloud.bigquery import ScalarQueryParameter

from warp_resources.connectors.bigquery import transitions
from warp_resources.connectors.bigquery.changing import CHANGES_TEXT, SCHEMA_TEXT, change
from warp_resources.connectors.bigquery.control import Draft, Intent, TableRow
from warp_resources.connectors.bigquery.evolve import finish
from warp_resources.connectors.bigquery.layout import Layout
from warp_resources.connectors.bigquery.rollback import refused, statement_of
from warp_resources.connectors.bigquery.warehouse import Warehouse
from warp_resources.errors import SchemaMoved
from warp_resources.evolution.history import rolled_back, version_of, way_back
from warp_resources.model.tables import TableId
from warp_resources.model.versions import Rollback, SchemaVersion


def schema_versions(warehouse: Warehouse, table: TableId, newest: int | None = None) -> list[SchemaVersion]:
    """The versions of a table's schema, all or the newest; oldest first."""
    limit = f" limit {newest}" if newest else ""
    rows = warehouse.session.run(
        f"""select document, to_json_string(changes) as changes, applied_at, run_id
from {warehouse.log("schema_registry")} where schema_name = @schema and table_name = @table
order by version desc{limit}""",
        [ScalarQueryParameter("schema", "STRING", table.schema), ScalarQueryParameter("table", "STRING", table.name)],
        kind="versions",
    )
    return [
        SchemaVersion(
            SCHEMA_TEXT.validate_json(row.document),
            CHANGES_TEXT.validate_json(row.changes),
            row.applied_at,
            row.run_id or "",
        )
        for row in reversed(rows)
    ]


def plan_rollback(warehouse: Warehouse, row: TableRow | None, table: TableId, version: int) -> Rollback:
    """What would go back, and how many values are in the way."""
    versions = schema_versions(warehouse, table) if row is not None else []
    target = version_of(versions, version).schema
    present = row.schema if row is not None and row.schema is not None else versions[-1].schema
    rollback = way_back(present, target)
    steps = tuple(replace(step, refused=refused(warehouse.session, present, step)) for step in rollback.steps)
    rollback = replace(rollback, steps=steps)
    return replace(rollback, statement=statement_of(present, rollback.possible))


def roll_back(warehouse: Warehouse, layout: Layout, table: TableId, version: int, run_id: str) -> Rollback:
    """Go back, as a new version of the table's schema, which everybody has to know before writing again."""
    rollback: Rollback | None = None

    def announce(draft: Draft) -> Intent | None:
        nonlocal rollback
        row = draft.table(table)
        if row.intent is not None:
            raise SchemaMoved("A schema change of the table is under way", table=table)
        # Counted with nobody else writing: whoever writes meanwhile moves the control rows, and this is done again.
        rollback = plan_rollback(warehouse, row, table, version)
        if not rollback.possible:
            return None
        schema, changes = rolled_back(rollback)
        intent = Intent(row.schema, schema, changes, run_id)
        draft.put(replace(row, intent=intent))
        transitions.next_sequence(draft, table)
        return intent

    intent = change(warehouse, table.schema, announce, kind="rollback")
    assert rollback is not None
    if intent is None:
        return rollback
    finish(warehouse, layout, intent)
    return replace(rollback, version=intent.after.version)
