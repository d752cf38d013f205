"""Brings a table to its next version in steps that whoever comes after a crash goes on with."""

from __future__ import annotations

from dataclasses import replace

from warp_resources.connectors.bigquery.changing import change
from warp_resources.connectors.bigquery.control import BATCH, STREAM, Draft, Intent, TableRow
from warp_resources.connectors.bigquery.evolving import apply_changes, forget_changes
from warp_resources.connectors.bigquery.layout import Layout
from warp_resources.connectors.bigquery.transitions import demand_fence
from warp_resources.connectors.bigquery.warehouse import Warehouse
from warp_resources.errors import SchemaMoved, TableFailure
from warp_resources.failpoints import failpoint
from warp_resources.model.batches import ConformedTable, ErrorEntry
from warp_resources.model.positions import BatchCommit, Commit
from warp_resources.model.tables import TableId


def evolve(warehouse: Warehouse, layout: Layout, part: ConformedTable, commit: Commit, run_id: str) -> None:
    """Make the version that a part needs, before anything of the part is written.

    Raises:
        FencedOut: the commit's fence does not hold.
        SchemaMoved: another version came first.
    """
    wanted = Intent(None, part.schema, part.changes, run_id)

    def announce(draft: Draft) -> Intent:
        demand_fence(draft, commit)
        row = draft.table(part.schema.table, BATCH if isinstance(commit, BatchCommit) else STREAM)
        if row.intent is not None:
            return row.intent
        demand_version(row, part)
        its = replace(wanted, before=row.schema)
        draft.put(replace(row, intent=its))
        return its

    intent = change(warehouse, part.schema.table.schema, announce, kind="intent")
    failpoint("ddl.announced")
    finish(warehouse, layout, intent)
    if intent.after != part.schema or intent.changes != part.changes:
        raise _moved(part.schema.table, part.based_on, intent.after.version)


def finish(warehouse: Warehouse, layout: Layout, intent: Intent) -> None:
    """Carry out what was announced, all of it or what is left of it, and register it."""

    def keep(draft: Draft, errors: list[ErrorEntry]) -> None:
        row = draft.table(intent.after.table)
        if intent.is_same(row.intent):
            draft.put(replace(row, intent=replace(intent, errors=tuple(errors))))

    def register(draft: Draft) -> None:
        row = draft.table(intent.after.table)
        if row.intent is not None and intent.is_same(row.intent):
            register_version(draft, row.intent)

    schema = intent.after.table.schema
    try:
        apply_changes(
            warehouse.session,
            intent.before,
            intent.after,
            intent.changes,
            layout,
            lambda errors: change(warehouse, schema, lambda draft: keep(draft, errors), kind="register"),
        )
    except TableFailure:
        _withdraw(warehouse, intent)
        raise
    failpoint("ddl.applied")

    change(warehouse, schema, register, kind="register")


def _withdraw(warehouse: Warehouse, intent: Intent) -> None:
    """Take back what cannot be done, so that another change can be announced, as long as no reader has seen any of it.

    Else the table waits for whoever mends what is in the way of the change that has begun.
    """
    if not forget_changes(warehouse.session, intent.before, intent.after):
        return

    def withdraw(draft: Draft) -> None:
        row = draft.table(intent.after.table)
        if intent.is_same(row.intent):
            draft.put(replace(row, intent=None))

    change(warehouse, intent.after.table.schema, withdraw, kind="withdraw")


def register_version(draft: Draft, intent: Intent) -> None:
    """Make a version the table's latest."""
    table = intent.after.table
    row = draft.table(table)
    state = replace(row.state, schema_version=intent.after.version, updated_at=draft.at)
    draft.put(replace(row, state=state, schema=intent.after, intent=None))
    draft.versions.append(intent)
    its = draft.figures(table.name)
    counts = dict(its.schema_changes)
    for made in intent.changes:
        counts[str(made.kind)] = counts.get(str(made.kind), 0) + 1
    draft.count(table.name, replace(its, schema_changes=counts))
    for entry in intent.errors:
        draft.log_error(entry, intent.run_id)


def demand_version(row: TableRow, part: ConformedTable) -> None:
    """Raise ``SchemaMoved`` unless a part was conformed to the table's latest version."""
    if row.version != part.based_on:
        raise _moved(part.schema.table, part.based_on, row.version)


def _moved(table: TableId, based_on: int, found: int) -> SchemaMoved:
    return SchemaMoved("Another writer changed the table's schema", table=table, based_on=based_on, found=found)
