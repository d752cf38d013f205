"""Keeps a row of Python values whole, as extended JSON."""

from __future__ import annotations

import base64
import json
import math
import uuid
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from warp_resources.model.batches import Original


def original(row: dict[str, Any], key: tuple[str, ...]) -> Original:
    """A row as its dead letter will keep it."""
    names = {name: row[name] for name in key}
    return Original(extended_json(row), "extended_json", extended_json(names))


def extended_json(value: Any) -> str:
    """One value as extended JSON."""
    return json.dumps(_extended(value), ensure_ascii=False)


def _extended(value: Any) -> Any:
    match value:
        case dict():
            return {str(name): _extended(part) for name, part in value.items()}
        case list():
            return [_extended(part) for part in value]
        case float() if not math.isfinite(value):
            return {"$numberDouble": "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"}
        case Decimal():
            return {"$numberDecimal": str(value)}
        case bytes():
            return {"$binary": {"base64": base64.b64encode(value).decode(), "subType": "00"}}
        case uuid.UUID():
            return {"$uuid": str(value)}
        case datetime():
            return {"$date": value.isoformat()}
        case date():
            return {"$date": value.isoformat()}
        case time():
            return {"$time": value.isoformat()}
    return value
