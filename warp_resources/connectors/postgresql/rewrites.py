"""Keeps how far the filling of rewritten columns has come, one row per table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from psycopg import sql

from warp_resources.connectors.postgresql.merge import table_identifier
from warp_resources.connectors.postgresql.registry import latest_schemas
from warp_resources.connectors.postgresql.session import Connection
from warp_resources.connectors.postgresql.stale import count_blocks, heap_file
from warp_resources.model.rewrites import RewriteState
from warp_resources.model.tables import TableSchema

FILL, CHECK = "fill", "check"
PROOF = "_warp_rewritten"
"""The check constraint that keeps rows from being written as before, once all that were there are filled."""
_FILL_SHARE = 0.9

_OWN = "schema_name = %(schema)s and table_name = %(table)s"
_BEGIN = """
insert into cartridge_warp_metadata.rewrites (schema_name, table_name, heap_file, end_block)
values (%(schema)s, %(table)s, %(file)s, %(blocks)s)
on conflict (schema_name, table_name) do update
set stage = 'fill', heap_file = excluded.heap_file, next_block = 0, end_block = excluded.end_block,
    updated_at = clock_timestamp()
"""
_MOVE = f"""
update cartridge_warp_metadata.rewrites
set stage = %(stage)s, heap_file = %(file)s, next_block = %(next)s, end_block = %(end)s,
    updated_at = clock_timestamp()
where {_OWN}
"""
_PROGRESS = "select stage, heap_file, next_block, end_block from cartridge_warp_metadata.rewrites where"
_ALL = """
select table_name, stage, heap_file, next_block, end_block from cartridge_warp_metadata.rewrites
where schema_name = %s order by table_name
"""


@dataclass(frozen=True, slots=True)
class Progress:
    """Which of a table's blocks are done in a stage; another file holds the rows after each rewrite of the table."""

    stage: str
    file: int
    next_block: int
    end_block: int

    @property
    def is_through(self) -> bool:
        return self.next_block >= self.end_block

    @property
    def share(self) -> float:
        """Of the whole, all stages together; below 1 until the columns are swapped."""
        done = min(1.0, self.next_block / self.end_block) if self.end_block else 1.0
        return done * _FILL_SHARE if self.stage == FILL else _FILL_SHARE + done * (0.99 - _FILL_SHARE)


def begin_filling(connection: Connection, schema: TableSchema) -> None:
    """Note that the rows that a table has by now are to be filled, in the transaction that adds the new columns."""
    connection.execute(drop_proof(schema))
    file, blocks = heap(connection, schema)
    connection.execute(_BEGIN, {**_key(schema), "file": file, "blocks": blocks})


def drop_proof(schema: TableSchema) -> sql.Composed:
    """Let rows be written as before again."""
    return sql.SQL("alter table {} drop constraint if exists {}").format(
        table_identifier(schema), sql.Identifier(PROOF)
    )


def heap(connection: Connection, schema: TableSchema) -> tuple[int, int]:
    """The file that holds a table's rows, and how many blocks it has now."""
    file = connection.execute(heap_file(schema)).fetchall()[0][0]
    return int(file), int(connection.execute(count_blocks(schema)).fetchall()[0][0])


def progress_of(connection: Connection, schema: TableSchema) -> Progress | None:
    """How far a table's filling has come, None where none goes on."""
    row = connection.execute(f"{_PROGRESS} {_OWN}", _key(schema)).fetchone()
    return None if row is None else _progress(row)


def save_progress(connection: Connection, schema: TableSchema, progress: Progress) -> None:
    """Keep how far a table's filling has come."""
    facts = {"stage": progress.stage, "file": progress.file, "next": progress.next_block, "end": progress.end_block}
    connection.execute(_MOVE, {**_key(schema), **facts})


def end_filling(connection: Connection, schema: TableSchema) -> None:
    """Forget a filling that is complete."""
    connection.execute(f"delete from cartridge_warp_metadata.rewrites where {_OWN}", _key(schema))


def rewrite_states(connection: Connection, schema: str) -> list[RewriteState]:
    """The rewrites that go on in a schema, by table name."""
    rows = connection.execute(_ALL, [schema]).fetchall()
    known = latest_schemas(connection, schema) if rows else {}
    return [
        state_of(its, _progress(row))
        for row in rows
        if (its := known.get(row.table_name)) is not None and its.rewritten
    ]


def state_of(schema: TableSchema, progress: Progress, *, is_waiting: bool = False) -> RewriteState:
    """A table's rewrite as others see it."""
    columns = tuple(column.name for column in schema.rewritten)
    return RewriteState(schema.table, columns, progress.share, is_waiting)


def _progress(row: Any) -> Progress:
    return Progress(row.stage, row.heap_file, row.next_block, row.end_block)


def _key(schema: TableSchema) -> dict[str, object]:
    return {"schema": schema.table.schema, "table": schema.table.name}
