"""Reads the variables of an ``.env`` file, as ``dagster dev`` does in the same folder."""

from __future__ import annotations

from pathlib import Path

from dotenv import dotenv_values

from warp_resources.errors import ConfigurationError

ENV_FILE = ".env"


def read_dotenv(path: Path) -> dict[str, str]:
    """The variables of a file, by the rules of python-dotenv; none where there is no such file.

    Raises:
        ConfigurationError: the file is there but cannot be read.
    """
    if not path.is_file():
        return {}
    try:
        found = dotenv_values(path, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        # Of a character that is no UTF-8, the exception would quote what is around it.
        cause = (error.strerror if isinstance(error, OSError) else None) or "it is not UTF-8"
        unreadable = ConfigurationError(
            f"The file {path} cannot be read: {cause}", remedy="Save it as UTF-8, readable to this user"
        )
    else:
        return {name: value for name, value in found.items() if value is not None}
    raise unreadable
