"""Reads the records of dead letters back into documents."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from bson.errors import BSONError

from warp_resources.connectors.mongodb.originals import raw_of
from warp_resources.connectors.mongodb.raw import KEY, elements
from warp_resources.model.batches import UNREADABLE_RECORD, WITHHELD, Flaw, Original

_UNREADABLE = (BSONError, ValueError, TypeError, LookupError, ArithmeticError, RecursionError, struct.error)


def restored(originals: Sequence[Original]) -> tuple[list[bytes], list[Flaw]]:
    """The documents of records that can be read, and a flaw for each of the others."""
    documents: list[bytes] = []
    flaws: list[Flaw] = []
    for its in originals:
        raw = _document(its)
        if raw is None:
            flaws.append(Flaw(its, UNREADABLE_RECORD))
        else:
            documents.append(raw)
    return documents, flaws


def _document(original: Original) -> bytes | None:
    if original.encoding == WITHHELD:
        return None
    try:
        raw = raw_of(original.record, original.encoding)
        # What the decoder could not walk through would fail the whole batch.
        names = {field.name for field in elements(raw)}
    except _UNREADABLE:
        return None
    return raw if KEY.encode() in names else None
