"""Writes the sub-documents and arrays that a walk has found as canonical JSON text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bson
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from bson.errors import InvalidBSON

from warp_resources.arrow.json import canonical_json
from warp_resources.connectors.mongodb.codec import CODEC
from warp_resources.connectors.mongodb.columns import Field
from warp_resources.connectors.mongodb.proof import field_size
from warp_resources.connectors.mongodb.raw import ARRAY
from warp_resources.connectors.mongodb.types import JSON
from warp_resources.connectors.mongodb.vector_scalars import CARRIERS, Unproved, read_scalars, slices
from warp_resources.connectors.mongodb.vectors import NULL, Fields, Positions, Walk, follow, walk_nested

# Fewer values cost less one by one; more layouts than these are left to that way too.
_WORTHWHILE_VALUES, _LAYOUTS = 100, 8
_DEEPEST = 8


def read_nested(walk: Walk, fields: Fields, depth: int = 0) -> pa.Array:
    """The values of a field that are documents or arrays, as JSON text; nulls stay null.

    Raises:
        Unproved: something within is not exact.
    """
    if fields.is_null is None:
        return _texts(walk, fields, depth)
    present = ~fields.is_null
    texts = _texts(walk, fields.only(present), depth)
    places = np.cumsum(present) - 1
    return texts.take(pa.array(np.where(present, places, 0), mask=fields.is_null))


def _texts(walk: Walk, values: Fields, depth: int) -> pa.Array:
    """Values of one layout at a time; what is left over, one by one."""
    rest, parts, order = walk_nested(walk, values), [], []
    for _ in range(_LAYOUTS if depth < _DEEPEST else 0):
        if len(rest.rows) < _WORTHWHILE_VALUES:
            break
        here = Walk(rest.buffer, rest.rows, rest.at, rest.end)
        fields = follow(here)
        if fields is None or not len(here.rows):
            break
        parts.append(_joined(here, fields, values.type == ARRAY, depth))
        order.append(here.rows)
        rest = rest.only(~np.isin(rest.rows, here.rows, assume_unique=True))
    if len(rest.rows):
        parts.append(_one_by_one(walk, values, rest.rows))
        order.append(rest.rows)
    return _in_order(parts, order)


def _in_order(parts: Sequence[pa.Array], order: Sequence[Positions]) -> pa.Array:
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return pa.array([], pa.string())
    back = np.argsort(np.concatenate(order), kind="stable")
    return pa.concat_arrays(parts).take(pa.array(back))


def _joined(walk: Walk, fields: Sequence[Fields], is_array: bool, depth: int) -> pa.Array:
    opening, closing = ("[", "]") if is_array else ("{", "}")
    pieces: list[Any] = []
    text = opening
    for number, part in enumerate(fields):
        text += ("," if number else "") + ("" if is_array else _name(part.name) + ":")
        pieces += [text, _value_texts(walk, part, depth)]
        text = ""
    if not pieces:
        return pa.array([opening + closing] * len(walk.rows), pa.string())
    return pc.binary_join_element_wise(*pieces, text + closing, "")


def _name(name: str) -> str:
    try:
        return orjson.dumps(name).decode()
    except orjson.JSONEncodeError as error:
        raise Unproved from error


def _value_texts(walk: Walk, fields: Fields, depth: int) -> pa.Array:
    if fields.type == NULL:
        return pa.array(["null"] * len(walk.rows), pa.string())
    carrier = CARRIERS.get(fields.type)
    if carrier is None:
        texts = read_nested(walk, fields, depth + 1)
    else:
        texts = canonical_json(read_scalars(walk, fields), carrier.type)
    return texts if fields.is_null is None else pc.fill_null(texts, "null")


def _one_by_one(walk: Walk, values: Fields, rows: Positions) -> pa.Array:
    picked = Fields(values.name, values.type, values.at[rows], values.size[rows], None)
    parts = slices(walk, picked.at, picked.at + picked.size, None)
    # One run of documents: an array is a document whose names are 0, 1, 2, ...
    run = b"".join(parts.to_pylist())
    try:
        found: list[Any] = bson.decode_all(run, CODEC)
    except (InvalidBSON, UnicodeDecodeError) as error:
        raise Unproved from error
    if values.type == ARRAY:
        found = [list(document.values()) for document in found]
    kind = list if values.type == ARRAY else dict
    # The driver keeps the last of two fields of one name: then these are fewer bytes than were read.
    if field_size(Field(values.name, found, frozenset((kind,)))) != len(run):
        raise Unproved
    return JSON.convert(found)
