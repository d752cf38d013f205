"""Reads documents in the forms that their values may take in a destination, for a compare from outside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from bson import Decimal128, ObjectId
from bson.codec_options import CodecOptions
from bson.json_util import CANONICAL_JSON_OPTIONS, dumps
from pymongo import MongoClient

_AWARE: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True)


class Forms(NamedTuple):
    """One value: as itself, as text, and as JSON whose numbers are decimals."""

    exact: object
    text: str | None
    json: object


class SourceRow(NamedTuple):
    """One document: its key as extended JSON, and its fields that are not null."""

    key: object
    fields: dict[str, Forms]


def read_documents(uri: str, database: str, collection: str) -> Iterator[SourceRow]:
    """Every document of a collection, committed by a majority."""
    client: MongoClient[dict[str, Any]] = MongoClient(uri)
    with client:
        found = client[database].get_collection(collection, codec_options=_AWARE)
        for document in found.find():
            key = json.loads(dumps({"_id": document["_id"]}, json_options=CANONICAL_JSON_OPTIONS))
            yield SourceRow(key, {name: _forms(value) for name, value in document.items() if value is not None})


def _forms(value: Any) -> Forms:
    nested = _json(value)
    if isinstance(value, dict | list):
        return Forms(value, None, nested)
    exact = (
        value.to_decimal() if isinstance(value, Decimal128) else str(value) if isinstance(value, ObjectId) else value
    )
    return Forms(exact, _text(value), nested)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return _iso(value) if isinstance(value, datetime) else str(value)


def _json(value: Any) -> object:
    if isinstance(value, dict):
        return {name: _json(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_json(item) for item in value]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return Decimal(repr(value)) if isinstance(value, float) else Decimal(int(value))
    if isinstance(value, Decimal128):
        return value.to_decimal()
    return _iso(value) if isinstance(value, datetime) else str(value)


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
