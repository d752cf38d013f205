"""Composes the expressions that turn what a column holds into another type without losing a digit."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from psycopg import sql

from warp_resources.arrow.keys import BINARY, BOOL, DATE, DECIMAL, JSON, MIXED, NUMBER, OBJECT_ID, family_of
from warp_resources.arrow.keys import UUID as UUID_FAMILY
from warp_resources.connectors.postgresql.types import stored_type
from warp_resources.errors import OperatorError
from warp_resources.model.tables import Column, ColumnType, Kind

_INTEGERS = (Kind.INT16, Kind.INT32, Kind.INT64)
_FLOATS = (Kind.FLOAT32, Kind.DOUBLE)
_TEXTS = {
    Kind.BOOL: "{}::text",
    Kind.INT16: "{}::text",
    Kind.INT32: "{}::text",
    Kind.INT64: "{}::text",
    # A float32 reads as the double of its value.
    Kind.FLOAT32: "pg_temp.warp_double_text({}::double precision)",
    Kind.DOUBLE: "pg_temp.warp_double_text({})",
    Kind.NUMERIC: "pg_temp.warp_numeric_text({})",
    Kind.TEXT: "{}",
    Kind.BINARY: "translate(encode({}, 'base64'), E'\\n', '')",
    Kind.UUID: "{}::text",
    Kind.DATE: "pg_temp.warp_date_text({}::timestamp)",
    Kind.TIME: "pg_temp.warp_time_text({})",
    Kind.JSON: "{}::text",
}
# From which kinds a plain cast loses nothing, given the bounds that the lattice has proved.
_CASTS = {
    Kind.INT32: (Kind.INT16,),
    Kind.INT64: (Kind.INT16, Kind.INT32),
    Kind.DOUBLE: (*_INTEGERS, Kind.FLOAT32),
    Kind.FLOAT32: (Kind.INT16,),
    Kind.NUMERIC: (*_INTEGERS, Kind.NUMERIC),
}


def temporary_functions() -> bytes:
    """The statements that make the functions used below, in the session's temporary schema."""
    return files(__package__).joinpath("functions.sql").read_bytes()


def canonical_text(column: ColumnType, value: sql.Composable) -> sql.Composed:
    """The canonical text (SPEC 5) of a stored value."""
    if column.kind in (Kind.TIMESTAMP_TZ, Kind.TIMESTAMP):
        has_zone = column.kind is Kind.TIMESTAMP_TZ
        plain = sql.SQL("{} at time zone 'UTC'").format(value) if has_zone else value
        return sql.SQL("pg_temp.warp_timestamp_text({}, {}, {})").format(
            plain, sql.SQL("true" if column.unit == "ms" else "false"), sql.SQL("'Z'" if has_zone else "''")
        )
    return sql.SQL(_TEXTS[column.kind]).format(value)


def key_json(column: Column, value: sql.Composable) -> sql.Composed:
    """A stored key as relaxed extended JSON, as ``arrow.keys.key_text`` spells it."""
    its, family = column.type, family_of(column.type, column.family)
    if family in (JSON, MIXED):
        return sql.SQL("{}::text").format(value)
    if family == DATE and its.kind is Kind.TIMESTAMP_TZ and its.unit == "ms":
        return sql.SQL("pg_temp.warp_date_key({})").format(value)
    if family == DATE:
        return sql.SQL("'{{\"$date\": \"' || {} || '\"}}'").format(canonical_text(its, value))
    if family == UUID_FAMILY:
        return sql.SQL("pg_temp.warp_binary_key(uuid_send({}), '04')").format(value)
    if family.startswith(BINARY):
        subtype = sql.Literal(family.removeprefix(BINARY))
        return sql.SQL("pg_temp.warp_binary_key({}, {})").format(value, subtype)
    if family == NUMBER:
        return sql.SQL("pg_temp.warp_number_key({})").format(_key_numeric(its, value))
    if family == DECIMAL:
        return sql.SQL("pg_temp.warp_decimal_key({})").format(value)
    if family == OBJECT_ID:
        return sql.SQL("'{{\"$oid\": \"' || {} || '\"}}'").format(value)
    if family == BOOL:
        return sql.SQL("{}::text").format(value)
    return sql.SQL("pg_temp.warp_string_key({})").format(canonical_text(its, value))


def compound_key(columns: Sequence[Column], alias: str) -> sql.Composed:
    """The key of a row as one text, as ``arrow.keys.compound`` joins it."""
    parts = [key_json(column, sql.SQL(f"{alias}.{{}}").format(sql.Identifier(column.stored))) for column in columns]
    if len(parts) == 1:
        return parts[0]
    return sql.SQL("'[' || {} || ']'").format(sql.SQL(" || ', ' || ").join(parts))


def converted(before: ColumnType, after: ColumnType, value: sql.Composable, *, is_key: bool = False) -> sql.Composable:
    """A stored value in the type that its column widens to; of a number that is a key the value counts, not its text.

    Raises:
        OperatorError: the lattice never asks for this step.
    """
    if after.kind is Kind.TEXT:
        return canonical_text(before, value)
    if after.kind is Kind.JSON:
        return _canonical_json(before, value)
    if after.kind is Kind.NUMERIC and before.kind in _FLOATS:
        number = _key_numeric(before, value) if is_key else _numeric(before, value)
        return sql.SQL("{}::{}").format(number, sql.SQL(stored_type(after)))
    if before.kind in _CASTS.get(after.kind, ()):
        return sql.SQL("{}::{}").format(value, sql.SQL(stored_type(after)))
    raise OperatorError(
        "A column cannot be altered this way without losing values",
        remedy="Report it with the two types",
        before=before,
        after=after,
    )


def _canonical_json(column: ColumnType, value: sql.Composable) -> sql.Composable:
    """A stored value as canonical JSON, as ``arrow.json`` spells it; jsonb has no negative zero."""
    if column.kind is Kind.JSON:
        return value
    if column.kind in (*_INTEGERS, Kind.BOOL):
        return sql.SQL("to_jsonb({})").format(value)
    text = canonical_text(column, value)
    if column.kind in (*_FLOATS, Kind.NUMERIC):
        return sql.SQL("pg_temp.warp_number_json({})").format(text)
    return sql.SQL("to_jsonb({})").format(text)


def _key_numeric(column: ColumnType, value: sql.Composable) -> sql.Composed:
    if column.kind in _FLOATS:
        return sql.SQL("pg_temp.warp_double_key({}::double precision)").format(value)
    return sql.SQL("{}::numeric").format(value)


def _numeric(column: ColumnType, value: sql.Composable) -> sql.Composed:
    # PostgreSQL's own cast of a double to numeric keeps 15 digits only.
    texts = {
        Kind.DOUBLE: "pg_temp.warp_double_numeric({})",
        Kind.FLOAT32: "pg_temp.warp_double_numeric({}::double precision)",
    }
    return sql.SQL(texts.get(column.kind, "{}::numeric")).format(value)
