"""What a connector declares of itself, so that nobody asks which database it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class SourceCapabilities:
    """``strategies``: the change-detection strategies offered, of log, timestamp, trigger, hash."""

    strategies: frozenset[str]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a destination can hold.

    ``timestamp_range``: microseconds since 1970 UTC, first and last storable; ``date_range``: days since then.
    ``refused_text``: characters that no text can contain. ``case_sensitive``: names that differ
    in case only are different names. ``numeric_digits``: (before, after) the decimal point.
    ``max_key_bytes``: of one key value as text. ``max_row_bytes``: of one row, long values not counted whole.
    ``reserved_schemas``: shell globs over the schema names that the server keeps for itself.

    Names of tables and columns: ``refused_in_names``: characters that they cannot have. ``name_categories``: the
    Unicode categories, or their first letters, that their characters are of; none: any. ``column_symbols``:
    characters beyond these that columns may have. ``reserved_name_prefixes``: what they cannot begin with, in whatever
    case. ``schema_pattern``: a regular expression that a schema's whole name matches. ``keeps_schema_names``: the
    metadata has tables that are named after the schemas, wherever the tables of these land.

    Numbers: ``numeric_specials``: NUMERIC has NaN and the infinities. ``numeric_scale``: it keeps zeros at the end of a
    fraction. ``declared_digits``: as ``numeric_digits``, of a column that was declared with a precision; None: the
    same. ``wide_json_numbers``: JSON keeps the digits of every number; else only of those that a 64-bit integer or a
    double holds.

    Pace: ``min_interval``: how often at most a table is written where the file does not say. ``idle_save``: how often a
    position that moved without changes is made durable. ``patience``: how long an answer about one table may take
    while a stream must not wait for it.

    ``has_constraints``: rows may be refused for constraints of the user's own, and wait for other rows.
    ``has_gradual_rewrites``: ``RewriteWanted`` may be raised, and type changes go on beside a table's use.
    """

    transactional_ddl: bool = True
    max_name_bytes: int = 63
    max_columns: int = 1600
    case_sensitive: bool = True
    timestamp_range: tuple[int, int] = (-210_866_803_200_000_000, 9_224_318_015_999_999_999)
    date_range: tuple[int, int] = (-2_440_588, 2_145_042_905)
    refused_text: str = "\x00"
    numeric_digits: tuple[int, int] = (131_072, 16_383)
    max_key_bytes: int = 2_600
    max_row_bytes: int | None = None
    reserved_schemas: tuple[str, ...] = ()
    refused_in_names: str = ""
    name_categories: tuple[str, ...] = ()
    column_symbols: str = ""
    reserved_name_prefixes: tuple[str, ...] = ()
    schema_pattern: str | None = None
    keeps_schema_names: bool = False
    numeric_specials: bool = True
    numeric_scale: bool = True
    declared_digits: tuple[int, int] | None = None
    wide_json_numbers: bool = True
    min_interval: timedelta = timedelta(0)
    idle_save: timedelta = timedelta(seconds=5)
    patience: timedelta = timedelta(seconds=2)
    has_constraints: bool = True
    has_gradual_rewrites: bool = True
