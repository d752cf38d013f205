"""The checked scalar types that options of several databases share."""

from __future__ import annotations

import os
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, SecretStr

from warp_resources.uris import REMEDY, doubt


def _existing(path: str) -> str:
    # Unlike pathlib's, it takes a folder that may not be entered for one without the file.
    if not os.path.isfile(path):
        raise ValueError("the path of an existing file is allowed")
    return path


def _unambiguous(value: Any) -> Any:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    reason = doubt(text) if isinstance(text, str) and "://" in text else None
    if reason is not None:
        raise ValueError(f"the connection string is not clear: {reason}; {REMEDY}")
    return value


File = Annotated[str, AfterValidator(_existing)]
# Before anything else looks at it: what is read wrongly would be quoted as host or database.
ConnectionString = Annotated[SecretStr, BeforeValidator(_unambiguous)]
