"""Names the datasets and tables of a destination, and makes those that are its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from google.api_core import exceptions as api
from google.cloud import bigquery

from warp_resources.connectors.bigquery.session import ONCE, Session, quoted
from warp_resources.model.tables import TableSchema

_STAGED_FOR = timedelta(days=1)

# Rows are added to these by all schemas at once, which BigQuery allows; nothing in them changes.
_LOGS = {
    "schema_registry": """schema_name string not null, table_name string not null, version int64 not null,
    columns json not null, changes json not null, applied_at timestamp not null, run_id string, document string""",
    "error_log": """error_id int64 not null, occurred_at timestamp not null, schema_name string not null,
    table_name string not null, column_name string, error_type string not null, severity string not null,
    primary_key string, message string not null, action string not null, run_id string""",
    "deletion_log": """schema_name string not null, table_name string not null, primary_key string not null,
    deleted_at timestamp not null, position json, strategy string not null, cause string not null,
    sequence int64 not null""",
    "ended_runs": """run_id string not null, schema_name string not null, table_name string not null,
    mode string not null, status string not null, started_at timestamp not null, finished_at timestamp,
    rows_written int64 not null, rows_deleted int64 not null, rows_rejected int64 not null,
    bytes_transferred int64 not null, start_position json, end_position json, error string""",
    "name_map": """schema_name string not null, table_name string not null, column_name string not null,
    stored_name string not null, is_table bool not null""",
}
# Rows of these change, and two transactions cannot change one table at once: each schema has its own.
_OWN = {
    "dead_letters": """dead_letter_id int64 not null, occurred_at timestamp not null, schema_name string not null,
    table_name string not null, primary_key string not null, operation string not null, position json,
    reason string not null, column_name string, record string not null, status string not null,
    attempts int64 not null, resolved_at timestamp, sequence int64 not null, basis int64 not null,
    encoding string not null, key_text string, run_id string, last_error string, retry_at timestamp""",
    "tombstones": """schema_name string not null, table_name string not null, key_text string not null,
    sequence int64 not null""",
}


@dataclass(frozen=True, slots=True)
class Warehouse:
    """A project with the datasets of our own in it.

    ``most_tables``: how many tables of the user's a transaction changes, of a hundred that it may; the rest is for
    tables of our own. Source: https://cloud.google.com/bigquery/docs/transactions#limitations
    """

    session: Session
    metadata: str
    staging: str
    most_tables: int = 90

    def log(self, name: str) -> str:
        """A table that all schemas share, quoted."""
        return quoted(self.session.project, self.metadata, name)

    def own(self, name: str, schema: str) -> str:
        """A table of one schema, quoted."""
        return quoted(self.session.project, self.metadata, f"{name}__{schema}")

    def table(self, schema: TableSchema) -> str:
        """A table of the user's, quoted."""
        return quoted(self.session.project, schema.stored_schema, schema.stored_table)

    def full(self, schema: TableSchema) -> str:
        """A table of the user's, for requests."""
        return f"{self.session.project}.{schema.stored_schema}.{schema.stored_table}"

    def make_datasets(self) -> None:
        """Make the datasets of metadata and staging tables, unless they are there."""
        make_dataset(self.session, self.metadata)
        make_dataset(self.session, self.staging, expires=_STAGED_FOR)

    def make_logs(self) -> None:
        """Make the tables that all schemas share, unless they are there; without a job."""
        self._make(_LOGS, "")

    def make_own(self, schema: str) -> None:
        """Make the tables of one schema, unless they are there; without a job."""
        self._make(_OWN, f"__{schema}")

    def tables(self) -> set[str]:
        """The names of our own tables and views that there are; none before the metadata is made."""

        def listed() -> set[str]:
            try:
                found = self.session.client.list_tables(
                    f"{self.session.project}.{self.metadata}", retry=ONCE, timeout=self.session.patience
                )
                return {its.table_id for its in found}
            except api.NotFound:
                return set()

        return self.session.answered(listed, "list tables")

    def _make(self, tables: dict[str, str], suffix: str) -> None:
        missing = {name: fields for name, fields in tables.items() if f"{name}{suffix}" not in self.tables()}
        for name, fields in missing.items():
            made = bigquery.Table(f"{self.session.project}.{self.metadata}.{name}{suffix}", schema=_fields(fields))
            made.clustering_fields = ["schema_name", "table_name"]
            make_table(self.session, made, "make a table")


def _fields(text: str) -> list[bigquery.SchemaField]:
    """The columns of a table, each spelled as in SQL."""
    words = [column.split() for column in text.split(",")]
    return [bigquery.SchemaField(name, kind.upper(), "REQUIRED" if more else "NULLABLE") for name, kind, *more in words]


def make_dataset(session: Session, name: str, expires: timedelta | None = None) -> None:
    """Make a dataset, unless it is there, in the location of the options."""

    def made() -> None:
        try:
            session.client.get_dataset(f"{session.project}.{name}", retry=ONCE, timeout=session.patience)
        except api.NotFound:
            dataset = bigquery.Dataset(f"{session.project}.{name}")
            dataset.location = session.location
            if expires is not None:
                dataset.default_table_expiration_ms = round(expires.total_seconds() * 1000)
            session.client.create_dataset(dataset, exists_ok=True, retry=ONCE, timeout=session.patience)

    session.answered(made, "make a dataset")


def make_table(session: Session, table: bigquery.Table, doing: str) -> None:
    """Make a table or view, unless it is there, whoever made it."""
    session.answered(
        lambda: session.client.create_table(table, exists_ok=True, retry=ONCE, timeout=session.patience), doing
    )
