"""Records every version of a table's schema, and reads the latest back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.types.json import Jsonb

from warp_resources.connectors.postgresql.session import Connection
from warp_resources.model.batches import ConformedTable
from warp_resources.model.tables import (
    ChangeKind,
    Column,
    ColumnType,
    Former,
    Kind,
    Rewrite,
    SchemaChange,
    TableId,
    TableSchema,
)
from warp_resources.model.versions import SchemaVersion

_LATEST = """
select distinct on (table_name) table_name, version, columns
from cartridge_warp_metadata.schema_registry
where schema_name = %(schema)s and (%(table)s::text is null or table_name = %(table)s)
order by table_name, version desc
"""
_VERSIONS = """
select version, columns, changes, applied_at, run_id from cartridge_warp_metadata.schema_registry
where schema_name = %(schema)s and table_name = %(table)s order by version desc limit %(newest)s
"""
_INSERT = """
insert into cartridge_warp_metadata.schema_registry (schema_name, table_name, version, columns, changes, run_id)
values (%s, %s, %s, %s, %s, %s)
"""
_IS_STORED = """
select exists (
    select from pg_class as c join pg_namespace as n on n.oid = c.relnamespace where n.nspname = %s and c.relname = %s
)
"""
_NAME = """
insert into cartridge_warp_metadata.name_map (schema_name, table_name, column_name, stored_name, is_table)
values (%s, %s, %s, %s, %s)
on conflict (schema_name, table_name, column_name, is_table) do update set stored_name = excluded.stored_name
"""


def latest_schemas(connection: Connection, schema: str) -> dict[str, TableSchema]:
    """The latest version of each table's schema, by source table name."""
    rows = connection.execute(_LATEST, {"schema": schema, "table": None}).fetchall()
    return {row.table_name: _schema(TableId(schema, row.table_name), row.version, row.columns) for row in rows}


def latest_schema(connection: Connection, table: TableId) -> TableSchema | None:
    """The latest version of one table's schema, None where it was never made."""
    row = connection.execute(_LATEST, {"schema": table.schema, "table": table.name}).fetchone()
    return None if row is None else _schema(table, row.version, row.columns)


def schema_versions(connection: Connection, table: TableId, newest: int | None = None) -> list[SchemaVersion]:
    """The versions of a table's schema, all or the newest; oldest first."""
    parameters = {"schema": table.schema, "table": table.name, "newest": newest}
    rows = connection.execute(_VERSIONS, parameters).fetchall()
    return [
        SchemaVersion(
            schema=_schema(table, row.version, row.columns),
            changes=tuple(_read_change(facts) for facts in row.changes),
            applied_at=row.applied_at,
            run_id=row.run_id or "",
        )
        for row in reversed(rows)
    ]


def is_stored(connection: Connection, schema: TableSchema) -> bool:
    """Whether a table of that name exists, whoever made it."""
    row = connection.execute(_IS_STORED, [schema.stored_schema, schema.stored_table]).fetchone()
    return bool(row and row[0])


def register(connection: Connection, part: ConformedTable, run_id: str) -> None:
    """Add the version that a commit makes."""
    add_version(connection, part.schema, part.changes, run_id)


def add_version(connection: Connection, schema: TableSchema, made: Sequence[SchemaChange], run_id: str) -> None:
    """Add a version of a table's schema, and the names in it that could not be kept."""
    table = schema.table
    changes = [_change(change) for change in made]
    document = {
        "stored_schema": schema.stored_schema,
        "stored_table": schema.stored_table,
        "key": list(schema.key),
        "columns": [_column(column) for column in schema.columns],
        **({"flag": schema.flag, "is_soft": schema.is_soft} if schema.flag else {}),
        **({"overflowed": list(schema.overflowed)} if schema.overflowed else {}),
    }
    connection.execute(_INSERT, [table.schema, table.name, schema.version, Jsonb(document), Jsonb(changes), run_id])
    names = [] if schema.stored_table == table.name else [("", schema.stored_table, True)]
    changed = {change.after.name for change in made if change.after is not None}
    is_new = schema.version == 1
    renamed = {its.after.name for its in made if its.after is not None and its.kind is ChangeKind.RENAME_COLUMN}
    names += [
        (c.name, c.stored, False)
        for c in schema.columns
        if (c.stored != c.name and (is_new or c.name in changed)) or c.name in renamed
    ]
    for column_name, stored_name, is_table in names:
        connection.execute(_NAME, [table.schema, table.name, column_name, stored_name, is_table])


def _column(column: Column) -> dict[str, object]:
    facts = {"name": column.name, "stored": column.stored, **_type(column.type)}
    if column.family:
        facts["family"] = column.family
    if column.rewrite is not None:
        formers = [{"stored": former.stored, **_type(former.type)} for former in column.rewrite.formers]
        facts["rewrite"] = {"stored": column.rewrite.stored, "formers": formers}
    return facts


def _type(its: ColumnType) -> dict[str, object]:
    optional = {"exact": its.exact or None, "unit": its.unit, "precision": its.precision, "scale": its.scale}
    return {"kind": str(its.kind)} | {name: value for name, value in optional.items() if value is not None}


def _change(change: SchemaChange) -> dict[str, object]:
    return {
        "kind": str(change.kind),
        "column": change.after.name if change.after else None,
        "before": _column(change.before) if change.before else None,
        "after": _column(change.after) if change.after else None,
        "reason": change.reason,
    }


def _read_change(facts: Mapping[str, Any]) -> SchemaChange:
    before, after = facts.get("before"), facts.get("after")
    return SchemaChange(
        kind=ChangeKind(facts["kind"]),
        after=_read_column(after) if after else None,
        before=_read_column(before) if before else None,
        reason=facts.get("reason", ""),
    )


def _schema(table: TableId, version: int, document: Mapping[str, Any]) -> TableSchema:
    return TableSchema(
        table=table,
        stored_schema=document["stored_schema"],
        stored_table=document["stored_table"],
        columns=tuple(_read_column(column) for column in document["columns"]),
        key=tuple(document["key"]),
        version=version,
        flag=document.get("flag", ""),
        is_soft=document.get("is_soft", False),
        overflowed=tuple(document.get("overflowed", ())),
    )


def _read_column(facts: Mapping[str, Any]) -> Column:
    return Column(
        name=facts["name"],
        stored=facts["stored"],
        type=_read_type(facts),
        family=facts.get("family", ""),
        rewrite=_read_rewrite(facts["rewrite"]) if "rewrite" in facts else None,
    )


def _read_type(facts: Mapping[str, Any]) -> ColumnType:
    return ColumnType(
        kind=Kind(facts["kind"]),
        exact=facts.get("exact", False),
        unit=facts.get("unit"),
        precision=facts.get("precision"),
        scale=facts.get("scale"),
    )


def _read_rewrite(facts: Mapping[str, Any]) -> Rewrite:
    formers = tuple(Former(former["stored"], _read_type(former)) for former in facts["formers"])
    return Rewrite(facts["stored"], formers)
