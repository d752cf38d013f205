"""What a connector declares of itself, so that nobody asks which database it is."""

from __future__ import annotations

from dataclasses import dataclass


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
