"""The settings of schemas and tables."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from warp_resources.config.aliases import canonical_schema
from warp_resources.config.column_types import checked_type, column_type
from warp_resources.config.durations import Duration, PositiveDuration
from warp_resources.config.scalars import Count, Cron, KeyColumns, Name, Names, ObjectPath, Owner, Timezone
from warp_resources.config.settings import Settings
from warp_resources.model.tables import Kind

Mode = Literal["stream", "batch"]
Strategy = Literal["log", "timestamp", "trigger", "hash"]
Policy = Literal["evolve", "freeze", "discard", "quarantine"]
DeletionStrategy = Literal["hard", "soft"]


class ChangeDetection(Settings):
    """How changes are found."""

    strategy: Strategy | None = Field(default=None, description="Default: log for stream, timestamp for batch.")
    column: Name = Field(default="updated_at", description="The marker column of batch tables.")
    timezone: Timezone = Field(
        default="UTC",
        description="How naive values of the marker column are read; no effect for MongoDB: its dates are instants.",
    )
    lookback: Duration = Field(
        default=timedelta(minutes=5), description="How far before its marker a batch reads again, for late rows."
    )


class Partitions(Settings):
    """How a table is cut into Dagster partitions."""

    by: Literal["time", "key"] = Field(
        description="time: windows of a column (batch); key: slices (stream, and batch with strategy: hash)."
    )
    every: Literal["hour", "day", "week", "month"] | None = Field(
        default=None, description="The length of a window. Default: day."
    )
    column: Name | None = Field(default=None, description="The column of the windows. Default: the marker column.")
    start: date | None = Field(default=None, description="The first window.")
    slices: Annotated[Count, Field(le=100)] | None = Field(default=None, description="Key slices. Default: 8.")

    @model_validator(mode="after")
    def _keys_fit(self) -> Partitions:
        if self.by == "key" and (self.every or self.column or self.start):
            raise PydanticCustomError("partitions", "by: key allows slices; every, column and start need by: time")
        if self.by == "time" and self.slices:
            raise PydanticCustomError("partitions", "by: time allows every, column and start; slices needs by: key")
        return self


class Contract(Settings):
    """What may change in a table by itself."""

    new_columns: Policy = Field(default="evolve", description="When the source has a new field.")
    type_changes: Literal["evolve", "freeze", "discard", "quarantine", "json"] = Field(
        default="evolve", description="When a field's type changes; json turns the column into JSON."
    )
    new_tables: Policy = Field(default="evolve", description="When the source has a new table.")


class ColumnConfig(Settings):
    """What is done to one column before it is stored anywhere."""

    action: Literal["drop", "hash", "mask", "type", "rename"] | None = Field(default=None, description="What to do.")
    type: Annotated[Name, AfterValidator(checked_type)] | None = Field(
        default=None, description="The destination's type for the column, such as decimal(18,4)."
    )
    rename: Name | None = Field(default=None, description="The destination's name for the column.")

    @model_validator(mode="after")
    def _says_one_thing(self) -> ColumnConfig:
        text = self._fault()
        if text:
            raise PydanticCustomError("column", "{text}", {"text": text})
        return self

    def _fault(self) -> str | None:
        if self.action in ("type", "rename") and getattr(self, self.action) is None:
            return f"action: {self.action} needs {self.action}: as well"
        if self.action is None and self.type is None and self.rename is None:
            return "one of action, type and rename is required"
        if self.action == "drop" and (self.type or self.rename):
            return "action: drop allows neither type nor rename: there is no column then"
        if self.action in ("hash", "mask") and self.type and column_type(self.type).kind is not Kind.TEXT:
            return f"action: {self.action} makes text, so only type: text is allowed"
        return None


class CascadingSettings(Settings):
    """What can be said of a schema and, nearer, of a table."""

    stream_batch_size: Count | None = Field(default=None, description="Rows per streamed batch: an upper bound.")
    full_load_batch_size: Count | None = Field(default=None, description="Rows per chunk of a full load: a bound.")
    write_batch_size: Count | None = Field(default=None, description="Rows per write: an upper bound.")
    polling_interval: PositiveDuration | None = Field(
        default=None, description="The longest wait before an idle source is asked again."
    )
    full_load_enabled: bool = Field(default=True, description="Copy what the table already has, before its changes.")
    deletion_strategy: DeletionStrategy | None = Field(default=None, description="hard: rows go; soft: a flag is set.")
    soft_delete_column: Name | None = Field(default=None, description="The flag of soft deletes.")
    change_detection: ChangeDetection = Field(
        default_factory=ChangeDetection, description="As under source; the nearest setting wins."
    )
    partitions: Partitions | None = Field(
        default=None, description="Default: days of the marker column for batch, 8 key slices for stream."
    )
    contract: Contract = Field(default_factory=Contract, description="What may change in the table by itself.")
    json_format: Literal["plain", "extended"] = Field(default="plain", description="How nested values become JSON.")
    on_source_change: Literal["keep", "follow", "fail"] = Field(
        default="keep", description="When the table is dropped, renamed or truncated at the source."
    )
    owners: tuple[Owner, ...] = Field(default=(), description="E-mail addresses or team:<name>, shown in Dagster.")
    tags: dict[str, str] = Field(default_factory=dict, description="Tags shown in Dagster.")


class TableConfig(CascadingSettings):
    """One table; what is not set comes from its schema, then from the whole file."""

    name: Name = Field(description="The table's name at the source.")
    mode: Mode | None = Field(default=None, description="Default: the schema's mode.")
    primary_key: KeyColumns | None = Field(default=None, description="The key columns. Default: the source's own key.")
    batch_size: Count | None = Field(default=None, description="Sets both stream_batch_size and write_batch_size.")
    columns: dict[str, ColumnConfig] = Field(default_factory=dict, description="What is done to single columns.")
    transform: ObjectPath | None = Field(
        default=None, description="Business rules as module:function, from RecordBatch to RecordBatch."
    )


class SchemaConfig(CascadingSettings):
    """One schema: a source database and the tables of it that are replicated."""

    name: Name = Field(description="The schema's name, which is also its name in the destination.")
    database: Name | None = Field(
        default=None, description="The source's database or schema. Default: source.database, else the name."
    )
    mode: Mode = Field(default="stream", description="stream: continuous, from the log; batch: by cron and marker.")
    schedule: Cron | None = Field(
        default=None,
        description="When batch tables are synced, as cron. Without it, `cartridge-warp run` syncs them every "
        "polling_interval, but in Dagster nothing does by itself.",
    )
    default_batch_size: Count | None = Field(default=None, description="Sets stream_batch_size and write_batch_size.")
    table_whitelist: Names = Field(default=(), description="The tables to replicate, as globs. Default: all.")
    table_blacklist: Names = Field(default=(), description="The tables to leave out, as globs; this wins.")
    max_parallel_streams: Count = Field(
        default=3, description="How many readings of tables go on at the same time: 1 keeps a second process away."
    )
    tables: tuple[TableConfig, ...] = Field(default=(), description="Settings of single tables, a list or by name.")

    @model_validator(mode="before")
    @classmethod
    def _one_shape(cls, value: Any) -> Any:
        return canonical_schema(value) if isinstance(value, Mapping) else value
