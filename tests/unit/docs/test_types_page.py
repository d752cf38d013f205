"""The page of types is the one that the type tables print."""

from __future__ import annotations

from pathlib import Path

from tests.type_tables.page import page

PAGE = Path(__file__).parents[3] / "docs" / "types.md"


def test_the_page_is_printed_from_the_tables() -> None:
    # SPEC: E9
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make docs`"
