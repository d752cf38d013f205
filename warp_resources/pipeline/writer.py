"""Conforms what was read and writes it, again when another writer moved the schema."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import cache

import structlog

from warp_resources.config import TableSettings
from warp_resources.connectors.interfaces import Destination
from warp_resources.errors import OperatorError, RewriteWanted, SchemaMoved, TableFailure
from warp_resources.evolution.deletion import is_due
from warp_resources.evolution.rewriting import begin_rewrites
from warp_resources.model.batches import ConformedBatch, ConformedTable, ErrorEntry, TableBatch, WriteReceipt
from warp_resources.model.positions import Commit
from warp_resources.model.tables import TableSchema
from warp_resources.pipeline.conform import conform
from warp_resources.pipeline.preparation import prepared
from warp_resources.pipeline.rules import rules_of
from warp_resources.pipeline.shape import Redact, withhold

ATTEMPTS = 20

log = structlog.get_logger(__name__)


class Writer:
    """Writes the batches of one schema, keeping its tables' latest known schemas.

    Args:
        settings: gives the effective settings of a table by its source name.
        run_id: goes into every row of the metadata that this writer makes.
        warns: ``error_log`` also tells of values that were converted without loss.
        redact: takes out of records what may not be kept; without it such records keep their key only.
    """

    def __init__(
        self,
        destination: Destination,
        schema: str,
        stored_schema: str,
        settings: Callable[[str], TableSettings],
        run_id: str,
        *,
        warns: bool = True,
        redact: Redact = withhold,
    ) -> None:
        self._destination = destination
        self._schema = schema
        self._stored_schema = stored_schema
        # A batch asks for its table's more than once, and they hold for the life of the process.
        self._settings = cache(settings)
        self.run_id = run_id
        self._warns = warns
        self._redact = redact
        self.refresh()

    def write(
        self,
        batches: Sequence[TableBatch],
        commit: Commit,
        errors: Sequence[ErrorEntry] = (),
        *,
        restored: bool = False,
    ) -> WriteReceipt:
        """Commit the batches and the marker as one unit.

        Args:
            restored: the rows come from dead letters, whose fields are shaped already.
        """
        batches = [
            prepared(batch, self._settings(batch.table.name), self._redact, restored=restored) for batch in batches
        ]
        gradual: dict[object, tuple[str, ...]] = {}
        for _ in range(ATTEMPTS):
            tables: list[ConformedTable] = []
            for batch in filter(self._has_content, batches):
                made = [table.schema for table in tables]
                tables.append(self._conform(batch, made, gradual.get(batch.table, ())))
            try:
                receipt = self._destination.write(ConformedBatch(tuple(tables), commit, self.run_id, tuple(errors)))
            except RewriteWanted as wanted:
                gradual[wanted.table] = wanted.columns
                continue
            except SchemaMoved as moved:
                log.info("schema moved under a batch", **moved.facts)
                self.refresh()
                continue
            self._remember(tables)
            return receipt
        raise OperatorError(
            "The schema kept changing under this batch",
            remedy="Look in schema_registry for two writers that undo each other",
            schema=self._schema,
            attempts=ATTEMPTS,
        )

    def fitted(self, batch: TableBatch) -> ConformedTable:
        """A batch as ``write`` would write it, by what is known of its table; writes nothing."""
        return self._conform(prepared(batch, self._settings(batch.table.name), self._redact))

    def refresh(self) -> None:
        """Read anew what the tables look like by now."""
        self._known: dict[str, TableSchema] = self._destination.table_schemas(self._schema)
        self._note_rewritten()

    def _note_rewritten(self) -> None:
        self.rewritten = tuple(known.table for known in self._known.values() if known.rewritten)

    def _conform(
        self, batch: TableBatch, made: Sequence[TableSchema] = (), gradual: Collection[str] = ()
    ) -> ConformedTable:
        """A batch as the destination takes it.

        Args:
            made: the tables of the same cut so far.
            gradual: columns to be rewritten beside the table's use.
        """
        settings = self._settings(batch.table.name)
        known = self._known.get(batch.table.name)
        table = conform(
            batch,
            known,
            stored_schema=self._stored_schema,
            capabilities=self._destination.capabilities,
            taken=[its.stored_table for its in (*self._known.values(), *made)] if known is None else (),
            rules=rules_of(settings, self._destination.array_columns(batch.table)),
            warns=self._warns,
        )
        _refuse_losses(table, settings)
        return begin_rewrites(table, gradual) if gradual else table

    def _has_content(self, batch: TableBatch) -> bool:
        """Whether a batch leaves anything behind; an empty one may still change how its table keeps deletes."""
        if batch.row_count or batch.delete_count or batch.flaws:
            return True
        known = self._known.get(batch.table.name)
        if known is None or batch.key != known.key:
            return False
        return is_due(known, rules_of(self._settings(batch.table.name)).flag)

    def _remember(self, tables: Sequence[ConformedTable]) -> None:
        for table in tables:
            self._known[table.schema.table.name] = table.schema
            for change in table.changes:
                log.info(
                    "schema changed",
                    table=str(table.schema.table),
                    change=str(change.kind),
                    column=change.after.name if change.after else None,
                    version=table.schema.version,
                    reason=change.reason,
                )
        if any(table.changes for table in tables):
            self._note_rewritten()


def _refuse_losses(table: ConformedTable, settings: TableSettings) -> None:
    """Stop where the configuration wants no value or row set aside (C5)."""
    if not table.dead_letters:
        return
    first = table.dead_letters[0]
    if not settings.dead_letter_queue or (first.column and not settings.ignore_type_conversion_errors):
        key = "dead_letter_queue" if not settings.dead_letter_queue else "ignore_type_conversion_errors"
        raise TableFailure(
            f"A {'value' if first.column else 'row'} would have been set aside ({first.reason})",
            remedy=f"Mend it at the source, or set error_handling.{key}: true",
            table=table.schema.table,
            column=first.column,
        )
