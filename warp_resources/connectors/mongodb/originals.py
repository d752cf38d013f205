"""Keeps a source document losslessly as text, for dead letters."""

from __future__ import annotations

import base64
from typing import Any

import bson
from bson import json_util
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.errors import BSONError

from warp_resources.connectors.mongodb.raw import MalformedDocument, elements, key_of
from warp_resources.model.batches import Original

# Dates as numbers of milliseconds: a datetime has no year 0 and none after 9999.
CODEC: CodecOptions[dict[str, Any]] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_MS)
CANONICAL = json_util.JSONOptions(
    json_mode=json_util.JSONMode.CANONICAL, tz_aware=False, datetime_conversion=DatetimeConversion.DATETIME_MS
)
EXTENDED_JSON, BASE64 = "extended_json", "base64"


def original(raw: bytes) -> Original:
    """A document as canonical extended JSON where that reads back byte for byte, else in base64."""
    record, encoding = spelled(raw)
    return Original(record, encoding, primary_key(raw))


def primary_key(raw: bytes) -> str:
    """The document's ``_id`` as a JSON object in canonical extended JSON.

    Where that is not lossless, the key is ``{"_id": {"$bson": <base64 of {"_id": ...}>}}``.
    """
    try:
        key = key_of(raw)
    except (MalformedDocument, ValueError):
        key = None
    if key is None:
        return "{}"
    text, encoding = spelled(key.named("_id"))
    return text if encoding == EXTENDED_JSON else json_util.dumps({"_id": {"$bson": text}})


def raw_of(record: str, encoding: str) -> bytes:
    """The document that ``original`` was made of."""
    if encoding == BASE64:
        return base64.b64decode(record)
    return _encoded(record)


def exact_text(raw: bytes) -> str | None:
    """A document as canonical extended JSON, None where that would not read back byte for byte."""
    try:
        text: str = json_util.dumps(bson.decode(raw, CODEC), json_options=CANONICAL)
        return text if _encoded(text) == raw else None
    except (BSONError, ValueError, TypeError, OverflowError, RecursionError):
        return None


def spelled(raw: bytes) -> tuple[str, str]:
    """A document as text, with the encoding of that text."""
    text = exact_text(raw)
    return (base64.b64encode(raw).decode(), BASE64) if text is None else (text, EXTENDED_JSON)


def _encoded(text: str) -> bytes:
    value = json_util.loads(text, json_options=CANONICAL)
    # Encoded as a value, since encoding a document by itself would move its `_id` to the front.
    return next(elements(bson.encode({"": value}))).value
