"""Makes the shared fixtures known to every test, and lets the tests that take longest begin first."""

from __future__ import annotations

import pytest

pytest_plugins = ["tests.fixtures.servers"]

_LONGEST_FIRST = ("dagster", "faults", "soak", "pairs", "cli")
_ASKED_FOR = {
    f"test_bigquery_{name}.py"
    for name in (
        *("batch", "bigquery", "crash", "evolution", "isolation", "poison", "repeated", "restored", "service"),
        *("storm", "two_resyncs", "values"),
    )
}
"""Minutes on the BigQuery emulator, where a commit takes half a second of a core: ``make test-bigquery`` runs them."""
_CORE = "test_destination_contract.py"
"""Of the suites of all destinations, the one that the emulator runs every time; a test there takes five seconds."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--bigquery-all", action="store_true", help="everything on the BigQuery emulator (an hour)")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Whoever shares the files out among workers ends with short ones, so that none waits for another."""
    if not config.getoption("--bigquery-all"):
        spared = [item for item in items if _is_asked_for(item)]
        config.hook.pytest_deselected(items=spared)
        items[:] = [item for item in items if not _is_asked_for(item)]
    items.sort(key=_rank)


def _is_asked_for(item: pytest.Item) -> bool:
    is_suite = "lab" in getattr(item, "fixturenames", ()) and "[bigquery" in item.name
    return item.path.name in _ASKED_FOR or (is_suite and item.path.name != _CORE)


def _rank(item: pytest.Item) -> int:
    folder = item.path.parent.name
    return _LONGEST_FIRST.index(folder) if folder in _LONGEST_FIRST else len(_LONGEST_FIRST)
