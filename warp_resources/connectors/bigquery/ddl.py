"""Composes the statements that make and alter tables; executes none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from warp_resources.connectors.bigquery.conversions import negative_zero, temporary_functions
from warp_resources.connectors.bigquery.layout import TableLayout, cluster_columns, partition_clause
from warp_resources.connectors.bigquery.merge import KEY, SEQUENCE, SYNCED_AT
from warp_resources.connectors.bigquery.session import quoted
from warp_resources.connectors.bigquery.types import declared_type, stored_type
from warp_resources.model.tables import TableSchema

VERSION_LABEL = "cartridge_warp_version"
OWN_COLUMNS = {KEY: "STRING", SEQUENCE: "INT64", SYNCED_AT: "TIMESTAMP"}

_MOST_KEY_COLUMNS = 16
_KEY_TYPES = {"BIGNUMERIC", "BOOL", "DATE", "DATETIME", "INT64", "NUMERIC", "STRING", "TIMESTAMP"}
"""Source: https://cloud.google.com/bigquery/docs/primary-foreign-keys"""


def wanted_columns(schema: TableSchema) -> dict[str, str]:
    """All columns that a table is to have, with their types, by stored name."""
    columns = {column.stored: declared_type(column) for column in schema.columns}
    flag = {schema.flag: "BOOL"} if schema.flag else {}
    return columns | OWN_COLUMNS | flag


def primary_key(schema: TableSchema) -> tuple[str, ...]:
    """The columns of the key that BigQuery is told of for its plans; none where it takes no key of their types."""
    columns = [column for name in schema.key if (column := schema.column(name)) is not None]
    is_allowed = len(columns) <= _MOST_KEY_COLUMNS and all(stored_type(its.type) in _KEY_TYPES for its in columns)
    return tuple(column.stored for column in columns) if is_allowed else ()


def create_table(table: str, schema: TableSchema, layout: TableLayout) -> str:
    """Make a table unless there is one; it bears the version that it is of.

    Args:
        table: its full name, quoted, as everywhere below.

    Raises:
        TableFailure: the layout does not fit the table.
    """
    definitions = [
        f"{quoted(name)} {its}{' not null' if name in OWN_COLUMNS else ''}"
        for name, its in wanted_columns(schema).items()
    ]
    if primary_key(schema):
        definitions.append(f"primary key ({_listed(primary_key(schema))}) not enforced")
    partition = partition_clause(schema, layout)
    return (
        f"create table if not exists {table} ({', '.join(definitions)})"
        + (f" partition by {partition}" if partition else "")
        + f" cluster by {_listed(cluster_columns(schema, layout))}"
        + f" options (labels = [('{VERSION_LABEL}', '{schema.version}')])"
    )


def add_columns(table: str, columns: Iterable[tuple[str, str]]) -> str:
    """Add those of the columns, given with their types, that are missing."""
    return f"alter table {table} " + ", ".join(
        f"add column if not exists {quoted(name)} {its}" for name, its in columns
    )


def widen_column(table: str, name: str, its: str) -> str:
    """Give a column another type where ``conversions.is_widening`` says so; again does nothing."""
    return f"alter table {table} alter column {quoted(name)} set data type {its}"


def relax_column(table: str, name: str) -> str:
    """Allow nulls in a column."""
    return f"alter table {table} alter column {quoted(name)} drop not null"


def drop_columns(table: str, names: Iterable[str]) -> str:
    """Drop those of the columns that are there."""
    return f"alter table {table} " + ", ".join(f"drop column if exists {quoted(name)}" for name in names)


def rename_columns(table: str, pairs: Iterable[tuple[str, str]]) -> str:
    """Give columns other names, one after the other but as one step for whoever reads the table."""
    return f"alter table {table} " + ", ".join(
        f"rename column {quoted(before)} to {quoted(after)}" for before, after in pairs
    )


def fill_columns(table: str, columns: Sequence[tuple[str, str, str]]) -> str:
    """Put the converted values of columns into others; again does what is left. What is left over is counted.

    Args:
        columns: the new name of each, whether a row has a value to bring, and the expression of that; the answer has
            a number for each.
    """
    left = [f"(T.{quoted(new)} is null and {present})" for new, present, _ in columns]
    filled = [f"{quoted(new)} = if({present}, {its}, null)" for new, present, its in columns]
    counted = [f"countif({its}) as left_over{number}" for number, its in enumerate(left)]
    return (
        f"{temporary_functions()}\nupdate {table} as T set {', '.join(filled)} where {' or '.join(left)};\n"
        f"select {', '.join(counted)} from {table} as T;"
    )


def count_unfit(table: str, columns: Sequence[tuple[str, str]]) -> str:
    """How many values of columns have no counterpart, a number for each.

    Args:
        columns: whether a row has a value to bring, and the expression of that.
    """
    counted = [f"countif({present} and ({its}) is null) as unfit{at}" for at, (present, its) in enumerate(columns)]
    return f"{temporary_functions()}\nselect {', '.join(counted)} from {table} as T;"


def fill_flag(table: str, name: str) -> str:
    """Mark the rows that were there before the column as not deleted."""
    return f"update {table} set {quoted(name)} = false where {quoted(name)} is null"


def count_values(table: str, name: str, *, is_array: bool = False) -> str:
    """How many rows have a value in a column; an array is never null."""
    has_value = f"array_length({quoted(name)}) > 0" if is_array else f"{quoted(name)} is not null"
    return f"select count(*) as found from {table} where {has_value}"


def count_rows(table: str) -> str:
    """How many rows a table has."""
    return f"select count(*) as found from {table}"


def negative_zeros(table: str, name: str, most_keys: int) -> str:
    """How many zeros with a minus sign a column of doubles has, and the keys of some of their rows."""
    return (
        f"select count(*) as found, array_agg({KEY} order by {KEY} limit {most_keys}) as keys_found"
        f" from {table} where {negative_zero(quoted(name))}"
    )


def drop_primary_key(table: str) -> str:
    return f"alter table {table} drop primary key if exists"


def add_primary_key(table: str, columns: Sequence[str]) -> str:
    return f"alter table {table} add primary key ({_listed(columns)}) not enforced"


def age_rows(table: str) -> str:
    """Make the rows of a table older than any commit to come."""
    return f"update {table} set {quoted(SEQUENCE)} = 0 where {quoted(SEQUENCE)} <> 0"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(quoted, names))
