"""Key texts are equal where keys are, and only there."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warp_resources.arrow.keys import key_texts
from warp_resources.connectors.memory.columns import raw_columns
from warp_resources.connectors.memory.key_texts import key_of
from warp_resources.connectors.memory.keys import spell_key


@pytest.mark.parametrize(
    ("left", "right", "is_equal"),
    [
        (1, 1.0, True),
        (100, Decimal("1E+2"), True),
        (0.1, Decimal("0.1"), False),
        (0.5, Decimal("0.50"), True),
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


# SPEC: E11
@pytest.mark.parametrize(
    "key", [1, 2**62, 2.0**62, 2.0**63, 2**70, 2**70 + 1, 0.1, Decimal("0.1"), Decimal("9223372036854776000"), -0.5]
)
def test_a_number_is_found_again_by_its_text(key: object) -> None:
    [text] = key_texts(raw_columns([{"_id": key}])[0].variants, 1).to_pylist()
    assert spell_key(key_of(f'{{"_id": {text}}}', ["_id"])) == spell_key((key,))
