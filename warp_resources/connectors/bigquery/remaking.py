"""Makes a table again that was dropped by hand, for a reading that brings all of its rows."""

from __future__ import annotations

from dataclasses import replace

from warp_resources.connectors.bigquery import readings
from warp_resources.connectors.bigquery.control import Draft, Intent, TableRow
from warp_resources.connectors.bigquery.evolve import register_version
from warp_resources.connectors.bigquery.evolving import apply_changes
from warp_resources.connectors.bigquery.layout import Layout
from warp_resources.connectors.bigquery.repeating import as_chosen
from warp_resources.connectors.bigquery.warehouse import Warehouse
from warp_resources.model.batches import ErrorEntry
from warp_resources.model.tables import TableId

_GONE = "the table was dropped in the destination, and with it what was read"


def is_gone(warehouse: Warehouse, row: TableRow | None) -> bool:
    """Whether a table that was made once is no longer there."""
    if row is None or row.schema is None:
        return False
    return warehouse.session.table(warehouse.full(row.schema)) is None


def forget_readings(draft: Draft, table: TableId) -> None:
    """End the readings of a table that is gone."""
    readings.abandon_all(draft, table, _GONE)


def forget_rows(draft: Draft, table: TableId, layout: Layout) -> None:
    """A table that is gone has to be read whole before anything can be told of it."""
    row = draft.table(table)
    draft.put(replace(row, state=replace(row.state, is_loaded=False, updated_at=draft.at)))
    if row.schema is not None and row.intent is None:
        schema, changes = as_chosen(row.schema, layout)
        if changes:
            register_version(draft, Intent(row.schema, schema, changes, ""))
    draft.log_error(
        ErrorEntry(
            table,
            "table_made_again",
            "The table was dropped in the destination; its grants, policies and descriptions are not known here",
            "it is made again and read whole",
        ),
        "",
    )


def make_again(warehouse: Warehouse, layout: Layout, row: TableRow) -> None:
    """Make a table that is gone again, empty, as its latest version has it; harmless where somebody was faster.

    Of a change under way nothing is left to do but to register it.
    """
    schema = row.schema if row.intent is None else row.intent.after
    assert schema is not None
    apply_changes(warehouse.session, Intent(None, schema, (), ""), layout, _Making())


class _Making:
    """A table that is made: whoever was faster has made the same, and no value is altered."""

    def demand(self) -> None: ...

    def keep(self, errors: list[ErrorEntry]) -> None:
        raise AssertionError(errors)
