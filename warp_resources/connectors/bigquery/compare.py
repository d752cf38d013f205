"""Composes the queries that compare staged rows with a table's rows; executes none."""

from __future__ import annotations

from collections.abc import Sequence

from warp_resources.connectors.bigquery.conversions import column_image, temporary_functions
from warp_resources.connectors.bigquery.merge import KEY, SEQUENCE, literal
from warp_resources.connectors.bigquery.narrowing import remade
from warp_resources.connectors.bigquery.session import quoted
from warp_resources.connectors.bigquery.staging import DELETE, ROW, Place
from warp_resources.connectors.bigquery.types import no_value
from warp_resources.model.tables import Column, TableId, TableSchema

PRESENT, REMAINING = "present", "remaining"


def make_seen(seen: str) -> str:
    """An empty table for the keys of the parts."""
    return f"create table {seen} (key_text string)"


def compare_staged(
    table: str, staging: str, stored: TableSchema, wanted: TableSchema, places: Sequence[Place], letters: str, seen: str
) -> str:
    """The staged rows that are missing or not the same, and the staged keys of deletes whose rows are still there.

    Notes the keys of the staged rows in ``seen``.

    Args:
        stored: the table as it is; ``wanted`` is what the rows were conformed to.
        letters: the table of dead letters; a row that a pending one holds whole is told as set aside.
    """
    live = _live(stored)
    return f"""{temporary_functions()}
insert into {seen} (key_text) select S._key from {staging} as S where S._op = '{ROW}';
select '{PRESENT}' as found, S._row as ordinal, T.{SEQUENCE} as sequence,
    (T.{KEY} is null or not {live}) as is_missing, S._key in ({_held(letters, stored.table)}) as is_aside
from {staging} as S left join {table} as T on T.{KEY} = S._key
where S._op = '{ROW}' and (T.{KEY} is null or not {live} or {_differs(stored, wanted, places)})
union all
select '{REMAINING}' as found, S._row as ordinal, T.{SEQUENCE} as sequence, false as is_missing, false as is_aside
from {staging} as S join {table} as T on T.{KEY} = S._key
where S._op = '{DELETE}' and {live}
order by found, ordinal"""


def surplus_rows(table: str, stored: TableSchema, seen: str, limit: int, *, since: int, latest: int) -> str:
    """Some of the rows whose keys are not noted; not those of commits after ``since``, up to ``latest``."""
    return f"""select T.{KEY} as key_text, T.{SEQUENCE} as sequence from {table} as T
left join {seen} as N on N.key_text = T.{KEY}
where N.key_text is null and {_live(stored)} and T.{SEQUENCE} not between {since + 1} and {latest}
order by T.{KEY} limit {limit}"""


def note_keys(seen: str) -> str:
    """Note keys, given as the parameter ``keys``."""
    return f"insert into {seen} (key_text) select key_text from unnest(@keys) as key_text"


def _live(schema: TableSchema) -> str:
    return f"(not ifnull(T.{quoted(schema.flag)}, false))" if schema.flag else "true"


def _held(letters: str, table: TableId) -> str:
    return (
        f"select key_text from {letters} where schema_name = {literal(table.schema)} and table_name ="
        f" {literal(table.name)} and status = 'pending' and column_name is null and key_text is not null"
    )


def _differs(stored: TableSchema, wanted: TableSchema, places: Sequence[Place]) -> str:
    brought = {its.column.stored: its.expression for its in places}
    tests = []
    for column in wanted.columns:
        # Rows that have the same key text have the same key.
        if column.name in wanted.key:
            continue
        nothing = no_value(column)
        here = column_image(column, _present(stored, column) or nothing)
        there = column_image(column, brought.get(column.stored, nothing))
        tests.append(f"{here} is distinct from {there}")
    return f"({' or '.join(tests)})" if tests else "false"


def _present(stored: TableSchema, wanted: Column) -> str | None:
    """What the table has in a column, as it would be once the column is of the wanted type."""
    known = stored.column(wanted.name)
    return None if known is None else remade(known, wanted, f"T.{quoted(known.stored)}")
