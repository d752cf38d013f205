"""Tables, their column types and their schemas, as every layer names them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


@dataclass(frozen=True, slots=True, order=True)
class TableId:
    """A table: the configured schema and the source's table name, unquoted, case kept."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


class Kind(StrEnum):
    """The logical kinds of a column and, in brackets, the Arrow type that carries each.

    Text, JSON and numeric all travel as ``string``: JSON as JSON text, numeric as a decimal
    literal that keeps its scale (``1.10``, ``1E+30``, ``NaN``, ``Infinity``), so no digit is lost.
    """

    BOOL = "bool"  # [bool]
    INT16 = "int16"  # [int16]
    INT32 = "int32"  # [int32]
    INT64 = "int64"  # [int64]
    FLOAT32 = "float32"  # [float]
    DOUBLE = "double"  # [double]
    NUMERIC = "numeric"  # [string]
    TEXT = "text"  # [string]
    BINARY = "binary"  # [binary]
    UUID = "uuid"  # [fixed_size_binary(16)]
    TIMESTAMP_TZ = "timestamp_tz"  # [timestamp(unit, UTC)]
    TIMESTAMP = "timestamp"  # [timestamp(unit)]
    DATE = "date"  # [date32]
    TIME = "time"  # [time64(us)]
    JSON = "json"  # [string]


@dataclass(frozen=True, slots=True)
class ColumnType:
    """A logical type with the bounds that are proved of its values.

    ``exact``: of an integer type, every value so far is exact in a double.
    ``unit``: of timestamps, ``ms`` or ``us``: the precision of their canonical text.
    ``precision`` and ``scale``: of NUMERIC, declared limits; none means unbounded.
    """

    kind: Kind
    exact: bool = False
    unit: str | None = None
    precision: int | None = None
    scale: int | None = None

    def __str__(self) -> str:
        if self.kind is Kind.NUMERIC and self.precision is not None:
            return f"numeric({self.precision},{self.scale or 0})"
        return str(self.kind)


@dataclass(frozen=True, slots=True)
class Former:
    """A stored column, of the type that another column is being rewritten from."""

    stored: str
    type: ColumnType


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A type change that goes on while the table is in use: a new stored column takes over row by row.

    ``stored``: the column of the new type. ``formers``: those that hold the rows not reached yet, the latest
    first; the last is the one whose name the new column gets in the end. Writers fill all of them, null where
    a value does not fit. A row's value is the first that is not null.
    """

    stored: str
    formers: tuple[Former, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: the source's field name, the name it is stored under, its type.

    ``family``: of a key column, which keys it holds so far (see ``arrow.keys``); else empty.
    ``rewrite``: where its values are while a change to ``type`` goes on; None where they are all in ``stored``.
    ``is_array``: of JSON, the destination has its own array of it: no other value has a place there, and nothing is
    the same as an array without elements.
    """

    name: str
    stored: str
    type: ColumnType
    family: str = ""
    rewrite: Rewrite | None = None
    is_array: bool = False


@dataclass(frozen=True, slots=True)
class TableSchema:
    """What the destination's table looks like, by version; version 0 is a table not yet made.

    ``stored_schema`` and ``stored_table`` are the destination's names; ``key`` lists the source
    names of the key columns, each of which is in ``columns``. ``flag``: the stored name of the column that
    marks deleted rows, empty where the table has none; its live rows are those whose flag is false.
    ``is_soft``: a delete sets the flag, else it removes the row. ``overflowed``: fields without a column, whose
    values are in the overflow column (``evolution.overflow``).
    """

    table: TableId
    stored_schema: str
    stored_table: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    version: int = 0
    flag: str = ""
    is_soft: bool = False
    overflowed: tuple[str, ...] = ()

    def column(self, name: str) -> Column | None:
        """The column of a source field, if the table has one."""
        return next((column for column in self.columns if column.name == name), None)

    @property
    def rewritten(self) -> tuple[Column, ...]:
        """The columns whose type is being changed while the table is in use."""
        return tuple(column for column in self.columns if column.rewrite is not None)

    @property
    def key_columns(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.name in self.key)

    def with_columns(self, columns: tuple[Column, ...]) -> TableSchema:
        return replace(self, columns=columns)


class ChangeKind(StrEnum):
    """What a schema change does to the destination's table."""

    CREATE_TABLE = "create_table"
    ADD_COLUMN = "add_column"
    ALTER_TYPE = "alter_type"
    RENAME_COLUMN = "rename_column"
    KEY_TO_JSON = "key_to_json"
    BEGIN_REWRITE = "begin_rewrite"  # a type change that goes on while the table is in use
    END_REWRITE = "end_rewrite"
    DELETION = "deletion"  # how deletes are kept: the schema's ``flag`` or ``is_soft`` changed
    OVERFLOW = "overflow"  # recorded only: fields whose values go to the overflow column from now on
    BOUNDS = "bounds"  # recorded only: the stored type stays, what is proved of it changed


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """One step from a table's version to the next; ``before`` is None for what is new."""

    kind: ChangeKind
    after: Column | None = None
    before: Column | None = None
    reason: str = ""
