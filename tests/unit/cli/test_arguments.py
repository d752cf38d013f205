"""The global flags mean the same wherever they stand."""

from __future__ import annotations

import pytest

from warp_resources.cli.arguments import hoisted


# SPEC: L5
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["run", "--config", "f", "--once"], ["--config", "f", "run", "--once"]),
        (["run", "--config=f"], ["--config=f", "run"]),
        (["run", "--debug"], ["--debug", "run"]),
        (["--config", "f", "run"], ["--config", "f", "run"]),
        (["run", "--", "--debug"], ["run", "--", "--debug"]),
        (["run", "--config"], ["run", "--config"]),
        ([], []),
    ],
)
def test_global_flags_come_first(given: list[str], expected: list[str]) -> None:
    assert hoisted(given) == expected
