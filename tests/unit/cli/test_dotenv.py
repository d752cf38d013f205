"""The environment file beside the configuration."""

from __future__ import annotations

from pathlib import Path

import pytest
from dagster._core.secrets.env_file import get_env_var_dict

from warp_resources.cli.dotenv import read_dotenv
from warp_resources.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A=1\nB = two words \n", {"A": "1", "B": "two words"}),
        ("export A='x=y'\nB=\"z\"\n", {"A": "x=y", "B": "z"}),
        ("# A=1\n\nnothing\nB=\n", {"B": ""}),
        ("A=x # note\nB='x # y'\n", {"A": "x", "B": "x # y"}),
        ("A=1\nB=${A}/${NO_SUCH:-2}\n", {"A": "1", "B": "1/2"}),
        ('A="a\\nb"\n', {"A": "a\nb"}),
    ],
)
def test_the_variables_of_a_file(tmp_path: Path, text: str, expected: dict[str, str]) -> None:
    # SPEC: L5
    file = tmp_path / ".env"
    file.write_text(text)
    assert read_dotenv(file) == expected == get_env_var_dict(str(tmp_path))


def test_a_file_that_is_no_text_is_refused_unseen(tmp_path: Path) -> None:
    # SPEC: L3
    file = tmp_path / ".env"
    file.write_bytes("PASSWORD=s3crét\n".encode("latin-1"))
    with pytest.raises(ConfigurationError, match="cannot be read: it is not UTF-8") as refused:
        read_dotenv(file)
    assert "s3cr" not in str(refused.value)


def test_no_file_has_no_variables(tmp_path: Path) -> None:
    assert read_dotenv(tmp_path / ".env") == {}
