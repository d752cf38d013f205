"""Compares a table with conformed chunks, which are staged as they are to be written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from google.cloud.bigquery import ArrayQueryParameter

from warp_resources.connectors.bigquery.compare import (
    REMAINING,
    compare_staged,
    make_seen,
    note_keys,
    surplus_rows,
)
from warp_resources.connectors.bigquery.control import TableRow, read_control
from warp_resources.connectors.bigquery.portions import portions
from warp_resources.connectors.bigquery.session import quoted
from warp_resources.connectors.bigquery.staging import (
    Staging,
    delete_section,
    drop,
    places_of,
    row_section,
    stage,
)
from warp_resources.connectors.bigquery.warehouse import Warehouse
from warp_resources.errors import SchemaMoved
from warp_resources.model.batches import ConformedTable
from warp_resources.model.differences import Difference, DifferenceKind, Surplus
from warp_resources.model.tables import TableId, TableSchema


@contextmanager
def comparison(warehouse: Warehouse, table: TableId) -> Iterator[BigQueryComparison]:
    """A comparison whose table of keys goes at the end; where that fails, it expires."""
    opened = BigQueryComparison(warehouse, table)
    try:
        yield opened
    finally:
        opened.close()


class BigQueryComparison:
    """What ``interfaces.Comparison`` promises; the keys seen are in a table of the staging dataset."""

    def __init__(self, warehouse: Warehouse, table: TableId) -> None:
        self._warehouse = warehouse
        self._table = table
        self._seen: Staging | None = None

    def compare(self, part: ConformedTable) -> list[Difference]:
        """How the part's rows and deletes differ from what is stored."""
        row = self._row()
        stored = self._stored(row)
        if row is None or stored is None:
            return [Difference(number, DifferenceKind.MISSING, None) for number in range(part.rows.num_rows)]
        if stored.version != part.based_on or row.intent is not None:
            raise SchemaMoved(
                "Another writer changed the table's schema since this chunk was conformed",
                table=self._table,
                based_on=part.based_on,
                found=stored.version,
            )
        places = places_of(part.schema, part.rows.schema.names)
        sections = [row_section(0, part, places)]
        sections += [] if part.deletes is None else [delete_section(0, part)]
        staging = stage(self._warehouse.session, self._warehouse.staging, sections)
        if staging is None:
            return []
        try:
            statement = compare_staged(
                self._warehouse.table(stored),
                staging.name,
                stored,
                part.schema,
                places,
                self._warehouse.own("dead_letters", self._table.schema),
                self._noted().name,
            )
            rows = self._warehouse.session.run(statement, kind="compare")
        finally:
            drop(self._warehouse.session, staging)
        return [Difference(its.ordinal, _kind(its), its.sequence) for its in rows]

    def surplus(self, limit: int, since: int) -> list[Surplus]:
        """Some of the rows that no part had the keys of."""
        row = self._row()
        stored = self._stored(row)
        if row is None or stored is None or limit <= 0:
            return []
        session, seen = self._warehouse.session, self._noted().name
        statement = surplus_rows(
            self._warehouse.table(stored), stored, seen, limit, since=since, latest=max(since, row.state.sequence)
        )
        found = [Surplus(its.key_text, its.sequence) for its in session.run(statement, kind="compare")]
        if not found:
            return []
        # Commits that came between the two looks are told by the second one.
        later = self._row()
        latest = row.state.sequence if later is None else later.state.sequence
        found = [its for its in found if not since < its.sequence <= latest]
        for keys in portions(its.key_text for its in found):
            session.run(note_keys(seen), [ArrayQueryParameter("keys", "STRING", keys)], kind="compare")
        return found

    def close(self) -> None:
        """Forget the keys."""
        drop(self._warehouse.session, self._seen)
        self._seen = None

    def _row(self) -> TableRow | None:
        rows = read_control(self._warehouse.session, self._warehouse.metadata, self._table.schema)
        return rows.tables.get(self._table.name)

    def _stored(self, row: TableRow | None) -> TableSchema | None:
        if row is None or row.schema is None:
            return None
        return row.schema if self._warehouse.session.table(self._warehouse.full(row.schema)) is not None else None

    def _noted(self) -> Staging:
        """The table of the keys seen, made at first use."""
        if self._seen is None:
            session, dataset = self._warehouse.session, self._warehouse.staging
            name = session.next_name("seen")
            self._seen = Staging(quoted(session.project, dataset, name), f"{session.project}.{dataset}.{name}")
            session.run(make_seen(self._seen.name), kind="compare")
        return self._seen


def _kind(found: object) -> DifferenceKind:
    if getattr(found, "found", None) == REMAINING:
        return DifferenceKind.SURPLUS
    if getattr(found, "is_aside", False):
        return DifferenceKind.SET_ASIDE
    return DifferenceKind.MISSING if getattr(found, "is_missing", False) else DifferenceKind.DIFFERENT
