"""Compares a table with its source, slice by slice, without an alarm because of changes under way."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog

from warp_resources.arrow.keys import key_object
from warp_resources.connectors.interfaces import Comparison
from warp_resources.errors import OperatorError, SchemaMoved
from warp_resources.model.batches import TableBatch
from warp_resources.model.differences import DifferenceKind
from warp_resources.model.positions import ChunkBasis, KeyRange, slice_name
from warp_resources.model.tables import TableId
from warp_resources.model.verifications import MOST_KEYS, DifferingKey, SliceCounts, Verification
from warp_resources.pipeline.behind import keys_behind, keys_moved
from warp_resources.pipeline.looking import Suspect, look, look_again, portions
from warp_resources.pipeline.sides import Sides, has_table, read_range
from warp_resources.pipeline.snapshot import ChunkReport, OnChunk, ignore_chunk

READINGS = 4
"""How often a key is read again whose row moves between the readings."""
MENDINGS = 3
MOST_SUSPECTS = 20_000
_RESTARTS = 3
_GONE = "the source table no longer exists; its rows are kept"

Mend = Callable[[Sequence[str]], None]
"""Writes the rows of some keys, given as JSON objects, again."""

log = structlog.get_logger(__name__)


def verify_table(
    sides: Sides, name: str, *, mend: Mend | None = None, on_chunk: OnChunk = ignore_chunk
) -> Verification:
    """Compare all rows of a table by their values; ``mend`` is given the keys that differ.

    A key differs only if it does in two readings, the second with the stream past the position of the first
    and the row in the destination untouched between them.

    Raises:
        OperatorError: there is nothing to compare yet, or it is not known what the stream has yet to bring.
    """
    table = sides.table(name)
    if reason := _nothing_to_compare(sides, table):
        return Verification(table, note=reason)
    for _ in range(_RESTARTS - 1):
        try:
            return _Verifying(sides, table, mend, on_chunk).run()
        except SchemaMoved as moved:
            log.info("the comparison begins anew", table=str(table), reason=str(moved))
            sides.writer.refresh()
    return _Verifying(sides, table, mend, on_chunk).run()


def _nothing_to_compare(sides: Sides, table: TableId) -> str:
    state = sides.destination.table_states(table.schema).get(table.name)
    if state is None or not state.is_loaded:
        raise OperatorError(
            "The table is not loaded yet, so there is nothing to compare",
            remedy=f"Load it first: cartridge-warp run --once --schema {table.schema}",
            table=table,
        )
    return "" if has_table(sides.source, sides.scope, table.name) else _GONE


def _primary_key(table: TableId, names: Sequence[str], text: str) -> str:
    """A stored key as a JSON object by column; only a row that somebody else has put in has another one."""
    try:
        found = key_object(names, text)
        json.loads(found)
    except ValueError as error:
        raise OperatorError(
            "The destination has a row that cartridge-warp did not write",
            remedy=f"Delete it, or read the table anew: cartridge-warp resync --table {table}",
            table=table,
            key=text,
        ) from error
    return found


class _Verifying:
    """One comparison of a table from its first chunk to its last doubt."""

    def __init__(self, sides: Sides, table: TableId, mend: Mend | None, on_chunk: OnChunk) -> None:
        self._sides = sides
        self._table = table
        self._mend = mend
        self._on_chunk = on_chunk
        self._suspects: dict[str, Suspect] = {}
        self._result = Verification(table)

    def run(self) -> Verification:
        sides, table = self._sides, self._table
        begun = sides.destination.chunk_basis(table)
        with sides.destination.comparison(table) as comparison:
            plan = sides.destination.table_plan(table) or [KeyRange()]
            for number, key_range in enumerate(plan):
                self._result.slices.append(SliceCounts(slice_name(number)))
                for batch, basis in read_range(sides, table, key_range):
                    self._look(comparison, batch, basis, number)
            while self._goes_on() and (found := comparison.surplus(MOST_SUSPECTS, begun.sequence)):
                key = sides.source.key(sides.scope, table.name) or ()
                for its in found:
                    primary_key = _primary_key(table, key, its.key_text)
                    suspect = Suspect(its.key_text, primary_key, DifferenceKind.SURPLUS, its.sequence, is_fresh=False)
                    self._suspects.setdefault(its.key_text, suspect)
                self._settle(comparison)
            self._settle(comparison)
        return self._result if self._exists() else Verification(table, note=_GONE)

    def _goes_on(self) -> bool:
        return not self._sides.stop.is_set() and self._exists()

    def _exists(self) -> bool:
        return has_table(self._sides.source, self._sides.scope, self._table.name)

    def _look(self, comparison: Comparison, batch: TableBatch, basis: ChunkBasis, number: int) -> None:
        counts = self._result.slices[number]
        seen = look(self._sides, comparison, batch, basis, number)
        counts.rows += seen.rows
        counts.set_aside += seen.set_aside
        self._suspects |= {suspect.key_text: suspect for suspect in seen.suspects}
        self._on_chunk(ChunkReport(self._table, counts.name, batch.row_count, batch.byte_count))
        if len(self._suspects) >= MOST_SUSPECTS:
            self._settle(comparison)

    def _settle(self, comparison: Comparison) -> None:
        """Read the suspects again, count those that differ, and mend them."""
        suspects, self._suspects = self._suspects, {}
        sure = self._confirmed(comparison, suspects)
        if not sure or not self._exists():
            return
        for its in sure.values():
            self._count(its)
        if self._mend is None:
            return
        left = sure
        for _ in range(MENDINGS):
            for part in portions(left.values(), self._sides.unit.max_bytes):
                self._mend([its.primary_key for its in part])
            left = self._confirmed(comparison, self._again(comparison, left))
            if self._sides.stop.is_set():
                # What was mended last is not known.
                return
            if not left:
                break
        self._result.mended += len(sure) - len(left)

    def _confirmed(self, comparison: Comparison, suspects: dict[str, Suspect]) -> dict[str, Suspect]:
        sure: dict[str, Suspect] = {}
        for _ in range(READINGS):
            if not suspects or self._sides.stop.is_set():
                return sure
            late = keys_behind(self._sides, self._table)
            position = self._sides.destination.chunk_basis(self._table).stream_position
            rest: dict[str, Suspect] = {}
            absent: dict[str, Suspect] = {}
            for text, its in self._again(comparison, suspects).items():
                before = suspects[text]
                if text in late:
                    self._unsettled(its)
                    self._result.late += 1
                elif before.is_fresh or its.sequence != before.sequence:
                    rest[text] = its
                elif its.sequence is None:
                    absent[text] = its
                else:
                    sure[text] = its
            # A row that is not there has no sequence to show that it came and went between the readings.
            moved = keys_moved(self._sides, self._table, position) if absent else frozenset()
            if self._sides.stop.is_set():
                return {}
            for text, its in absent.items():
                (rest if text in moved else sure)[text] = its
            suspects = rest
        for its in suspects.values():
            self._unsettled(its)
        self._result.moving += len(suspects)
        return sure

    def _unsettled(self, its: Suspect) -> None:
        if its.slice is not None and its.kind is not DifferenceKind.SURPLUS:
            self._result.slices[its.slice].unsettled += 1

    def _again(self, comparison: Comparison, suspects: dict[str, Suspect]) -> dict[str, Suspect]:
        found = {}
        for part in portions(suspects.values(), self._sides.unit.max_bytes):
            for its in look_again(self._sides, comparison, self._table, part):
                if its.key_text in suspects:
                    found[its.key_text] = replace(its, slice=suspects[its.key_text].slice)
        return found

    def _count(self, its: Suspect) -> None:
        result = self._result
        if its.slice is None or its.kind is DifferenceKind.SURPLUS:
            result.surplus += 1
        elif its.kind is DifferenceKind.MISSING:
            result.slices[its.slice].missing += 1
        else:
            result.slices[its.slice].different += 1
        if len(result.keys) < MOST_KEYS:
            result.keys.append(DifferingKey(its.primary_key, its.kind))
