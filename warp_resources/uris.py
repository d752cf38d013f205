"""Says of a connection URI why it cannot be read in one way only; the URI itself is never quoted."""

from __future__ import annotations

import re
from collections.abc import Iterator

REMEDY = "percent-encode special characters in user and password: @ is %40, : %3A, / %2F, ? %3F, # %23, % %25"

_HIGHEST_PORT = 65_535
_PARTS = re.compile(r"(?s)[^:/?#]*://([^/?#]*)([^?#]*)(?:\?([^#]*))?(.*)")
_HOST = re.compile(r"(?s)(?:\[[^\[\]@]*\]|[^\[\]@:]*)(?::(.*))?")
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


def doubt(uri: str) -> str | None:
    """What makes a URI ambiguous, such as a password with a bare ``@`` or ``/``; None where nothing does."""
    return next(_doubts(uri), None)


def _doubts(uri: str) -> Iterator[str]:
    match = _PARTS.fullmatch(uri)
    if match is None:
        yield "it is no URI"
        return
    authority, path, query, fragment = (part or "" for part in match.groups())
    userinfo, _, hosts = authority.rpartition("@")
    if "@" in userinfo:
        yield "there is more than one @ before its path"
    # Options may hold an @, as in `appName=@account@`, but not where that could be the one that ends a password.
    is_late = any("@" in part and ("@" not in authority or "=" not in part) for part in query.split("&"))
    if is_late or "@" in path + fragment:
        yield "there is an @ behind its host"
    for host in hosts.split(","):
        yield from _host_doubts(host)
    if re.search(r"\s", uri):
        yield "there is a blank in it"
    if _STRAY_PERCENT.search(authority):
        yield "a % in it is not followed by two hexadecimal digits"


def _host_doubts(host: str) -> Iterator[str]:
    match = _HOST.fullmatch(host)
    if match is None:
        yield "its host cannot be read"
    elif match[1] and not (match[1].isascii() and match[1].isdigit() and int(match[1]) <= _HIGHEST_PORT):
        yield "its port is not a number, or its host is missing"
