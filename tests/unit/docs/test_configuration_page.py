"""The page of all keys says what the models say."""

from __future__ import annotations

from pathlib import Path

from warp_resources.config import configuration_reference

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"


def test_the_page_is_fresh() -> None:
    # SPEC: C4
    assert PAGE.read_text(encoding="utf-8") == configuration_reference(), "run `make docs`"
