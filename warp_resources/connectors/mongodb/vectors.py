"""Walks many documents at once: positions, not objects, go from field to field.

A layout is the sequence of names and types of a document's fields. The first document gives it;
those that follow it are walked field by field as vectors, null being allowed anywhere. The types' and
names' bytes of every document are compared, which is the proof: whatever differs is left to others.

Source: the BSON specification 1.1, https://bsonspec.org/spec.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from warp_resources.connectors.mongodb.raw import ARRAY, DOCUMENT, Element, MalformedDocument, elements

Bytes: TypeAlias = npt.NDArray[np.uint8]
Positions: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]

STRING, NULL = 0x02, 0x0A
FIXED = {
    0x01: 8,  # double
    0x07: 12,  # ObjectId
    0x08: 1,  # bool
    0x09: 8,  # date
    0x10: 4,  # int32
    0x12: 8,  # int64
    0x13: 16,  # Decimal128
}
NESTED = (DOCUMENT, ARRAY)
READ_HERE = frozenset({*FIXED, *NESTED, STRING, NULL})
_HEADER_BYTES, _SHORTEST_DOCUMENT, _SHORTEST_TEXT = 4, 5, 1
_PADDING = b"\0" * 32
_WORD = 8


@dataclass(frozen=True, slots=True)
class Fields:
    """What was found of one field: where its values begin, how long they are, which are null."""

    name: str
    type: int
    at: Positions
    size: Positions
    is_null: Mask | None

    def only(self, mask: Mask) -> Fields:
        nulls = None if self.is_null is None else self.is_null[mask]
        return replace(self, at=self.at[mask], size=self.size[mask], is_null=nulls)


@dataclass(slots=True)
class Walk:
    """Documents within one run of bytes: their numbers, and where each one's reading is and ends."""

    buffer: Bytes
    rows: Positions
    at: Positions
    end: Positions

    def keep(self, mask: Mask) -> None:
        self.rows, self.at, self.end = self.rows[mask], self.at[mask], self.end[mask]

    def only(self, mask: Mask) -> Walk:
        return Walk(self.buffer, self.rows[mask], self.at[mask], self.end[mask])

    def window(self, at: Positions, width: int) -> Bytes:
        """``width`` bytes from each position, a row each."""
        return self.numbers(at, f"V{width}").view(np.uint8).reshape(len(at), width)

    def numbers(self, at: Positions, form: str) -> npt.NDArray[Any]:
        """The number, of a dtype of numpy, that begins at each position."""
        kind = np.dtype(form)
        everywhere: npt.NDArray[Any] = np.ndarray(
            (len(self.buffer) - kind.itemsize + 1,), kind, self.buffer, strides=(1,)
        )
        return everywhere[at]

    def is_at(self, at: Positions, expected: bytes) -> Mask:
        """Whether the expected bytes, padding aside, are what begins at each position."""
        at = np.minimum(at, len(self.buffer) - len(expected) - _WORD)
        found = np.ones(len(at), np.bool_)
        # Eight bytes at a time: as one number they are compared at once.
        for start in range(0, len(expected), _WORD):
            piece = expected[start : start + _WORD]
            mask = np.uint64(2 ** (8 * len(piece)) - 1)
            found &= self.numbers(at + start, "<u8") & mask == np.uint64(int.from_bytes(piece, "little"))
        return found

    def first_layout(self) -> list[Element]:
        """The fields of the first document; empty where they cannot all be walked here."""
        first = self.buffer[int(self.at[0]) - _HEADER_BYTES : int(self.end[0])].tobytes()
        return list(elements(first))


def walk_documents(raw: Sequence[bytes]) -> Walk:
    """A walk that is about to begin, at the first field of each document."""
    lengths = np.fromiter(map(len, raw), np.int64, len(raw))
    end = np.cumsum(lengths)
    buffer = np.frombuffer(b"".join([*raw, _PADDING]), np.uint8)
    return Walk(buffer, np.arange(len(raw)), end - lengths + _HEADER_BYTES, end)


def walk_nested(walk: Walk, values: Fields) -> Walk:
    """A walk over the values of a field that are documents or arrays themselves."""
    return Walk(walk.buffer, np.arange(len(values.at)), values.at + _HEADER_BYTES, values.at + values.size)


def follow(walk: Walk) -> list[Fields] | None:
    """Walk the documents that share the first one's layout; the others drop out of ``walk``.

    Returns:
        The fields, in order, each of all documents that are left; None where a layout cannot be walked.
    """
    try:
        layout = walk.first_layout()
    except (MalformedDocument, ValueError):
        return None
    names = {field.name for field in layout}
    if len(names) != len(layout) or not READ_HERE.issuperset(field.type for field in layout):
        return None
    found: list[Fields] = []
    for field in layout:
        found = _step(walk, field, found)
    at_end = (walk.at == walk.end - 1) & (walk.buffer[walk.at] == 0)
    walk.keep(at_end)
    return [fields.only(at_end) for fields in found]


def _step(walk: Walk, field: Element, before: list[Fields]) -> list[Fields]:
    """Find one field in every document; documents that lack it drop out of the walk."""
    name = field.name + b"\0"
    types = walk.buffer[walk.at]
    is_null = types == NULL
    in_step = ((types == field.type) | is_null) & (walk.at + len(name) < walk.end)
    in_step &= walk.is_at(walk.at + 1, name)
    at = walk.at + 1 + len(name)
    size = np.where(is_null, 0, _sizes(walk, field.type, np.where(in_step, at, 0)))
    in_step &= (size >= 0) & (at + size < walk.end)
    found = before
    if not in_step.all():
        walk.keep(in_step)
        found = [fields.only(in_step) for fields in before]
        at, size, is_null = at[in_step], size[in_step], is_null[in_step]
    walk.at = at + size
    text = field.name.decode("utf-8", "surrogateescape")
    return [*found, Fields(text, field.type, at, size, is_null if is_null.any() else None)]


def _sizes(walk: Walk, kind: int, at: Positions) -> Positions | int:
    if kind == NULL:
        return 0
    if kind in FIXED:
        return FIXED[kind]
    lengths: Positions = walk.numbers(at, "<i4").astype(np.int64)
    if kind == STRING:
        return np.where(lengths >= _SHORTEST_TEXT, lengths + 4, -1)
    return np.where(lengths >= _SHORTEST_DOCUMENT, lengths, -1)
