"""How far a slice is read, as text that other processes and versions read."""

from __future__ import annotations

import pytest

from warp_resources.connectors.bigquery.places import Place, place_in
from warp_resources.model.positions import KeyRange


@pytest.mark.parametrize(
    "place",
    [Place(), Place("s", 3), Place("s", 3, expired=1), Place("s", 3, lower="1", cuts=("5", '"x"')), Place(lower="5")],
)
def test_a_place_comes_back_from_its_text(place: Place) -> None:
    # SPEC: M5
    assert place_in(place.text()) == place


def test_the_text_of_most_slices_is_what_it_always_was() -> None:
    assert Place("s", 3).text() == '{"stream": "s", "offset": 3}'
    assert place_in('{"stream": "s", "offset": 3}') == Place("s", 3)


@pytest.mark.parametrize(
    "text",
    [
        *("", "7", "null", "[]", '{"_id": 1}', '{"stream": 1, "offset": 2}', '{"stream": "s", "offset": -1}'),
        *('{"stream": "s", "offset": true}', '{"stream": "s", "offset": 1, "cuts": "x"}', "[" * 100_000),
    ],
    ids=range(10),
)
def test_another_text_is_no_place(text: str) -> None:
    assert place_in(text) is None


def test_the_parts_of_a_slice_are_all_of_it() -> None:
    whole = KeyRange("0", "9")
    first = Place("s", 3, lower="0", cuts=("2", "5"))
    second = first.next_part()
    last = second.next_part()
    parts = [place.part(whole) for place in (first, second, last)]
    assert parts == [KeyRange("0", "2"), KeyRange("2", "5"), KeyRange("5", "9")]
    assert last == Place(lower="5")
    assert Place("s", 3).part(whole) == whole
    assert Place("s", 3, cuts=("2",)).part(KeyRange()) == KeyRange(None, "2")
