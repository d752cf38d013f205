"""The settings of a whole process: pace, errors, monitoring, retention, security and logs."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr

from warp_resources.config.durations import Duration, PositiveDuration
from warp_resources.config.scalars import Count, Number, Share, WholeNumber
from warp_resources.config.settings import Settings
from warp_resources.config.sizes import Size


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)]


class Performance(Settings):
    """How much is read and written at a time, and how long to wait."""

    stream_batch_size: Count = Field(
        default=1000,
        description="Rows per streamed batch: by default a target; a value that you set is a bound.",
    )
    full_load_batch_size: Count = Field(
        default=10000,
        description="Rows per chunk of a full load: by default a target; a value that you set is a bound.",
    )
    write_batch_size: Count = Field(
        default=500, description="Rows per write: by default a target; a value that you set is a bound."
    )
    polling_interval: PositiveDuration = Field(
        default=timedelta(seconds=5), description="The longest wait before an idle source is asked again."
    )
    connection_timeout: PositiveDuration = Field(
        default=timedelta(seconds=30), description="How long a database may take to accept a connection."
    )
    read_timeout: PositiveDuration = Field(
        default=timedelta(seconds=60), description="How long a database may take to answer a read."
    )
    max_memory: Size = Field(
        default=384_000_000, description="The most memory (RSS) that one engine process may take, interpreter included."
    )


class ErrorHandling(Settings):
    """What happens when a value, a row or a connection fails."""

    max_retries: WholeNumber = Field(
        default=3, description="Tries per incident before the table is reported as failing; it keeps trying after that."
    )
    backoff_factor: Annotated[Number, Field(ge=1)] = Field(
        default=2.0, description="By how much the wait grows from one try to the next."
    )
    max_backoff_seconds: Number = Field(default=300, description="The longest wait between two tries, in seconds.")
    dead_letter_queue: bool = Field(
        default=True, description="Set aside values and rows that cannot be stored; false: the table stops instead."
    )
    ignore_type_conversion_errors: bool = Field(
        default=True, description="Go on after a value that does not fit its column; false: the table stops instead."
    )
    log_conversion_warnings: bool = Field(
        default=True, description="Note in error_log which values were converted without loss; losses are always noted."
    )
    on_history_lost: Literal["resync", "fail"] = Field(
        default="resync", description="When the source no longer has the changes since the marker: resync, or stop."
    )
    max_rejected_share: Share = Field(
        default=0.1,
        description="The share of a table's rows that its own constraints may refuse before the table stops.",
    )


class Prometheus(Settings):
    """The metrics endpoint."""

    enabled: bool = Field(default=True, description="Serve metrics.")
    host: str = Field(default="127.0.0.1", description="The address to listen on; 0.0.0.0 for all.")
    port: Annotated[WholeNumber, Field(le=65535)] = Field(default=8080, description="The port to listen on.")
    path: str = Field(default="/metrics", pattern="^/", description="The path of the metrics.")


class Monitoring(Settings):
    """What operators and their tools can see."""

    prometheus: Prometheus = Field(default_factory=Prometheus, description="The metrics endpoint.")
    health_check_enabled: bool = Field(default=True, description="Serve /health and /ready beside the metrics.")
    lag_warning: PositiveDuration = Field(
        default=timedelta(seconds=60), description="The lag from which a table's check warns."
    )


class Retention(Settings):
    """How long the metadata tables keep their rows."""

    error_log: Duration = Field(default=timedelta(days=90), description="Rows of error_log.")
    sync_runs: Duration = Field(default=timedelta(days=90), description="Rows of sync_runs.")
    resolved_dead_letters: Duration = Field(
        default=timedelta(days=30), description="Dead letters that were replayed, superseded or discarded."
    )
    deletion_log: Duration = Field(default=timedelta(days=365), description="Rows of deletion_log.")


class Security(Settings):
    """Encryption at rest."""

    encryption_key: SecretStr | None = Field(
        default=None, description="The key that encrypts dead-letter records and schema_registry."
    )


class Logging(Settings):
    """How the process writes its log."""

    level: LogLevel = Field(default="INFO", description="The least severe level that is logged.")
    format: Literal["structured", "plain"] = Field(
        default="structured",
        description="structured: JSON lines; plain: readable ones, as always on a terminal.",
    )
    correlation_id_enabled: bool = Field(default=True, description="Give each line its run, schema, table and batch.")
    sensitive_data_masking: bool = Field(default=True, description="Hide secrets in log lines.")
