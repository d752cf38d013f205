"""Cuts keys into portions of which each fits into one request as a parameter."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

MOST_BYTES = 4_000_000
"""Of the parameters of one request, which BigQuery takes up to 10 MB of, with everything around them."""
_AROUND = 100
"""How much a value has around it, at most."""


def portions(keys: Iterable[str], most_bytes: int = MOST_BYTES) -> Iterator[list[str]]:
    """The keys in their order; a key that is larger than the limit is a portion by itself."""
    portion: list[str] = []
    size = 0
    for key in keys:
        # As the request has it, where a character may take six bytes, or twice as many.
        its = len(json.dumps(key)) + _AROUND
        if portion and size + its > most_bytes:
            yield portion
            portion, size = [], 0
        portion.append(key)
        size += its
    if portion:
        yield portion
