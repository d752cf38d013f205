"""Values and keys of every kind that a collection without a schema may hold."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import DatetimeMS, Decimal128, Int64, ObjectId

FAMILIES: tuple[tuple[Any, ...], ...] = (
    tuple(range(25)),
    ("1", "a", "b", "c", "d"),
    tuple(ObjectId(f"{number:024x}") for number in range(5)),
    (0.5, 2.5),
)
"""Keys, by family: a collection begins with the first and gets others later."""

_SCALARS: tuple[Any, ...] = (
    True,
    False,
    0,
    1,
    -3,
    2**31,
    Int64(2**53 + 1),
    Int64(-(2**63)),
    19999.5,
    0.1,
    -0.0,
    1e300,
    float("nan"),
    Decimal128("1.10"),
    Decimal128("3.0"),
    Decimal128("-7"),
    "",
    "7",
    "0123",
    "true",
    "3.0",
    "naïve",
    "nul\0here",
    "2024-01-01T00:00:00.000Z",
    *(datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=hours) for hours in range(3)),
    DatetimeMS(253_402_300_800_000),
    DatetimeMS(-62_167_219_200_000),
    DatetimeMS(2**62),
    b"\x00\xff",
    ObjectId("65a0b1c2d3e4f5a6b7c8d9e0"),
    None,
)


def ugly_value(rnd: random.Random) -> Any:
    """A scalar, at times an object or an array of some."""
    draw = rnd.random()
    if draw < 0.15:
        return {name: rnd.choice(_SCALARS) for name in rnd.sample(["x", "y", "z"], rnd.randrange(3))}
    if draw < 0.25:
        return [rnd.choice(_SCALARS) for _ in range(rnd.randrange(3))]
    return rnd.choice(_SCALARS)
