"""Hides secrets in text that people or machines will read: the only place that does."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

HIDDEN = "***"

# A secret this long is hidden wherever it occurs; a shorter one as a whole word only, so that the
# password `postgres` leaves the word `postgresql` alone.
_ANYWHERE_LENGTH = 12

# A scheme is short: without a bound, a long run of letters would be looked through from each of them.
# To the last @ of the word: a password that nobody percent-encoded may hold @ and / itself.
_USERINFO = re.compile(r"([A-Za-z][\w+.-]{0,30}://[^:\s]*):\S*@")
# Where the host was forgotten, the password stands where the port would be.
_PORT_END = r"""(?:[/?#,\s'"`)\];:}]|\.(?:\s|$)|$)"""
_NO_PORT = re.compile(rf"([A-Za-z][\w+.-]{{0,30}}://[^:/?#@\s\[]*):(?!\d{{0,5}}{_PORT_END})[^\s/?#,@]+")
_PAIR = re.compile(r"(?i)\b(\w*(?:password|passwd|pwd|secret|token))(\s*=\s*)('(?:\\.|[^'\\])*'|[^&\s;,]+)")
_SECRET_NAME = re.compile(
    r"(?i)(^|_)(password|passwd|pwd|passphrase|secret|token|credentials?|connection_string|uri|url|dsn)(_|$)"
    r"|(access|api|private|encryption|secret)_?key"
)


def mask(text: str, secrets: Iterable[str] = ()) -> str:
    """The text with ``***`` for every password in a URI or a ``password=...`` pair, and for the given secrets."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        pattern = re.escape(secret)
        if len(secret) < _ANYWHERE_LENGTH:
            pattern = rf"(?<!\w){pattern}(?!\w)"
        text = re.sub(pattern, HIDDEN, text)
    text = _NO_PORT.sub(rf"\1:{HIDDEN}", _USERINFO.sub(rf"\1:{HIDDEN}@", text))
    return _PAIR.sub(rf"\1\2{HIDDEN}", text)


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
