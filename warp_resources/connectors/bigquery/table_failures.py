"""Tells the errors that concern one table from those that concern the whole project."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from warp_resources.connectors.bigquery.control import read_control
from warp_resources.connectors.bigquery.ddl import wanted_columns
from warp_resources.connectors.bigquery.errors import Refused
from warp_resources.connectors.bigquery.physical import found_in
from warp_resources.connectors.bigquery.warehouse import Warehouse
from warp_resources.errors import OperatorError, SchemaMoved, TableFailure
from warp_resources.model.tables import TableId, TableSchema

REFUSED = 400
"""The status of a job whose statements BigQuery refuses as they are."""


@contextmanager
def concerning(warehouse: Warehouse, schemas: Sequence[TableSchema]) -> Iterator[None]:
    """Within the block, what only one of the tables stands in the way of is a ``TableFailure``.

    Raises:
        SchemaMoved: another writer changes the columns of one of the tables at this moment.
    """
    try:
        yield
    except Refused as error:
        for schema in schemas:
            demand_unmoved(warehouse, schema)
            failure = altered_by_hand(warehouse, schema)
            if failure is not None:
                raise failure from error
        if len(schemas) == 1 and error.facts.get("status") == REFUSED:
            raise refused(error, schemas[0].table) from error
        raise


def altered_by_hand(warehouse: Warehouse, schema: TableSchema) -> TableFailure | None:
    """How a table differs from what the registry has of it; None where it can be written."""
    table = warehouse.session.table(warehouse.full(schema))
    if table is None:
        return dropped(schema.table)
    found = found_in(table)
    for name, wanted in wanted_columns(schema).items():
        if found.type_of(name) != wanted:
            return TableFailure(
                "A column is not of the type that its registry entry says",
                remedy=f"Alter it back to {wanted}; or drop the table. {made_anew(schema.table)}",
                table=schema.table,
                column=name,
                found=found.type_of(name) or "no such column",
            )
    return None


def dropped(table: TableId) -> TableFailure:
    """What is said of a table that was made once and is no longer there."""
    return TableFailure("The table was dropped in the destination", remedy=made_anew(table), table=table)


def made_anew(table: TableId) -> str:
    """How a table that was dropped in the destination comes back."""
    return f"Read it again, which makes it anew: cartridge-warp resync --table {table}"


def refused(error: OperatorError, table: TableId) -> TableFailure:
    """An error of statements that are about one table only."""
    remedy = error.remedy or "Correct it in the destination; the table is then tried again"
    return TableFailure(error.message, remedy=remedy, **{**error.facts, "table": table})


def demand_unmoved(warehouse: Warehouse, schema: TableSchema) -> None:
    """Raise ``SchemaMoved`` if somebody else replaces columns of a table while statements name them."""
    rows = read_control(warehouse.session, warehouse.metadata, schema.table.schema)
    row = rows.tables.get(schema.table.name)
    if row is not None and (row.intent is not None or row.version != schema.version):
        raise SchemaMoved("Another writer changes the table's schema", table=schema.table)
