"""Says how tables are partitioned and clustered, as far as the user has chosen it."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from warp_resources.connectors.bigquery.merge import KEY
from warp_resources.connectors.bigquery.options import BigQueryDestinationOptions
from warp_resources.connectors.bigquery.session import quoted
from warp_resources.connectors.bigquery.types import stored_type
from warp_resources.errors import TableFailure
from warp_resources.model.tables import Column, TableId, TableSchema

_PARTITIONS = {
    "DATE": {"day": "{0}", "month": "date_trunc({0}, month)", "year": "date_trunc({0}, year)"},
    "TIMESTAMP": {its: f"timestamp_trunc({{0}}, {its})" for its in ("hour", "day", "month", "year")},
    "DATETIME": {its: f"datetime_trunc({{0}}, {its})" for its in ("hour", "day", "month", "year")},
}
_CLUSTERABLE = {"BIGNUMERIC", "BOOL", "DATE", "DATETIME", "INT64", "NUMERIC", "STRING", "TIMESTAMP"}
"""Source: https://cloud.google.com/bigquery/docs/creating-clustered-tables#limitations"""


@dataclass(frozen=True, slots=True)
class TableLayout:
    """What the rows of a table are kept together by, and which columns are arrays where they are made as JSON.

    Columns as the source names them; empty means no choice.
    """

    partition_by: str = ""
    granularity: str = "day"
    cluster_by: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """The choices for all tables: the first whose glob over ``schema.table`` fits counts."""

    tables: tuple[tuple[str, TableLayout], ...] = ()

    def of(self, table: TableId) -> TableLayout:
        return next((its for glob, its in self.tables if fnmatchcase(str(table), glob)), TableLayout())


def layout_of(options: BigQueryDestinationOptions) -> Layout:
    """The layout that options ask for."""
    return Layout(
        tuple(
            (glob, TableLayout(its.partition_by or "", its.granularity, its.cluster_by, its.repeated))
            for glob, its in options.tables.items()
        )
    )


def partition_clause(schema: TableSchema, its: TableLayout) -> str:
    """What follows ``partition by``, empty where the table has no partitions.

    Raises:
        TableFailure: there is no such column, or none that BigQuery partitions by.
    """
    if not its.partition_by:
        return ""
    column = _named(schema, its.partition_by, "partition_by")
    forms = _PARTITIONS.get(stored_type(column.type), {})
    if its.granularity not in forms:
        raise TableFailure(
            f"A table cannot be partitioned by {its.granularity} of this column",
            remedy="Choose a date or time in destination.tables, with a granularity that it has",
            table=schema.table,
            column=column.name,
            type=stored_type(column.type),
            allowed=", ".join(forms) or None,
        )
    return forms[its.granularity].format(quoted(column.stored))


def cluster_columns(schema: TableSchema, its: TableLayout) -> list[str]:
    """The stored names of the columns that the table is clustered by.

    Raises:
        TableFailure: there is no such column, or none that BigQuery clusters by.
    """
    if not its.cluster_by:
        return [KEY]
    columns = [_named(schema, name, "cluster_by") for name in its.cluster_by]
    for column in columns:
        if stored_type(column.type) not in _CLUSTERABLE:
            raise TableFailure(
                "A table cannot be clustered by a column of this type",
                remedy="Choose another column for cluster_by in destination.tables",
                table=schema.table,
                column=column.name,
                type=stored_type(column.type),
            )
    return [column.stored for column in columns]


def _named(schema: TableSchema, name: str, option: str) -> Column:
    column = schema.column(name)
    if column is None:
        raise TableFailure(
            f"{option} names a column that the table does not begin with",
            remedy="Correct it in destination.tables, or set the column's type so that it is there from the start",
            table=schema.table,
            column=name,
            columns=", ".join(its.name for its in schema.columns[:20]),
        )
    return column
