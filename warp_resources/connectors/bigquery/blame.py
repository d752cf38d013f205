"""Finds the one table of a commit that BigQuery refuses, so that the others of its stream go on without it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from warp_resources.connectors.bigquery.changing import Work
from warp_resources.connectors.bigquery.control import SCHEMA_ROW, control_name
from warp_resources.connectors.bigquery.errors import Refused
from warp_resources.connectors.bigquery.table_failures import altered_by_hand, demand_unmoved, refused
from warp_resources.connectors.bigquery.warehouse import Warehouse
from warp_resources.model.tables import TableId, TableSchema

Answer = TypeVar("Answer")
Wanted = Iterable[tuple[TableSchema, Work]]


def blaming(warehouse: Warehouse, attempt: Callable[[], Answer], wanted: Callable[[], Wanted]) -> Answer:
    """The answer to an attempt to commit; what BigQuery refuses of one table alone is a ``TableFailure``.

    Each table's work is tried by itself, in a transaction that is rolled back. Where all of it is welcome by now, as
    after a table was made again, there is another attempt.

    Args:
        wanted: what the attempt was about to do to each table.
    """
    try:
        return attempt()
    except Refused as error:
        if not _can_write(warehouse, wanted()):
            raise
        for schema, work in wanted():
            refusal = _refusal(warehouse, work)
            if refusal is not None:
                demand_unmoved(warehouse, schema)
                raise (altered_by_hand(warehouse, schema) or refused(refusal, schema.table)) from error
    return attempt()


@contextmanager
def altering(table: TableId) -> Iterator[None]:
    """Within the block, which is about one table, what BigQuery refuses is a ``TableFailure``."""
    try:
        yield
    except Refused as error:
        raise refused(error, table) from error


def _refusal(warehouse: Warehouse, work: Work) -> Refused | None:
    """What BigQuery says against some work, by itself and without leaving anything of it."""
    declared = "".join(f"declare {variable} int64 default 0;\n" for variable in work.variables)
    script = f"{declared}begin transaction;\n{work.statements}rollback transaction;"
    try:
        warehouse.session.run(script, work.parameters, kind="trial")
    except Refused as error:
        return error
    return None


def _can_write(warehouse: Warehouse, wanted: Wanted) -> bool:
    """Whether our own rows can be changed: if they cannot, it is no single table's fault."""
    schema = next((its.table.schema for its, _ in wanted), None)
    if schema is None:
        return False
    control = control_name(warehouse.session, warehouse.metadata, schema)
    own = Work(f"update {control} set revision = revision where kind = '{SCHEMA_ROW}';\n")
    return _refusal(warehouse, own) is None
