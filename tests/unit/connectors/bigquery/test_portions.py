"""Keys go into requests in portions that there is room for."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from warp_resources.connectors.bigquery.portions import MOST_BYTES, portions


@given(st.lists(st.text(max_size=30), max_size=30), st.integers(1, 400))
def test_every_key_is_in_one_portion_and_each_has_room(keys: list[str], most: int) -> None:
    found = list(portions(keys, most))
    assert [key for portion in found for key in portion] == keys
    assert all(found)
    assert all(len(portion) == 1 or sum(len(json.dumps(key)) for key in portion) <= most for portion in found)


def test_usual_keys_are_one_portion_and_many_are_several() -> None:
    assert len(list(portions(f'{{"_id": {number}}}' for number in range(5000)))) == 1
    large = list(portions(("\U0001f600" * 10_000 for _ in range(100)), MOST_BYTES))
    assert len(large) == 4
