"""Hides secrets in text that people or machines will read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

HIDDEN = "***"

# A secret this long is hidden wherever it occurs; a shorter one as a whole word only, so that the
# password `postgres` leaves the word `postgresql` alone.
_ANYWHERE_LENGTH = 12

_USERINFO = re.compile(r"([A-Za-z][\w+.-]*://[^:/?#@\s]*):\S*@")
_PAIR = re.compile(r"(?i)\b(\w*(?:password|passwd|pwd|secret|token))(\s*=\s*)('(?:\\.|[^'\\])*'|[^&\s;,]+)")
_SECRET_NAME = re.compile(
    r"(?i)(^|_)(password|passwd|pwd|passphrase|secret|token|credentials?|connection_string|uri|url|dsn)(_|$)"
    r"|(access|api|private|encryption|secret)_?key"
)


def mask_uri(text: str) -> str:
    """The text with every password in a URI or a ``password=...`` pair replaced by ``***``."""
    return _PAIR.sub(rf"\1\2{HIDDEN}", _USERINFO.sub(rf"\1:{HIDDEN}@", text))


def mask(text: str, secrets: Iterable[str]) -> str:
    """The text without the given secrets and without any password in a URI."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        pattern = re.escape(secret)
        if len(secret) < _ANYWHERE_LENGTH:
            pattern = rf"(?<!\w){pattern}(?!\w)"
        text = re.sub(pattern, HIDDEN, text)
    return mask_uri(text)


def is_secret_name(name: str) -> bool:
    """Whether a key of this name holds what nobody may see."""
    return _SECRET_NAME.search(name) is not None


def secrets_within(value: str) -> set[str]:
    """A secret value and, where it is a URI, the password in it as written and as decoded."""
    try:
        password = urlsplit(value).password
    except ValueError:
        password = None
    return {value} | ({password, unquote(password)} if password else set())
