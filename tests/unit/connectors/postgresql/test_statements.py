"""The text of DDL and MERGE, as PostgreSQL gets it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from psycopg import sql

from warp_resources.connectors.postgresql.conversions import compound_key
from warp_resources.connectors.postgresql.ddl import alter_table, create_schema, create_table
from warp_resources.connectors.postgresql.merge import (
    Rule,
    Target,
    bury_keys,
    delete_rows,
    merge_rows,
    skipped_rows,
    unstage_rows,
)
from warp_resources.connectors.postgresql.staging import StagingTable, create_staging
from warp_resources.connectors.postgresql.stale import Stale, any_stale, count_blocks, delete_stale
from warp_resources.errors import OperatorError
from warp_resources.model.tables import ChangeKind, Column, ColumnType, Kind, SchemaChange, TableId, TableSchema

ID = Column("_id", "_id", ColumnType(Kind.TEXT), family="objectId")
PRICE = Column("price", "price", ColumnType(Kind.NUMERIC, precision=18, scale=4))
NOTE = Column("note", "note", ColumnType(Kind.JSON))
SCHEMA = TableSchema(TableId("shop", "items"), "shop", "items", (ID, PRICE, NOTE), ("_id",), 1)
STAGING = sql.Identifier("pg_temp", "_warp_staging_1")
TARGET = Target(SCHEMA, (ID, PRICE), STAGING)
NAMES = ['a"b', "a`b", "spaces inside", "emoji 😀", "100%s", '"; drop table x; --']


def text(statement: sql.Composed | None) -> str:
    assert statement is not None
    return statement.as_string()


def test_create_table() -> None:
    assert text(create_table(SCHEMA)) == (
        'create table "shop"."items" ("_id" text collate "C" not null, "price" numeric(18,4), "note" jsonb, '
        '"_warp_sequence" bigint not null, "_warp_synced_at" timestamp with time zone not null, primary key ("_id"))'
    )
    assert text(create_schema('a"b')) == 'create schema "a""b"'


def test_the_key_keeps_its_own_order() -> None:
    schema = replace(SCHEMA, key=("note", "_id"))
    assert text(create_table(schema)).endswith('primary key ("note", "_id"))')


def test_alter_table() -> None:
    changes = (
        SchemaChange(ChangeKind.ADD_COLUMN, after=Column("new", "new", ColumnType(Kind.TIMESTAMP_TZ, unit="ms"))),
        SchemaChange(ChangeKind.ALTER_TYPE, before=PRICE, after=replace(PRICE, type=ColumnType(Kind.TEXT))),
        SchemaChange(ChangeKind.BOUNDS, before=NOTE, after=NOTE),
        SchemaChange(ChangeKind.KEY_TO_JSON, before=ID, after=replace(ID, family="mixed")),
    )
    assert text(alter_table(SCHEMA, changes)) == (
        'alter table "shop"."items" add column "new" timestamp with time zone, '
        'alter column "price" type text using pg_temp.warp_numeric_text("price"), '
        'alter column "_id" type text collate "C" using \'{"$oid": "\' || "_id" || \'"}\''
    )


def test_a_change_of_bounds_alters_nothing() -> None:
    before, after = ColumnType(Kind.TIMESTAMP_TZ, unit="ms"), ColumnType(Kind.TIMESTAMP_TZ, unit="us")
    change = SchemaChange(ChangeKind.ALTER_TYPE, before=Column("t", "t", before), after=Column("t", "t", after))
    assert alter_table(SCHEMA, [SchemaChange(ChangeKind.BOUNDS, before=NOTE, after=NOTE), change]) is None


def test_a_step_that_loses_is_refused() -> None:
    change = SchemaChange(ChangeKind.ALTER_TYPE, before=NOTE, after=replace(NOTE, type=ColumnType(Kind.INT32)))
    with pytest.raises(OperatorError, match="without losing values"):
        alter_table(SCHEMA, [change])


def test_merge_of_a_stream() -> None:
    assert text(merge_rows(TARGET, Rule.ALWAYS, sequence=7)) == (
        'merge into "shop"."items" as t using "pg_temp"."_warp_staging_1" as s on t."_id" = s."c0" '
        'when matched then update set "price" = s."c1"::numeric(18,4), "note" = null, '
        '"_warp_sequence" = 7, "_warp_synced_at" = now() '
        'when not matched then insert ("_id", "price", "_warp_sequence", "_warp_synced_at") '
        'values (s."c0", s."c1"::numeric(18,4), 7, now())'
    )


def test_merge_of_a_chunk_spares_newer_rows() -> None:
    merged = text(merge_rows(TARGET, Rule.UNLESS_NEWER, sequence=7, basis=5))
    assert 'when matched and t."_warp_sequence" <= 5 then update set' in merged
    assert text(skipped_rows(TARGET, 2, basis=5)) == (
        'select s."c2" from "pg_temp"."_warp_staging_1" as s join "shop"."items" as t on t."_id" = s."c0" '
        'where t."_warp_sequence" > 5'
    )


def test_merge_of_a_tick_spares_equal_rows() -> None:
    merged = text(merge_rows(TARGET, Rule.IF_DIFFERENT, sequence=7))
    assert (
        'when matched and row(t."price"::numeric(18,4), t."note"::jsonb)::record'
        ' *<> row(s."c1"::numeric(18,4), null::jsonb)::record then'
    ) in merged
    only_key = Target(replace(SCHEMA, columns=(ID,)), (ID,), STAGING)
    assert "when matched and false then" in text(merge_rows(only_key, Rule.IF_DIFFERENT, sequence=7))


def test_deletes_are_logged() -> None:
    assert text(delete_rows(Target(SCHEMA, (ID,), STAGING), 1, sequence=7, position={"t": 1})) == (
        'with gone as (delete from "shop"."items" as t using "pg_temp"."_warp_staging_1" as s '
        'where t."_id" = s."c0" returning s."c1" as key_text) '
        "insert into cartridge_warp_metadata.deletion_log "
        "(schema_name, table_name, primary_key, position, strategy, cause, sequence) "
        """select 'shop', 'items', '{"_id": ' || key_text || '}', '{"t": 1}'::jsonb, 'hard', 'source', 7 from gone"""
    )


def test_tombstones_keep_the_latest_sequence() -> None:
    buried = text(bury_keys(SCHEMA, STAGING, 1, sequence=7))
    assert "select 'shop', 'items', sha256(convert_to(s.\"c1\", 'UTF8')), s.\"c1\", 7" in buried
    assert buried.endswith("do update set sequence = excluded.sequence where t.sequence < excluded.sequence")


def test_stale_rows_are_found_block_by_block() -> None:
    stale = Stale(SCHEMA, compound_key([ID], "t"), sql.SQL("select 'k'").format(), 3, 256, 512)
    assert text(any_stale(stale)) == (
        "select exists (select from \"shop\".\"items\" as t where t.ctid >= '(256,0)'::tid and t.ctid < '(512,0)'::tid "
        'and t."_warp_sequence" <= 3 and \'{"$oid": "\' || t."_id" || \'"}\' not in (select \'k\'))'
    )
    assert "'hard', 'stale', 9 from gone" in text(delete_stale(stale, sequence=9))
    assert '\'"shop"."items"\'::regclass' in text(count_blocks(SCHEMA))


def test_staging() -> None:
    assert text(create_staging(StagingTable("s1", ("bigint", "jsonb")))) == (
        'create temporary table "s1" ("c0" bigint, "c1" jsonb)'
    )
    assert text(unstage_rows(STAGING, 2, [1, 5])).startswith(
        'delete from "pg_temp"."_warp_staging_1" where "c2" = any('
    )


@pytest.mark.parametrize("name", NAMES)
def test_names_are_quoted_everywhere(name: str) -> None:
    # SPEC: Z4
    key, value = Column(name, name, ColumnType(Kind.INT64)), Column("v", f"{name}2", ColumnType(Kind.TEXT))
    schema = TableSchema(TableId(name, name), name, f"{name}3", (key, value), (name,), 1)
    target = Target(schema, (key, value), STAGING)
    statements = [
        create_table(schema),
        alter_table(schema, [SchemaChange(ChangeKind.ADD_COLUMN, after=value)]),
        merge_rows(target, Rule.IF_DIFFERENT, sequence=1),
        delete_rows(target, 1, sequence=1, position=None),
    ]
    quoted = name.replace('"', '""')
    for statement in statements:
        bare = text(statement).replace(f'"{quoted}', "<")
        # What is left of the name stands in string literals only.
        assert quoted not in re.sub(r" ?E?'(?:[^'\\]|''|\\.)*'", "''", bare)
