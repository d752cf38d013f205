"""Brings a table to its next version in steps that whoever comes after a crash goes on with."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace

import structlog

from warp_resources.connectors.bigquery.changing import change
from warp_resources.connectors.bigquery.control import BATCH, STREAM, Draft, Intent, TableRow, read_control
from warp_resources.connectors.bigquery.evolving import apply_changes, can_be_withdrawn, drop_prepared
from warp_resources.connectors.bigquery.layout import Layout
from warp_resources.connectors.bigquery.transitions import demand_fence
from warp_resources.connectors.bigquery.warehouse import Warehouse
from warp_resources.errors import SchemaMoved, TableFailure, WarpError
from warp_resources.failpoints import failpoint
from warp_resources.model.batches import ConformedTable, ErrorEntry
from warp_resources.model.positions import BatchCommit, Commit
from warp_resources.model.tables import TableId

log = structlog.get_logger(__name__)


def evolve(warehouse: Warehouse, layout: Layout, part: ConformedTable, commit: Commit, run_id: str) -> None:
    """Make the version that a part needs, before anything of the part is written.

    Raises:
        FencedOut: the commit's fence does not hold.
        SchemaMoved: another version came first.
    """
    wanted = Intent(None, part.schema, part.changes, run_id, token=uuid.uuid4().hex[:6])

    def announce(draft: Draft) -> Intent:
        demand_fence(draft, commit)
        row = draft.table(part.schema.table, BATCH if isinstance(commit, BatchCommit) else STREAM)
        if row.intent is not None:
            return row.intent
        demand_version(row, part)
        _demand_name(draft, part)
        its = replace(wanted, before=row.schema)
        draft.put(replace(row, intent=its))
        return its

    intent = change(warehouse, part.schema.table.schema, announce, kind="intent")
    failpoint("ddl.announced")
    finish(warehouse, layout, intent)
    if intent.after != part.schema or intent.changes != part.changes:
        raise _moved(part.schema.table, part.based_on, intent.after.version)


def finish(warehouse: Warehouse, layout: Layout, intent: Intent) -> None:
    """Carry out what was announced, all of it or what is left of it, and register it.

    Raises:
        SchemaMoved: another process has registered or withdrawn it.
    """
    try:
        apply_changes(warehouse.session, intent, layout, _Announced(warehouse, intent))
    except TableFailure:
        _withdraw(warehouse, layout, intent)
        raise
    failpoint("ddl.applied")

    def register(draft: Draft) -> None:
        row = draft.table(intent.after.table)
        if row.intent is not None and intent.is_same(row.intent):
            register_version(draft, row.intent)

    change(warehouse, intent.after.table.schema, register, kind="register")


@dataclass(frozen=True, slots=True)
class _Announced:
    """A change that goes on as long as the control rows have it."""

    warehouse: Warehouse
    intent: Intent

    def demand(self) -> None:
        table = self.intent.after.table
        row = read_control(self.warehouse.session, self.warehouse.metadata, table.schema).tables.get(table.name)
        if row is None or not self.intent.is_same(row.intent):
            raise SchemaMoved("Another process has ended this schema change", table=table)

    def keep(self, errors: list[ErrorEntry]) -> None:
        def kept(draft: Draft) -> None:
            row = draft.table(self.intent.after.table)
            if self.intent.is_same(row.intent):
                draft.put(replace(row, intent=replace(self.intent, errors=tuple(errors))))

        change(self.warehouse, self.intent.after.table.schema, kept, kind="register")


def _withdraw(warehouse: Warehouse, layout: Layout, intent: Intent) -> None:
    """Take back what cannot be done, so that another change can be announced, as long as no reader has seen any of it.

    Else the table waits for whoever mends what is in the way of the change that has begun.
    """

    def withdraw(draft: Draft) -> None:
        row = draft.table(intent.after.table)
        if intent.is_same(row.intent):
            draft.put(replace(row, intent=None))

    try:
        if can_be_withdrawn(warehouse.session, intent, layout):
            change(warehouse, intent.after.table.schema, withdraw, kind="withdraw")
            drop_prepared(warehouse.session, intent, layout)
    except WarpError as error:
        # What stopped the change is what the user is to be told; the next try comes by here again.
        log.warning("schema change not taken back", table=str(intent.after.table), error=str(error))


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


def _demand_name(draft: Draft, part: ConformedTable) -> None:
    """Raise ``SchemaMoved`` where another table has come by the name: in some datasets case makes no difference."""
    wanted = part.schema.stored_table.casefold()
    others = (row for name, row in draft.tables.items() if name != part.schema.table.name)
    stored = (row.intent.after if row.intent is not None else row.schema for row in others)
    if part.based_on == 0 and any(its is not None and its.stored_table.casefold() == wanted for its in stored):
        raise SchemaMoved("Another table is stored by that name", table=part.schema.table, stored=wanted)


def demand_version(row: TableRow, part: ConformedTable) -> None:
    """Raise ``SchemaMoved`` unless a part was conformed to the table's latest version."""
    if row.version != part.based_on:
        raise _moved(part.schema.table, part.based_on, row.version)


def _moved(table: TableId, based_on: int, found: int) -> SchemaMoved:
    return SchemaMoved("Another writer changed the table's schema", table=table, based_on=based_on, found=found)
