"""Compares a table with conformed chunks, in temporary tables of one connection."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import pyarrow as pa
from psycopg import sql

from warp_resources.connectors.postgresql.compare import compare_rows, make_seen, remaining_rows, surplus_rows
from warp_resources.connectors.postgresql.conversions import temporary_functions
from warp_resources.connectors.postgresql.load import verify_types
from warp_resources.connectors.postgresql.physical import physical_schema
from warp_resources.connectors.postgresql.registry import is_stored, latest_schema
from warp_resources.connectors.postgresql.session import Connection, Session
from warp_resources.connectors.postgresql.staged import delete_layout, row_layout, stage_deletes, stage_rows
from warp_resources.connectors.postgresql.staging import StagingTable, StagingTables
from warp_resources.connectors.postgresql.stale import hold_table
from warp_resources.connectors.postgresql.types import stored_type
from warp_resources.errors import SchemaMoved, TransientError, WarpError
from warp_resources.model.batches import ConformedTable
from warp_resources.model.differences import Difference, DifferenceKind, Surplus
from warp_resources.model.tables import Column, TableId, TableSchema

_SET_ASIDE = """
select key_text from cartridge_warp_metadata.dead_letters
where schema_name = %(schema)s and table_name = %(table)s and status = 'pending' and column_name is null
    and hashtextextended(key_text, 0) in (select hashtextextended(k, 0) from unnest(%(keys)s::text[]) as k)
    and key_text = any(%(keys)s::text[])
"""


@contextmanager
def comparison(session: Session, staging: StagingTables, table: TableId) -> Iterator[PostgresComparison]:
    """A comparison whose temporary table goes at the end."""
    opened = PostgresComparison(session, staging, table)
    try:
        yield opened
    finally:
        # Where the connection is lost, it went with it.
        with suppress(WarpError):
            opened.close()


class PostgresComparison:
    """What ``interfaces.Comparison`` promises; the keys seen are kept by the server."""

    def __init__(self, session: Session, staging: StagingTables, table: TableId) -> None:
        self._session = session
        self._staging = staging
        self._table = table
        self._seen = sql.Identifier("pg_temp", f"_warp_seen_{uuid.uuid4().hex[:12]}")
        self._serial: int | None = None
        self._key: tuple[Column, ...] | None = None

    def compare(self, part: ConformedTable) -> list[Difference]:
        """How the part's rows and deletes differ from what is stored."""
        reserved = self._reserved(part)
        with self._session.transaction() as connection:
            stored = self._stored(connection, part)
            if stored is None:
                missing = range(part.rows.num_rows)
                found = [Difference(row, DifferenceKind.MISSING, None) for row in missing]
            else:
                found = [
                    *self._differing(connection, part, stored, reserved),
                    *self._remaining(connection, part, stored, reserved),
                ]
                self._staging.empty(connection)
            return self._marked(connection, part, found)

    def surplus(self, limit: int, since: int) -> list[Surplus]:
        """Some of the rows that no part had the keys of."""
        with self._session.transaction() as connection:
            stored = self._held(connection)
            if stored is None:
                return []
            self._note_in(connection, stored)
            connection.execute(sql.SQL("analyze {}").format(self._seen))
            rows = connection.execute(surplus_rows(stored, self._seen, limit, since=since)).fetchall()
            return [Surplus(row.key_text, row.sequence) for row in rows]

    def close(self) -> None:
        """Forget the keys."""
        if self._key is not None and self._session.serial == self._serial:
            with self._session.connected() as connection:
                connection.execute(sql.SQL("drop table if exists {}").format(self._seen))

    def _reserved(self, part: ConformedTable) -> Iterator[StagingTable]:
        layouts = [row_layout(part)] if part.rows.num_rows else []
        if part.deletes is not None and part.deletes.num_rows:
            layouts.append(delete_layout(part, part.deletes))
        with self._session.connected() as connection:
            return iter(self._staging.reserve(connection, layouts))

    def _stored(self, connection: Connection, part: ConformedTable) -> TableSchema | None:
        """The table as it is until the transaction ends, which is what the part has to be based on."""
        stored = self._held(connection)
        version = 0 if stored is None else stored.version
        if stored is not None and version != part.based_on:
            raise SchemaMoved(
                "Another writer changed the table's schema since this chunk was conformed",
                table=self._table,
                based_on=part.based_on,
                found=version,
            )
        if stored is not None:
            self._note_in(connection, stored)
        return stored

    def _held(self, connection: Connection) -> TableSchema | None:
        schema = latest_schema(connection, self._table)
        if schema is None or not is_stored(connection, schema):
            return None
        connection.execute(hold_table(schema))
        # Asked again, with nobody able to alter the table: the first answer only said which one to hold.
        return latest_schema(connection, self._table)

    def _note_in(self, connection: Connection, stored: TableSchema) -> None:
        """Make the table of the keys seen, or make sure that it still is one of these keys."""
        if self._key is None:
            types = {column.stored: stored_type(column.type) for column in physical_schema(stored).columns}
            verify_types(connection, stored, types)
            connection.execute(temporary_functions())
            connection.execute(make_seen(stored, self._seen))
            self._serial, self._key = self._session.serial, stored.key_columns
        elif self._serial != self._session.serial:
            raise TransientError("The connection was lost in the middle of a comparison", table=self._table)
        elif [(key.type, key.family) for key in self._key] != [(its.type, its.family) for its in stored.key_columns]:
            raise SchemaMoved("The table's key changed in the middle of a comparison", table=self._table)

    def _differing(
        self, connection: Connection, part: ConformedTable, stored: TableSchema, reserved: Iterator[StagingTable]
    ) -> Iterator[Difference]:
        if not part.rows.num_rows:
            return
        staged = stage_rows(connection, self._staging, next(reserved), part, 0, part.rows.num_rows)
        statement = compare_rows(stored, staged.target, staged.extra, self._seen)
        for row in connection.execute(statement).fetchall():
            kind = DifferenceKind.MISSING if row.is_missing else DifferenceKind.DIFFERENT
            yield Difference(row.ordinal, kind, row.sequence)

    def _remaining(
        self, connection: Connection, part: ConformedTable, stored: TableSchema, reserved: Iterator[StagingTable]
    ) -> Iterator[Difference]:
        if part.deletes is None or not part.deletes.num_rows:
            return
        staged = stage_deletes(connection, self._staging, next(reserved), part, part.deletes)
        rows = {text: row for row, text in enumerate(part.delete_keys().to_pylist())}
        for row in connection.execute(remaining_rows(stored, staged.target, staged.extra)).fetchall():
            yield Difference(rows[row.key_text], DifferenceKind.SURPLUS, row.sequence)

    def _marked(self, connection: Connection, part: ConformedTable, found: Sequence[Difference]) -> list[Difference]:
        """Tell the rows that a pending letter holds whole from those that differ without a reason."""
        rows = [difference.row for difference in found if difference.kind is not DifferenceKind.SURPLUS]
        if not rows:
            return list(found)
        texts = dict(zip(rows, part.row_keys().take(pa.array(rows, pa.int32())).to_pylist(), strict=True))
        parameters = {"schema": self._table.schema, "table": self._table.name, "keys": list(texts.values())}
        held = {row.key_text for row in connection.execute(_SET_ASIDE, parameters).fetchall()}
        return [
            Difference(its.row, DifferenceKind.SET_ASIDE, its.sequence)
            if its.kind is not DifferenceKind.SURPLUS and texts[its.row] in held
            else its
            for its in found
        ]
