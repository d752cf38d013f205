"""Spells keys as text and as query operands, so that every BSON type keeps its place in the index order."""

from __future__ import annotations

import base64
from typing import Any

import bson
from bson import json_util
from bson.raw_bson import RawBSONDocument

from warp_resources.connectors.mongodb.originals import CANONICAL, exact_text
from warp_resources.connectors.mongodb.raw import KEY, Element, document, elements, key_of
from warp_resources.errors import OperatorError

_RAW = "base64:"


def bound_text(raw: bytes) -> str:
    """The key of a raw document as the text of a bound: canonical extended JSON, or else raw BSON in base64."""
    key = _key(raw).named(KEY)
    text = exact_text(key)
    return text if text is not None else _RAW + base64.b64encode(key).decode()


def at_bound(text: str) -> RawBSONDocument:
    """``{"_id": <bound>}``, for ``min`` and ``max``."""
    return RawBSONDocument(_raw(text))


def beside_bound(text: str) -> RawBSONDocument:
    """``{"_id": {"$ne": <bound>}}``, which leaves out the row at the bound alone."""
    condition = _key(_raw(text)).named("$ne")
    return RawBSONDocument(document(b"\x03" + KEY.encode() + b"\0" + condition))


def _raw(text: str) -> bytes:
    try:
        if text.startswith(_RAW):
            return base64.b64decode(text.removeprefix(_RAW), validate=True)
        bound: Any = json_util.loads(text, json_options=CANONICAL)
        return next(elements(bson.encode({"": bound}))).value
    except (ValueError, TypeError, StopIteration) as error:
        raise OperatorError("A stored bound of a slice cannot be read", remedy="Resync the table") from error


def _key(raw: bytes) -> Element:
    key = key_of(raw)
    if key is None:
        raise OperatorError("A document came without a key", remedy="Report it with the collection's options")
    return key
