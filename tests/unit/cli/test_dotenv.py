"""The environment file beside the configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from warp_resources.cli.dotenv import read_dotenv


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A=1\nB = two words \n", {"A": "1", "B": "two words"}),
        ("export A='x=y'\nB=\"z\"\n", {"A": "x=y", "B": "z"}),
        ("# A=1\n\nnothing here\nB=\n", {"B": ""}),
    ],
)
def test_the_variables_of_a_file(tmp_path: Path, text: str, expected: dict[str, str]) -> None:
    file = tmp_path / ".env"
    file.write_text(text)
    assert read_dotenv(file) == expected


def test_no_file_has_no_variables(tmp_path: Path) -> None:
    assert read_dotenv(tmp_path / ".env") == {}
