"""Reads the records of dead letters back into rows."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from warp_resources.connectors.memory.server import Row
from warp_resources.errors import OperatorError
from warp_resources.model.batches import UNREADABLE_RECORD, WITHHELD, Flaw, Original


def restored(originals: Sequence[Original], key: Sequence[str]) -> tuple[list[Row], list[Flaw]]:
    """The rows of records that can be read, and a flaw for each of the others."""
    rows: list[Row] = []
    flaws: list[Flaw] = []
    for its in originals:
        try:
            rows.append(_row(its, key))
        except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError, OperatorError):
            flaws.append(Flaw(its, UNREADABLE_RECORD))
    return rows, flaws


def _row(original: Original, key: Sequence[str]) -> Row:
    if original.encoding == WITHHELD:
        raise ValueError("only the key was kept")
    row = plain(json.loads(original.record))
    if not isinstance(row, dict) or any(row.get(name) is None for name in key):
        raise ValueError("the record is no row with a key")
    return row


def plain(value: Any) -> Any:
    """A value of a record as the row had it."""
    if isinstance(value, list):
        return [plain(part) for part in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        [(name, content)] = value.items()
        if name in _READERS:
            return _READERS[name](content)
    return {name: plain(part) for name, part in value.items()}


def _moment(text: str) -> date:
    return datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text)


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "$numberDouble": float,
    "$numberDecimal": Decimal,
    "$binary": lambda content: base64.b64decode(content["base64"]),
    "$uuid": uuid.UUID,
    "$date": _moment,
    "$time": time.fromisoformat,
}
