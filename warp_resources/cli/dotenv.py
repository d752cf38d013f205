"""Reads the variables of an ``.env`` file, as ``dagster dev`` does in the same folder."""

from __future__ import annotations

from pathlib import Path

ENV_FILE = ".env"
_QUOTES = ("'", '"')


def read_dotenv(path: Path) -> dict[str, str]:
    """The variables of a file of ``NAME=value`` lines; none where there is no such file."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    pairs = (line.strip().removeprefix("export ").partition("=") for line in lines)
    return {
        name.strip(): _unquoted(value.strip())
        for name, separator, value in pairs
        if separator and not name.startswith("#")
    }


def _unquoted(value: str) -> str:
    is_quoted = len(value) > 1 and value[0] in _QUOTES and value[-1] == value[0]
    return value[1:-1] if is_quoted else value
