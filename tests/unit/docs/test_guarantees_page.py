"""The table of faults in docs/guarantees.md names the tests that inject them, and all of them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "guarantees.md").read_text()
FAULTS = range(1, 31)
NOT_BUILT = {26, 27}

_ROW = re.compile(r"^\| (\d+) \| .+? \| .+? \| (.*?) \|$", re.MULTILINE)
_COMMENT = re.compile(r"FAULTS:\s*(\d+(?:,?\s+\d+)*)")


def listed() -> dict[int, set[str]]:
    return {int(number): set(re.findall(r"`([^`]+)`", files)) for number, files in _ROW.findall(PAGE)}


def injected() -> dict[int, set[str]]:
    """The files whose comments say that they inject each fault, by their path from the root."""
    found: dict[int, set[str]] = {}
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for comment in _COMMENT.findall(path.read_text()) if path != Path(__file__) else []:
            for number in re.findall(r"\d+", comment):
                found.setdefault(int(number), set()).add(str(path.relative_to(ROOT)))
    return found


def test_every_fault_is_listed_with_exactly_the_tests_that_inject_it() -> None:
    assert listed() == injected()


def test_every_fault_of_what_is_built_has_a_test() -> None:
    assert listed().keys() == set(FAULTS) - NOT_BUILT
    assert all(listed().values())


def test_the_pages_that_it_links_to_exist() -> None:
    linked = re.findall(r"\]\(([^)#]+\.md)", PAGE)
    assert [name for name in linked if not (ROOT / "docs" / name).exists()] == []
