"""Key texts are equal where keys are, and only there."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warp_resources.connectors.memory.keys import spell_key


@pytest.mark.parametrize(
    ("left", "right", "is_equal"),
    [
        (1, 1.0, True),
        (100, Decimal("1E+2"), True),
        (0.1, Decimal("0.1"), True),
        (0.0, -0.0, True),
        (1, True, False),
        (1, "1", False),
        ("a", b"a", False),
        ("2024-01-01", "2024-01-02", False),
        (float("nan"), float("nan"), True),
    ],
)
def test_keys_are_equal_by_value_within_a_family(left: object, right: object, is_equal: bool) -> None:
    assert (spell_key((left,)) == spell_key((right,))) is is_equal


@given(st.integers(), st.integers())
def test_integers_are_told_apart(left: int, right: int) -> None:
    assert (spell_key((left,)) == spell_key((right,))) == (left == right)


@given(st.lists(st.text(), max_size=3), st.lists(st.text(), max_size=3))
def test_compound_keys_are_told_apart(left: list[str], right: list[str]) -> None:
    assert (spell_key(tuple(left)) == spell_key(tuple(right))) == (left == right)
