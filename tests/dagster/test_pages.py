"""What an asset page shows beside numbers: a preview of rows and a small picture."""

from __future__ import annotations

import base64
import re
from xml.etree import ElementTree

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warp_resources.dagster_bridge.preview import preview
from warp_resources.dagster_bridge.trend import trend


def test_a_preview_is_a_table_of_text() -> None:
    # SPEC: D6
    rows = pa.table({"id": ["1", "2"], "a|b": ["x | y", None], "text": ["<b>_bold_</b>\nsecond line", "z" * 100]})
    lines = (preview(rows).value or "").splitlines()
    assert len(lines) == 4
    assert "a\\|b" in lines[0]
    assert "x \\| y" in lines[2]
    assert "\\<b\\>\\_bold\\_\\</b\\> second line" in lines[2]
    assert "…" in lines[3]
    assert "z" * 40 not in lines[3]


def test_a_preview_of_a_wide_table_counts_what_it_leaves_out() -> None:
    # SPEC: D6
    text = preview(pa.table({f"c{number}": ["1"] for number in range(40)})).value or ""
    assert text.endswith("… and 28 more columns")


def test_a_table_that_is_not_there_yet_has_no_preview() -> None:
    # SPEC: D6
    assert preview(pa.table({})).value == "No table yet"


@given(st.lists(st.integers(0, 10**12), max_size=30))
def test_the_trend_is_an_image_with_a_bar_for_each_count(counts: list[int]) -> None:
    # SPEC: D6
    found = re.fullmatch(r"!\[.*\]\(data:image/svg\+xml;base64,(.+)\)", trend(counts).value or "")
    assert found
    image = ElementTree.fromstring(base64.b64decode(found[1]))
    heights = [float(bar.attrib["height"]) for bar in image]
    assert len(heights) == len(counts)
    assert all(1 <= height <= 48 for height in heights)
    assert sorted(heights) == [heights[place] for place in sorted(range(len(counts)), key=lambda at: counts[at])]


@pytest.mark.parametrize("name", ["a b", "a_b"])
def test_columns_whose_names_are_alike_are_both_shown(name: str) -> None:
    # SPEC: D6
    assert name.replace("_", "\\_") in (preview(pa.table({"a b": ["1"], "a_b": ["2"]})).value or "")
