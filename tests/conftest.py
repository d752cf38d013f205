"""Makes the shared fixtures known to every test, and lets the tests that take longest begin first."""

from __future__ import annotations

import pytest

pytest_plugins = ["tests.fixtures.servers"]

_LONGEST_FIRST = ("dagster", "faults", "soak", "pairs", "cli")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--bigquery-all", action="store_true", help="all suites of destinations on BigQuery, too (15 min)")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever shares the files out among workers ends with short ones, so that none waits for another."""
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    folder = item.path.parent.name
    return _LONGEST_FIRST.index(folder) if folder in _LONGEST_FIRST else len(_LONGEST_FIRST)
