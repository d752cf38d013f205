"""Decodes the documents of one layout all at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from warp_resources.connectors.mongodb.raw import KEY
from warp_resources.connectors.mongodb.types import JSON
from warp_resources.connectors.mongodb.vector_json import read_nested
from warp_resources.connectors.mongodb.vector_scalars import CARRIERS, Unproved, read_scalars
from warp_resources.connectors.mongodb.vectors import NULL, Fields, Positions, Walk, follow, walk_documents
from warp_resources.model.batches import RawColumn


@dataclass(frozen=True, slots=True)
class Uniform:
    """Columns of the documents ``rows`` (by number, in order), which all have one layout."""

    columns: tuple[RawColumn, ...]
    rows: Positions


def decode_uniform(raw: Sequence[bytes]) -> Uniform | None:
    """The columns of those documents that share the first one's layout; None where that one has to be
    decoded by itself.
    """
    walk = walk_documents(raw)
    found = follow(walk)
    if found is None or not len(walk.rows):
        return None
    try:
        return Uniform(tuple(_column(walk, fields) for fields in found), walk.rows)
    except Unproved:
        return None


def _column(walk: Walk, fields: Fields) -> RawColumn:
    try:
        fields.name.encode()
    except UnicodeEncodeError as error:
        raise Unproved from error
    carrier = CARRIERS.get(fields.type)
    if fields.name == KEY and (carrier is None or fields.is_null is not None):
        # Keys that are documents or null have a spelling of their own.
        raise Unproved
    if fields.type == NULL:
        return RawColumn(fields.name, ())
    if carrier is None:
        return RawColumn(fields.name, (JSON.carry(read_nested(walk, fields)),))
    return RawColumn(fields.name, (carrier.carry(read_scalars(walk, fields)),))
