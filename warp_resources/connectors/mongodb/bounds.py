"""Spells keys as text and as query operands, so that every BSON type keeps its place in the index order."""

from __future__ import annotations

import base64
from typing import Any

import bson
from bson import json_util
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument

from warp_resources.connectors.mongodb.originals import CANONICAL, exact_text
from warp_resources.connectors.mongodb.raw import DOCUMENT, KEY, Element, key_of
from warp_resources.errors import OperatorError

_RAW = "base64:"


def bound_text(raw: bytes) -> str:
    """The key of a raw document as the text of a bound: canonical extended JSON, or else raw BSON in base64."""
    key = key_of(raw)
    if key is None:
        raise OperatorError("A document came without a key", remedy="Report it with the collection's options")
    alone = key.named(KEY)
    text = exact_text(alone)
    return text if text is not None else _RAW + base64.b64encode(alone).decode()


def at_bound(text: str) -> RawBSONDocument:
    """``{"_id": <bound>}``, for ``min`` and ``max``."""
    return RawBSONDocument(_key(text).named(KEY))


def beside_bound(text: str) -> RawBSONDocument:
    """``{"_id": {"$ne": <bound>}}``, which leaves out the row at the bound alone."""
    return RawBSONDocument(Element(b"", DOCUMENT, _key(text).named("$ne")).named(KEY))


def _key(text: str) -> Element:
    try:
        if text.startswith(_RAW):
            key = key_of(base64.b64decode(text.removeprefix(_RAW), validate=True))
        else:
            bound: Any = json_util.loads(text, json_options=CANONICAL)
            key = key_of(bson.encode(bound))
    except (ValueError, TypeError, BSONError) as error:
        raise _unreadable() from error
    if key is None:
        raise _unreadable()
    return key


def _unreadable() -> OperatorError:
    return OperatorError("A stored bound of a slice cannot be read", remedy="Resync the table")
