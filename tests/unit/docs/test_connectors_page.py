"""The page for authors of connectors prints the protocols as they are."""

from __future__ import annotations

from pathlib import Path

from warp_resources.connectors import interfaces

PAGE = Path(__file__).parents[3] / "docs" / "connectors.md"


def test_the_protocols_are_printed_whole() -> None:
    # SPEC: A2
    source = Path(interfaces.__file__).read_text(encoding="utf-8")
    assert f"```python\n{source}```\n" in PAGE.read_text(encoding="utf-8"), "run `make docs`"
