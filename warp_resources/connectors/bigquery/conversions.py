"""Composes the expressions that turn what a column holds into another type without losing a digit."""

from __future__ import annotations

from importlib.resources import files

from warp_resources.arrow.lattice import FLOATS, INTEGERS
from warp_resources.connectors.bigquery.types import stored_type
from warp_resources.errors import OperatorError
from warp_resources.model.tables import Column, ColumnType, Kind

_TEXTS = {
    Kind.BOOL: "cast({} as string)",
    Kind.INT16: "cast({} as string)",
    Kind.INT32: "cast({} as string)",
    Kind.INT64: "cast({} as string)",
    Kind.FLOAT32: "warp_double_text({})",
    Kind.DOUBLE: "warp_double_text({})",
    Kind.TEXT: "{}",
    Kind.BINARY: "to_base64({})",
    Kind.UUID: "{}",
    Kind.DATE: "format_date('%E4Y-%m-%d', {})",
    Kind.TIME: "warp_time_text({})",
    Kind.JSON: "to_json_string({})",
}
_KEY_STRING = r'"(?:[^"\\]|\\.)*"'
_KEY_PART = rf'(?:{_KEY_STRING}|\{{"\$[a-zA-Z]+": (?:{_KEY_STRING}|\{{[^{{}}]*\}})\}}|[^,"{{}}\[\]]+)'
_WIDENINGS = {("INT64", "NUMERIC"), ("INT64", "BIGNUMERIC"), ("INT64", "FLOAT64")}


def temporary_functions() -> str:
    """The statements that make the functions used below, for the script that they are put before."""
    return files(__package__).joinpath("functions.sql").read_text()


def is_widening(before: str, after: str) -> bool:
    """Whether BigQuery itself alters a column of one stored type to the other, for nothing and exactly.

    Source: https://cloud.google.com/bigquery/docs/managing-table-schemas#change_a_columns_data_type; that page's
    further widenings, of decimals, would round or are met so seldom that they go the way of all others.
    """
    return (before, after) in _WIDENINGS


def image(column: ColumnType, value: str) -> str:
    """A text that differs wherever two values of a column do: by the bit, not by what is equal."""
    if column.kind is Kind.JSON:
        return f"to_json_string({value})"
    # A cast to text would drop the sign of a zero.
    return f"format('%.17g', {value})" if column.kind in FLOATS else value


def column_image(column: Column, value: str) -> str:
    """The image of a column's value; of an array, no array is one without elements, as BigQuery stores it."""
    return f"to_json_string(ifnull({value}, []))" if column.is_array else image(column.type, value)


def canonical_text(column: ColumnType, value: str) -> str:
    """The canonical text (SPEC 5) of a stored value."""
    is_ms = "true" if column.unit == "ms" else "false"
    if column.kind is Kind.TIMESTAMP_TZ:
        return f"warp_timestamp_text({value}, {is_ms})"
    if column.kind is Kind.TIMESTAMP:
        return f"warp_datetime_text({value}, {is_ms})"
    if column.kind is Kind.NUMERIC:
        # Text has been made canonical as it was staged, and keeps its scale, which decimals do not.
        return value if stored_type(column) == "STRING" else f"warp_number_text(cast({value} as string))"
    return _TEXTS[column.kind].format(value)


def converted(before: ColumnType, after: ColumnType, value: str, *, is_key: bool = False) -> str:
    """A stored value in the type that its column widens to, null where it would not be the same there.

    Of a number that is a key the value counts, not its text.

    Raises:
        OperatorError: the lattice never asks for this step.
    """
    if stored_type(before) == stored_type(after):
        return value
    if after.kind is Kind.TEXT:
        return canonical_text(before, value)
    if after.kind is Kind.JSON:
        return _canonical_json(before, value)
    if after.kind is Kind.NUMERIC and before.kind in (*INTEGERS, *FLOATS, Kind.NUMERIC):
        return _as_decimal(before, after, value, is_key=is_key)
    if after.kind in FLOATS and before.kind in INTEGERS:
        return f"cast({value} as float64)"
    raise OperatorError(
        "A column cannot be altered this way without losing values",
        remedy="Report it with the two types",
        before=before,
        after=after,
    )


def negative_zero(value: str) -> str:
    """The condition that a stored double is a zero with a minus sign."""
    return f"({value} = 0 and starts_with(format('%f', {value}), '-'))"


def key_part(number: int, count: int, key: str) -> str:
    """One column of a key as relaxed extended JSON, out of the key as ``arrow.keys.compound`` spells it.

    Null where that cannot be told: of a key of several columns one of which is a document.
    """
    if count == 1:
        return key
    skipped = f"(?:{_KEY_PART}, ){{{number}}}" if number else ""
    return f"regexp_extract({key}, r'''^\\[{skipped}({_KEY_PART})''')"


def _canonical_json(column: ColumnType, value: str) -> str:
    """A stored value as canonical JSON, as ``arrow.json`` spells it."""
    if column.kind in (*INTEGERS, Kind.BOOL):
        return f"to_json({value})"
    text = canonical_text(column, value)
    return f"warp_number_json({text})" if column.kind in (*FLOATS, Kind.NUMERIC) else f"to_json({text})"


def _as_decimal(before: ColumnType, after: ColumnType, value: str, *, is_key: bool) -> str:
    name = stored_type(after)
    if before.kind in INTEGERS:
        return f"cast({value} as {name})"
    text = f"warp_double_digits({value})" if is_key and before.kind in FLOATS else canonical_text(before, value)
    if name == "STRING":
        return text
    # A cast would round to the decimals that the type has.
    return f"warp_{name.lower()}({text})"
