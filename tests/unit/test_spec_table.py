"""The table in docs/spec.md says the truth about which line of the contract is tested where."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINES = {"M": 6, "C": 7, "L": 5, "T": 9, "E": 11, "X": 4, "R": 5, "P": 4, "Z": 5, "D": 7, "A": 2}
IDS = [f"{letter}{number}" for letter, count in LINES.items() for number in range(1, count + 1)]
STATUSES = {"tested", "partly", "planned"}

_ROW = re.compile(r"^\| ([A-Z]\d+) \| (.+?) \| (.*?) \| (\w+) \|$", re.MULTILINE)
_COMMENT = re.compile(r"#\s*SPEC:\s*(.+)$", re.MULTILINE)
_ID = re.compile(r"\b[A-Z]\d+\b")


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    id: str
    files: tuple[str, ...]
    status: str


def table() -> list[Row]:
    text = (ROOT / "docs" / "spec.md").read_text()
    return [Row(its, tuple(re.findall(r"`([^`]+)`", files)), status) for its, _, files, status in _ROW.findall(text)]


def comments() -> dict[str, set[str]]:
    """The ids that each test file names, by its path from the root."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "tests").rglob("*.py")):
        if path != Path(__file__):
            named = {its for comment in _COMMENT.findall(path.read_text()) for its in _ID.findall(comment)}
            found[str(path.relative_to(ROOT))] = named
    return found


ROWS, NAMED = {row.id: row for row in table()}, comments()


def test_every_line_of_the_contract_is_in_the_table_once() -> None:
    listed = [row.id for row in table()]
    assert listed == IDS, "docs/spec.md must list every id of the contract once, in order"


def test_every_status_is_known() -> None:
    assert {row.id: row.status for row in table() if row.status not in STATUSES} == {}


@pytest.mark.parametrize("its", IDS)
def test_what_is_called_tested_is_named_by_the_tests_it_lists(its: str) -> None:
    row = ROWS[its]
    if row.status == "planned":
        return
    assert row.files, f"{its} is called {row.status}, but docs/spec.md names no test"
    missing = [file for file in row.files if file not in NAMED]
    assert not missing, f"docs/spec.md names test files for {its} that do not exist: {missing}"
    silent = [file for file in row.files if its not in NAMED[file]]
    assert not silent, f"docs/spec.md names tests for {its} that lack the comment `# SPEC: {its}`: {silent}"


def test_tests_name_no_line_that_the_contract_lacks() -> None:
    unknown = {file: sorted(named - set(IDS)) for file, named in NAMED.items() if named - set(IDS)}
    assert unknown == {}, "these tests name ids that the contract does not have"
