"""Composes the statements that carry staged rows and deletes into a table; executes none.

Values are literals here, since psycopg takes a ``%`` in a quoted identifier for a placeholder as soon as a
statement has parameters.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from psycopg import sql
from psycopg.types.json import Jsonb

from warp_resources.connectors.postgresql.types import staging_type, stored_type
from warp_resources.model.positions import Position
from warp_resources.model.tables import Column, Kind, TableSchema

SEQUENCE, SYNCED_AT = "_warp_sequence", "_warp_synced_at"
SOURCE = "source"
"""Why a row went: the source deleted it."""
_EQUAL_UNLIKE = (Kind.FLOAT32, Kind.DOUBLE, Kind.NUMERIC)
"""Kinds of which values may be equal and yet not the same, as 1.1 and 1.10 are."""


class Rule(StrEnum):
    """Which rows that are there already a merge overwrites."""

    ALWAYS = "always"
    UNLESS_NEWER = "unless_newer"  # than the basis of a chunk
    IF_DIFFERENT = "if_different"


@dataclass(frozen=True, slots=True)
class Target:
    """A table and how a staging table, or a query of one, feeds it: column i of ``columns`` comes from ``c<i>``."""

    schema: TableSchema
    columns: tuple[Column, ...]
    staging: sql.Identifier | sql.Composed

    @property
    def table(self) -> sql.Identifier:
        return table_identifier(self.schema)

    @property
    def missing(self) -> tuple[Column, ...]:
        """The table's columns that the batch does not bring."""
        brought = {column.stored for column in self.columns}
        return tuple(column for column in self.schema.columns if column.stored not in brought)


def table_identifier(schema: TableSchema) -> sql.Identifier:
    """The one spelling of a stored table's name in a statement."""
    return sql.Identifier(schema.stored_schema, schema.stored_table)


def merge_rows(target: Target, rule: Rule, *, sequence: int | sql.Composed, basis: int = 0) -> sql.Composed:
    """Upsert the staged rows, with null in the columns that they lack; ``sequence``: see also ``row_stamps``.

    Safe to repeat: the same rows give the same table. Needs each key at most once in staging.
    """
    stamp = sequence if isinstance(sequence, sql.Composed) else sql.Literal(sequence)
    parts = [
        sql.SQL("merge into {} as t using {} as s on {}").format(target.table, target.staging, same_key(target)),
        sql.SQL("when matched{} then update set {}").format(
            _condition(target, rule, basis), _assignments(target, stamp)
        ),
        sql.SQL("when not matched then insert ({}) values ({})").format(_names(target), _values(target, stamp)),
    ]
    return sql.SQL(" ").join(parts)


def needs_merge(target: Target, rule: Rule, *, basis: int = 0) -> sql.Composed:
    """Whether a merge would insert or overwrite a row for the staged row ``s``."""
    return sql.SQL("not exists (select from {} as t where {} and not (true{}))").format(
        target.table, same_key(target), _condition(target, rule, basis)
    )


def skipped_rows(target: Target, ordinal: int, *, basis: int) -> sql.Composed:
    """The ordinals of the staged rows that ``Rule.UNLESS_NEWER`` leaves out."""
    return sql.SQL("select s.{} from {} as s join {} as t on {} where t.{} > {}").format(
        sql.Identifier(f"c{ordinal}"),
        target.staging,
        target.table,
        same_key(target),
        sql.Identifier(SEQUENCE),
        sql.Literal(basis),
    )


def found_rows(target: Target, extra: int) -> sql.Composed:
    """The staged rows or deletes of keys that have a row: what ``c<extra>`` holds, and the row's sequence."""
    return sql.SQL("select s.{}, t.{} from {} as s join {} as t on {}").format(
        sql.Identifier(f"c{extra}"), sql.Identifier(SEQUENCE), target.staging, target.table, same_key(target)
    )


def row_stamps(ordinal: int, sequences: Sequence[int]) -> sql.Composed:
    """A sequence for each staged row, by its ordinal, where they are not all to carry the same."""
    return sql.SQL("({}::bigint[])[s.{} + 1]").format(
        sql.Literal("{" + ",".join(map(str, sequences)) + "}"), sql.Identifier(f"c{ordinal}")
    )


def unstage_rows(staging: sql.Identifier | sql.Composed, ordinal: int, rows: Sequence[int]) -> sql.Composed:
    """Take rows out of staging again, by their ordinals."""
    return sql.SQL("delete from {} where {} = any({})").format(
        staging, sql.Identifier(f"c{ordinal}"), sql.Literal(list(rows))
    )


def delete_rows(
    target: Target,
    key_text: int,
    *,
    sequence: int,
    position: Position | None,
    cause: str = SOURCE,
    basis: int | None = None,
) -> sql.Composed:
    """Delete or flag the staged keys and log those that were there, with what made them go.

    Safe to repeat: a key that is gone, or flagged, is not logged again. With a ``basis``, rows that are newer stay.
    """
    condition = same_key(target)
    if basis is not None:
        condition = sql.SQL("{} and t.{} <= {}").format(condition, sql.Identifier(SEQUENCE), sql.Literal(basis))
    deletion = removal(
        target.schema,
        staging=target.staging,
        condition=condition,
        key_text=sql.SQL("s.{}").format(sql.Identifier(f"c{key_text}")),
        sequence=sequence,
    )
    return logged(deletion, target.schema, cause=cause, sequence=sequence, position=position)


def removal(
    schema: TableSchema,
    *,
    condition: sql.Composed,
    key_text: sql.Composed,
    sequence: int,
    staging: sql.Identifier | sql.Composed | None = None,
) -> sql.Composed:
    """Remove or flag the live rows ``t`` that meet a condition, with their keys as ``key_text``."""
    table = table_identifier(schema)
    if schema.flag:
        condition = sql.SQL("{} and {}").format(condition, is_live(schema))
    if schema.is_soft:
        source = sql.SQL(" from {} as s").format(staging) if staging else sql.SQL("")
        return sql.SQL("update {} as t set {} = true, {} = {}, {} = now(){} where {} returning {} as key_text").format(
            table,
            sql.Identifier(schema.flag),
            sql.Identifier(SEQUENCE),
            sql.Literal(sequence),
            sql.Identifier(SYNCED_AT),
            source,
            condition,
            key_text,
        )
    source = sql.SQL(" using {} as s").format(staging) if staging else sql.SQL("")
    return sql.SQL("delete from {} as t{} where {} returning {} as key_text").format(table, source, condition, key_text)


def is_live(schema: TableSchema, alias: str = "t.") -> sql.Composed:
    """Whether a row counts: it is not flagged as deleted."""
    if not schema.flag:
        return sql.SQL("true").format()
    return sql.SQL("not {}{}").format(sql.SQL(alias), sql.Identifier(schema.flag))


def logged(
    deletion: sql.Composed, schema: TableSchema, *, cause: str, sequence: int, position: Position | None
) -> sql.Composed:
    """A deletion that returns ``key_text``, with a row in ``deletion_log`` for each."""
    return sql.SQL(
        "with gone as ({deletion}) insert into cartridge_warp_metadata.deletion_log"
        " (schema_name, table_name, primary_key, position, strategy, cause, sequence)"
        " select {schema_name}, {table_name}, {key}, {position}, {strategy}, {cause}, {sequence} from gone"
    ).format(
        deletion=deletion,
        schema_name=sql.Literal(schema.table.schema),
        table_name=sql.Literal(schema.table.name),
        key=key_object(schema),
        position=sql.Literal(None if position is None else Jsonb(position)),
        strategy=sql.Literal("soft" if schema.is_soft else "hard"),
        cause=sql.Literal(cause),
        sequence=sql.Literal(sequence),
    )


def bury_keys(
    schema: TableSchema, staging: sql.Identifier | sql.Composed, key_text: int, *, sequence: int
) -> sql.Composed:
    """Write a tombstone for each staged key, whether or not a row was there.

    Safe to repeat: the latest sequence stays.
    """
    return sql.SQL(
        "insert into cartridge_warp_metadata.tombstones as t (schema_name, table_name, digest, key_text, sequence)"
        " select {schema_name}, {table_name}, sha256(convert_to(s.{key}, 'UTF8')), s.{key}, {sequence}"
        " from {staging} as s"
        " on conflict (schema_name, table_name, digest) do update set sequence = excluded.sequence"
        " where t.sequence < excluded.sequence"
    ).format(
        schema_name=sql.Literal(schema.table.schema),
        table_name=sql.Literal(schema.table.name),
        key=sql.Identifier(f"c{key_text}"),
        sequence=sql.Literal(sequence),
        staging=staging,
    )


def key_object(schema: TableSchema) -> sql.Composed:
    """``key_text`` as a JSON object by source names; a compound key's text is a JSON array."""
    names = [json.dumps(name) for name in schema.key]
    if len(names) == 1:
        return sql.SQL("{} || key_text || '}}'").format(sql.Literal(f"{{{names[0]}: "))
    return sql.SQL(
        "(select '{{' || string_agg(n.name || ': ' || e.value::text, ', ' order by e.turn) || '}}'"
        " from json_array_elements(key_text::json) with ordinality as e (value, turn)"
        " join unnest({}::text[]) with ordinality as n (name, turn) on n.turn = e.turn)"
    ).format(sql.Literal(names))


def same_key(target: Target) -> sql.Composed:
    """Whether the row ``t`` has the key of the staged row ``s``."""
    tests = [
        sql.SQL("t.{} = {}").format(sql.Identifier(column.stored), staged_value(index, column))
        for index, column in enumerate(target.columns)
        if column.name in target.schema.key
    ]
    return sql.SQL(" and ").join(tests)


def staged_value(index: int, column: Column, alias: str = "s") -> sql.Composable:
    """A value of a staged row, in the type of its column."""
    value = sql.SQL(f"{alias}.{{}}").format(sql.Identifier(f"c{index}"))
    stored = stored_type(column.type)
    return value if staging_type(column.type) == stored else sql.SQL("{}::{}").format(value, sql.SQL(stored))


def may_differ(schema: TableSchema, column: Column) -> bool:
    """Whether rows of the same key may have a column otherwise; of a key of numbers itself, the spelling."""
    return column.name not in schema.key or column.type.kind in _EQUAL_UNLIKE


def _others(target: Target) -> list[tuple[int, Column]]:
    return [(index, column) for index, column in enumerate(target.columns) if may_differ(target.schema, column)]


def _condition(target: Target, rule: Rule, basis: int) -> sql.Composable:
    if rule is Rule.UNLESS_NEWER:
        return sql.SQL(" and t.{} <= {}").format(sql.Identifier(SEQUENCE), sql.Literal(basis))
    if rule is Rule.ALWAYS:
        return sql.SQL("")
    # A column may be of a domain over its type by now, which is not comparable by image.
    here = [
        sql.SQL("t.{}::{}").format(sql.Identifier(c.stored), sql.SQL(stored_type(c.type)))
        for c in (*(c for _, c in _others(target)), *target.missing)
    ]
    there = [staged_value(index, column) for index, column in _others(target)]
    there += [sql.SQL("null::{}").format(sql.SQL(stored_type(c.type))) for c in target.missing]
    if target.schema.flag:
        # A row that is flagged as deleted is back.
        here.append(sql.SQL("t.{}").format(sql.Identifier(target.schema.flag)))
        there.append(sql.SQL("false"))
    if not here:
        return sql.SQL(" and false")
    # By image, not by value: 1.1 and 1.10 are equal, as 0 and -0 are, and yet not the same.
    return sql.SQL(" and row({})::record *<> row({})::record").format(_listed(here), _listed(there))


def _assignments(target: Target, stamp: sql.Composable) -> sql.Composed:
    pairs = [(column.stored, staged_value(index, column)) for index, column in _others(target)]
    pairs += [(column.stored, sql.SQL("null")) for column in target.missing]
    pairs += [(SEQUENCE, stamp), (SYNCED_AT, sql.SQL("now()"))]
    if target.schema.flag:
        pairs.append((target.schema.flag, sql.SQL("false")))
    return _listed([sql.SQL("{} = {}").format(sql.Identifier(name), value) for name, value in pairs])


def _names(target: Target) -> sql.Composed:
    return _listed([sql.Identifier(name) for name in (*(c.stored for c in target.columns), SEQUENCE, SYNCED_AT)])


def _values(target: Target, stamp: sql.Composable) -> sql.Composed:
    staged = [staged_value(index, column) for index, column in enumerate(target.columns)]
    return _listed([*staged, stamp, sql.SQL("now()")])


def _listed(parts: Sequence[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)
