"""The names and labels of all metrics, and one sample of any of them."""

from __future__ import annotations

from dataclasses import dataclass

PREFIX = "cartridge_warp_"
COUNTER, GAUGE, HISTOGRAM = "counter", "gauge", "histogram"
TABLE_LABELS = ("database", "schema", "table")
ACTIVE, INACTIVE, ERROR = 1, 0, -1
"""The values of ``SYNC_STATUS``."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric as Prometheus knows it."""

    name: str
    kind: str
    text: str
    labels: tuple[str, ...] = TABLE_LABELS


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric; ``labels`` are in the metric's order."""

    metric: Metric
    labels: tuple[str, ...]
    value: float


RECORDS_PROCESSED = Metric(
    f"{PREFIX}records_processed_total",
    COUNTER,
    "Rows by what was done with them: write, delete or reject.",
    (*TABLE_LABELS, "operation"),
)
PROCESSING_RATE = Metric(f"{PREFIX}processing_rate", GAUGE, "Rows per second since the scrape before.")
LAG = Metric(f"{PREFIX}lag_seconds", GAUGE, "How old the oldest change is that may not have arrived.")
SYNC_STATUS = Metric(f"{PREFIX}sync_status", GAUGE, "1 active, 0 inactive, -1 error.")
LAST_SUCCESS = Metric(f"{PREFIX}last_successful_sync", GAUGE, "Unix time of the last success.")
ERROR_COUNT = Metric(f"{PREFIX}error_count_total", COUNTER, "Entries of error_log.", (*TABLE_LABELS, "error_type"))
BATCH_DURATION = Metric(f"{PREFIX}batch_processing_duration_seconds", HISTOGRAM, "From read to commit of a batch.")
QUEUE_SIZE = Metric(f"{PREFIX}queue_size", GAUGE, "Batches read and not yet written.")
MEMORY_USAGE = Metric(
    f"{PREFIX}memory_usage_bytes", GAUGE, "Memory (RSS) of the schema's engine process.", ("database", "schema")
)
SCHEMA_CHANGES = Metric(
    f"{PREFIX}schema_changes_total", COUNTER, "Changes of the table's schema.", (*TABLE_LABELS, "change_type")
)
CONVERSION_WARNINGS = Metric(
    f"{PREFIX}type_conversion_warnings_total", COUNTER, "Warnings about values that did not fit as they were."
)
BYTES_TRANSFERRED = Metric(f"{PREFIX}bytes_transferred_total", COUNTER, "Source bytes of the rows written.")
CONNECTION_UP = Metric(f"{PREFIX}connection_up", GAUGE, "1 where the database answers.", ("role", "database"))
DEAD_LETTERS = Metric(f"{PREFIX}dead_letters", GAUGE, "Dead letters that are pending.")

LOG_WINDOW = Metric(
    f"{PREFIX}log_window_seconds",
    GAUGE,
    "The span that the source's log holds; missing where the source may not be asked.",
    ("database", "schema"),
)
HISTORY_SHORT = Metric(
    f"{PREFIX}history_short",
    GAUGE,
    "1 where the full log holds less than an hour, or less than three times what has yet to be read; else 0.",
    ("database", "schema"),
)

METRICS = (
    RECORDS_PROCESSED,
    PROCESSING_RATE,
    LAG,
    SYNC_STATUS,
    LAST_SUCCESS,
    ERROR_COUNT,
    BATCH_DURATION,
    QUEUE_SIZE,
    MEMORY_USAGE,
    SCHEMA_CHANGES,
    CONVERSION_WARNINGS,
    BYTES_TRANSFERRED,
    CONNECTION_UP,
    DEAD_LETTERS,
    LOG_WINDOW,
    HISTORY_SHORT,
)
