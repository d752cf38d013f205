"""The text of the statements that keep deleted rows, and of those that narrow a column."""

from __future__ import annotations

from dataclasses import replace

from psycopg import sql

from tests.unit.connectors.postgresql.test_statements import ID, NOTE, PRICE, SCHEMA, STAGING, TARGET, text
from warp_resources.connectors.postgresql.ddl import alter_table, create_table, rename_flag
from warp_resources.connectors.postgresql.merge import Rule, Target, delete_rows, merge_rows
from warp_resources.connectors.postgresql.narrowing import alter_types, count_refused, parsers
from warp_resources.connectors.postgresql.stale import Stale, any_stale, delete_stale
from warp_resources.model.tables import ChangeKind, Column, ColumnType, Kind, SchemaChange
from warp_resources.model.versions import ColumnStep

SOFT = replace(SCHEMA, flag="is_deleted", is_soft=True)
ONCE_SOFT = replace(SOFT, is_soft=False)
KEYS = Target(SOFT, (ID,), STAGING)
FLAG, GONE = (Column(name, name, ColumnType(Kind.BOOL)) for name in ("is_deleted", "gone"))


# SPEC: X2
def test_the_flag_is_made_renamed_and_left_alone() -> None:
    assert '"_warp_synced_at" timestamp with time zone not null, "is_deleted" boolean not null default false,' in text(
        create_table(SOFT)
    )
    made = SchemaChange(ChangeKind.DELETION, after=FLAG)
    assert text(alter_table(SOFT, [made])) == (
        'alter table "shop"."items" add column "is_deleted" boolean not null default false'
    )
    renamed = SchemaChange(ChangeKind.DELETION, before=FLAG, after=GONE)
    assert alter_table(SOFT, [renamed]) is None
    assert text(rename_flag(SOFT, [renamed])) == 'alter table "shop"."items" rename column "is_deleted" to "gone"'
    kept = SchemaChange(ChangeKind.DELETION, before=FLAG, after=FLAG)
    assert (alter_table(SOFT, [kept]), rename_flag(SOFT, [kept])) == (None, None)


# SPEC: X2, T6
def test_a_soft_delete_updates_live_rows() -> None:
    statement = text(delete_rows(KEYS, 1, sequence=7, position=None))
    assert statement.startswith(
        'with gone as (update "shop"."items" as t set "is_deleted" = true, "_warp_sequence" = 7, '
        '"_warp_synced_at" = now() from "pg_temp"."_warp_staging_1" as s where t."_id" = s."c0" '
        'and not t."is_deleted" returning s."c1" as key_text)'
    )
    assert "NULL, 'soft', 'source', 7 from gone" in statement
    hard = text(delete_rows(replace(KEYS, schema=ONCE_SOFT), 1, sequence=7, position=None))
    assert 'delete from "shop"."items" as t using' in hard
    assert 'and not t."is_deleted" returning' in hard
    assert "'hard'" in hard


# SPEC: X2
def test_an_upsert_revives_and_a_tick_sees_the_flag() -> None:
    for schema in (SOFT, ONCE_SOFT):
        target = replace(TARGET, schema=schema)
        assert '"is_deleted" = false when not matched' in text(merge_rows(target, Rule.ALWAYS, sequence=7))
        tick = text(merge_rows(target, Rule.IF_DIFFERENT, sequence=7))
        assert 't."is_deleted")::record *<> row(' in tick
        assert "false)::record then update" in tick


# SPEC: X2, M5
def test_stale_rows_are_flagged_once() -> None:
    stale = Stale(SOFT, sql.SQL("t._id").format(), sql.SQL("select").format(), 5, 0, 256)
    assert text(any_stale(stale)).endswith('and not t."is_deleted")')
    statement = text(delete_stale(stale, sequence=7))
    assert statement.startswith('with gone as (update "shop"."items" as t set "is_deleted" = true, ')
    assert 'and not t."is_deleted" returning t._id as key_text)' in statement


# SPEC: 13
def test_a_column_is_narrowed_through_its_canonical_text() -> None:
    steps = [
        ColumnStep(replace(PRICE, type=ColumnType(Kind.TEXT)), PRICE),
        ColumnStep(NOTE, replace(NOTE, type=ColumnType(Kind.INT64))),
    ]
    assert text(parsers(steps)).splitlines()[0] == (
        'create or replace function "pg_temp"."warp_as_numeric(18,4)"(v text) returns numeric(18,4) '
        "language plpgsql immutable as $$ begin return v::numeric(18,4);"
        " exception when others then return null; end $$;"
    )
    assert text(alter_types(SCHEMA, steps[:1])) == (
        'alter table "shop"."items" alter column "price" type numeric(18,4)'
        ' using "pg_temp"."warp_as_numeric(18,4)"("price")'
    )
    counted = text(count_refused(SCHEMA, steps))
    assert 'pg_temp.warp_numeric_text("pg_temp"."warp_as_numeric(18,4)"("price")) = "price"' in counted
    assert """case when jsonb_typeof("note") in ('string', 'number', 'boolean') then "note" #>> '{}' end""" in counted
