"""Compares one batch of a source with its table and says which keys look wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from warp_resources.arrow.keys import key_object
from warp_resources.connectors.interfaces import Comparison
from warp_resources.errors import SchemaMoved
from warp_resources.model.batches import ConformedTable, TableBatch
from warp_resources.model.differences import DifferenceKind
from warp_resources.model.positions import ChunkBasis
from warp_resources.model.tables import TableId
from warp_resources.pipeline.freshness import not_before
from warp_resources.pipeline.sides import Sides

ATTEMPTS = 5
KEYS_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Suspect:
    """A key that was not the same on both sides in one reading.

    ``is_fresh``: the destination's row is newer than the reading, so that it may well be right. ``slice`` is the
    index of the slice that the key was read in, None for a key that no slice had. ``byte_count`` is the source row's
    share of what was read, so that the suspects of a chunk are together no more than the chunk.
    """

    key_text: str
    primary_key: str
    kind: DifferenceKind
    sequence: int | None
    is_fresh: bool
    slice: int | None = None
    byte_count: int = 0


@dataclass(slots=True)
class Look:
    """What one comparison has shown: the rows read, those set aside whole, and the keys that look wrong."""

    rows: int = 0
    set_aside: int = 0
    suspects: list[Suspect] = field(default_factory=list)


def look(sides: Sides, comparison: Comparison, batch: TableBatch, basis: ChunkBasis, number: int | None = None) -> Look:
    """Compare a batch that was read after ``basis`` was noted.

    Raises:
        SchemaMoved: the table's key changed, so that the comparison has to begin anew.
    """
    for attempt in range(ATTEMPTS):
        part = sides.writer.fitted(batch)
        try:
            found = comparison.compare(part)
            break
        except SchemaMoved:
            if attempt == ATTEMPTS - 1:
                raise
            sides.writer.refresh()
    barred = sum(letter.column is None for letter in part.dead_letters)
    seen = Look(part.rows.num_rows + barred, barred)
    if not found:
        return seen
    texts = _Texts(part)
    # What a commit since has written; a sequence beyond it is none of ours.
    newer = range(basis.sequence + 1, sides.destination.chunk_basis(batch.table).sequence + 1)
    share = batch.byte_count // len(found)
    for its in found:
        if its.kind is DifferenceKind.SET_ASIDE:
            seen.set_aside += 1
            continue
        text = texts.of(its.row, is_delete=its.kind is DifferenceKind.SURPLUS)
        is_fresh = its.sequence is not None and its.sequence in newer
        key = key_object(batch.key, text)
        seen.suspects.append(Suspect(text, key, its.kind, its.sequence, is_fresh, number, share))
    return seen


def look_again(sides: Sides, comparison: Comparison, table: TableId, suspects: Sequence[Suspect]) -> list[Suspect]:
    """Read suspected keys anew; those that still look wrong."""
    basis = sides.destination.chunk_basis(table)
    keys = [suspect.primary_key for suspect in suspects]
    batch = sides.source.read_keys(sides.scope, table.name, keys, not_before(sides.source, basis))
    return look(sides, comparison, batch, basis).suspects


def portions(suspects: Iterable[Suspect], most_bytes: int) -> Iterator[list[Suspect]]:
    """Suspects to be read at once: not too many, and no more bytes than there is room for, or one."""
    part: list[Suspect] = []
    size = 0
    for its in suspects:
        size += its.byte_count
        if part and (len(part) == KEYS_AT_ONCE or size > most_bytes):
            yield part
            part, size = [], its.byte_count
        part.append(its)
    if part:
        yield part


class _Texts:
    """The keys of a part's rows and deletes as text, spelled when first asked for."""

    def __init__(self, part: ConformedTable) -> None:
        self._rows, self._deletes = part.row_keys, part.delete_keys

    def of(self, row: int, *, is_delete: bool) -> str:
        text: str = (self._deletes if is_delete else self._rows)()[row].as_py()
        return text
