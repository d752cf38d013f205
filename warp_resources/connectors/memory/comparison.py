"""Compares a stored table with conformed chunks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from warp_resources.connectors.memory.alter import apply_changes
from warp_resources.connectors.memory.store import PENDING, Contents, MemoryStore, StoredRow, StoredTable
from warp_resources.connectors.memory.write import is_same
from warp_resources.errors import SchemaMoved
from warp_resources.model.batches import ConformedTable
from warp_resources.model.differences import Difference, DifferenceKind, Surplus
from warp_resources.model.tables import TableId


class MemoryComparison:
    """What ``interfaces.Comparison`` promises; a context manager with nothing to close."""

    def __init__(self, store: MemoryStore, table: TableId) -> None:
        self._store = store
        self._table = table
        self._seen: set[str] = set()

    def __enter__(self) -> MemoryComparison:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    def compare(self, part: ConformedTable) -> list[Difference]:
        """How the part's rows and deletes differ from what is stored."""
        contents = self._store.contents
        stored = contents.tables.get(self._table)
        if stored is None:
            return [Difference(row, DifferenceKind.MISSING, None) for row in range(part.rows.num_rows)]
        if stored.version != part.based_on:
            raise SchemaMoved("Another writer changed the table's schema", table=self._table)
        if part.changes:
            stored = stored.copy()
            apply_changes(stored, part.changes)
        return [*self._differing(contents, stored, part), *self._remaining(stored, part)]

    def surplus(self, limit: int, since: int) -> list[Surplus]:
        """Some of the rows that no part had the keys of."""
        stored = self._store.contents.tables.get(self._table)
        if stored is None:
            return []
        written = range(since + 1, stored.state.sequence + 1)
        unseen = (
            Surplus(key, row.sequence)
            for key, row in stored.rows.items()
            if key not in self._seen and row.sequence not in written and stored.is_live(row)
        )
        found = list(islice(unseen, limit))
        self._seen.update(its.key_text for its in found)
        return found

    def _differing(self, contents: Contents, stored: StoredTable, part: ConformedTable) -> Iterator[Difference]:
        names = [column.stored for column in part.schema.columns]
        held = {
            kept.letter.key_text
            for kept in contents.letters
            if kept.letter.table == self._table and kept.status == PENDING and kept.letter.column is None
        }
        keys = part.row_keys().to_pylist()
        self._seen.update(keys)
        for number, (key, row) in enumerate(zip(keys, part.rows.to_pylist(), strict=True)):
            known = stored.rows.get(key)
            kind = _kind(stored, known, {name: row.get(name) for name in names})
            if kind is not None:
                sequence = None if known is None else known.sequence
                yield Difference(number, DifferenceKind.SET_ASIDE if key in held else kind, sequence)

    def _remaining(self, stored: StoredTable, part: ConformedTable) -> Iterator[Difference]:
        keys = [] if part.deletes is None else part.delete_keys().to_pylist()
        for number, key in enumerate(keys):
            known = stored.rows.get(key)
            if known is not None and stored.is_live(known):
                yield Difference(number, DifferenceKind.SURPLUS, known.sequence)


def _kind(stored: StoredTable, known: StoredRow | None, wanted: dict[str, Any]) -> DifferenceKind | None:
    if known is None or not stored.is_live(known):
        return DifferenceKind.MISSING
    here = {name: known.values.get(name) for name in wanted}
    return None if is_same(here, wanted) else DifferenceKind.DIFFERENT
