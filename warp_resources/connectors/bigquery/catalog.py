"""Knows the tables of a dataset: what they are, how large, their fields and their keys; asks without a job."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from google.api_core import exceptions as api
from google.cloud import bigquery
from google.cloud.bigquery import SchemaField

from warp_resources.connectors.bigquery.fields import is_too_fine
from warp_resources.connectors.bigquery.session import Session, quoted
from warp_resources.connectors.interfaces import SourceScope, SourceTable
from warp_resources.errors import OperatorError, TableFailure
from warp_resources.model.tables import TableId

_STORED = ("TABLE", "SNAPSHOT")
_ROLES = (
    "Grant the service account roles/bigquery.dataViewer on the dataset, and roles/bigquery.jobUser and "
    "roles/bigquery.readSessionUser on the project"
)
_GLOB = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Origin:
    """A table of the source as it is now.

    ``key`` is empty where nobody has said what it is. ``is_stored``: its rows can be read without a query; those of
    views and external tables cannot. ``partitioned_by`` is the column, a pseudo-column, or empty; ``clustered_by``
    the first of the columns.
    """

    id: TableId
    project: str
    dataset: str
    fields: tuple[SchemaField, ...]
    key: tuple[str, ...]
    rows: int
    bytes: int
    is_stored: bool
    partitioned_by: str = ""
    clustered_by: str = ""

    @property
    def sql(self) -> str:
        """The table's name in a statement."""
        return quoted(self.project, self.dataset, self.id.name)

    @property
    def path(self) -> str:
        """The table's name for the Storage Read API."""
        return f"projects/{self.project}/datasets/{self.dataset}/tables/{self.id.name}"


class Catalog:
    """The tables of a project; remembers the keys that it has seen, for the sake of tables that go."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._keys: dict[tuple[str, str], tuple[str, ...]] = {}

    def check(self, scope: SourceScope, *, known: bool) -> None:
        """Reach the dataset and prove that jobs may be made.

        Raises:
            OperatorError: there is no such dataset, or a role is missing.
        """
        try:
            self._session.answered(
                lambda: self._session.client.get_dataset(scope.database, timeout=self._session.patience),
                "look at a dataset",
            )
            self._session.query_bytes("select 1")
        except OperatorError as error:
            if isinstance(error.__cause__, api.Forbidden):
                raise OperatorError(error.message, remedy=_ROLES, dataset=scope.database) from error
            if not isinstance(error.__cause__, api.NotFound):
                raise
            if not known:
                raise self._no_dataset(scope.database) from error

    def tables(self, scope: SourceScope) -> list[SourceTable]:
        """The tables and views of a scope in name order; a view counts as empty."""
        known = (self._known(scope, name) for name in sorted(self._names(scope)) if scope.covers(name))
        found = [its for its in known if its is not None]
        return [SourceTable(its.id.name, its.rows, its.bytes, is_query=not its.is_stored) for its in found]

    def key(self, scope: SourceScope, table: str) -> tuple[str, ...] | None:
        """The declared primary key, else the one that the user names, else what it was when the table was there."""
        self._known(scope, table)
        return self._keys.get((scope.database, table)) or scope.declared_key(table)

    def origin(self, scope: SourceScope, table: str) -> Origin | None:
        """A table with its key; None where there is no such table.

        Raises:
            TableFailure: nothing says what its key is, or times of it would lose digits.
        """
        found = self._known(scope, table)
        if found is None:
            return None
        names = {field.name for field in found.fields}
        if not found.key:
            raise TableFailure(
                "The table has no primary key, so its rows cannot be told apart",
                remedy="Set primary_key for it to columns that are unique, or declare them in BigQuery: alter table "
                "... add primary key (...) not enforced; or blacklist the table",
                table=found.id,
            )
        if missing := [name for name in found.key if name not in names]:
            raise TableFailure(
                f"The table has no column {missing[0]!r}, which its primary key names",
                remedy=f"Set primary_key to some of: {', '.join(sorted(names))}",
                table=found.id,
            )
        if fine := [field.name for field in found.fields if is_too_fine(field)]:
            raise TableFailure(
                f"The column {fine[0]!r} is a TIMESTAMP(12), whose picoseconds no other column can hold",
                remedy="Read a view that gives it as cast(... as timestamp) or cast(... as string)",
                table=found.id,
            )
        return found

    def _names(self, scope: SourceScope) -> Iterator[str]:
        if scope.include and not any(map(_GLOB.search, scope.include)):
            # Asked for one by one: a dataset may have thousands of others.
            yield from dict.fromkeys(scope.include)
            return
        dataset = f"{self._session.project}.{scope.database}"

        def listed() -> list[str]:
            try:
                return [
                    str(its.table_id)
                    for its in self._session.client.list_tables(dataset, timeout=self._session.patience)
                ]
            except api.NotFound:
                return []

        yield from self._session.answered(listed, "list the tables")

    def _known(self, scope: SourceScope, table: str) -> Origin | None:
        found = self._session.table(f"{self._session.project}.{scope.database}.{table}")
        if found is None:
            return None
        made = _origin(found, scope)
        if made.key:
            self._keys[scope.database, table] = made.key
        return made

    def _no_dataset(self, database: str) -> OperatorError:
        known = self._session.answered(
            lambda: sorted(
                its.dataset_id for its in self._session.client.list_datasets(timeout=self._session.patience)
            ),
            "list the datasets",
        )
        near = difflib.get_close_matches(database, known, n=1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        return OperatorError(
            "The project has no such dataset",
            remedy=f"{hint}Choose of: {', '.join(known) or 'none yet'}; or set source.location",
            project=self._session.project,
            dataset=database,
        )


def _origin(found: bigquery.Table, scope: SourceScope) -> Origin:
    constraints = found.table_constraints
    primary = None if constraints is None else constraints.primary_key
    own = tuple(primary.columns) if primary is not None else ()
    return Origin(
        id=TableId(scope.schema, found.table_id),
        project=found.project,
        dataset=found.dataset_id,
        fields=tuple(found.schema),
        key=own or scope.declared_key(found.table_id) or (),
        rows=int(found.num_rows or 0),
        bytes=int(found.num_bytes or 0),
        is_stored=found.table_type in _STORED,
        partitioned_by=_partitioned_by(found),
        clustered_by=(found.clustering_fields or [""])[0],
    )


def _partitioned_by(found: bigquery.Table) -> str:
    if found.time_partitioning is not None:
        return str(found.time_partitioning.field or "_PARTITIONTIME")
    return str(found.range_partitioning.field) if found.range_partitioning is not None else ""
