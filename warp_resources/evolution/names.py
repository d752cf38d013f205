"""Finds the name that a source's field or table is stored under."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Collection
from fnmatch import fnmatchcase

from warp_resources.model.capabilities import Capabilities

OWN_PREFIX = "_warp_"
OVERFLOW_COLUMN = f"{OWN_PREFIX}overflow"
# PostgreSQL has these columns in every table and refuses others of the name.
SYSTEM_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})
_DIGEST_DIGITS = 8


def stored_names(names: Collection[str], taken: Collection[str], capabilities: Capabilities) -> dict[str, str]:
    """A stored name for each of several new columns, whatever the order they come in.

    Names that can be kept are given out before any that must change.
    """
    used = {_folded(other, capabilities) for other in (*taken, *SYSTEM_COLUMNS)}
    found: dict[str, str] = {}
    for name in sorted(names, key=lambda name: (not _is_storable(name, capabilities), name)):
        found[name] = _free_name(name, used, capabilities)
        used.add(_folded(found[name], capabilities))
    return found


def stored_name(name: str, taken: Collection[str], capabilities: Capabilities) -> str:
    """The name itself where the destination can hold it and it is free; else shortened, with a hash.

    Args:
        taken: stored names already given, and those that are reserved (the soft-delete column).
    """
    return _free_name(name, {_folded(other, capabilities) for other in taken}, capabilities)


def schema_refusal(name: str, capabilities: Capabilities) -> str | None:
    """Why the destination cannot have a schema of this name; unlike other names it is never changed."""
    size = len(name.encode("utf-8", "surrogatepass"))
    if size > capabilities.max_name_bytes:
        return f"which has {size} bytes; the destination allows {capabilities.max_name_bytes}"
    if any(_is_refused(character, capabilities) for character in name):
        return "which has a character that the destination refuses"
    if any(fnmatchcase(name, glob) for glob in capabilities.reserved_schemas):
        return f"but the destination keeps {' and '.join(capabilities.reserved_schemas)} for itself"
    return None


def _free_name(name: str, used: Collection[str], capabilities: Capabilities) -> str:
    if _is_storable(name, capabilities) and _folded(name, capabilities) not in used:
        return name
    attempt = 0
    while True:
        seed = name if attempt == 0 else f"{name}\0{attempt}"
        digest = hashlib.sha256(seed.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_DIGITS]
        candidate = f"{_shortened(name, capabilities)}_{digest}"
        if _folded(candidate, capabilities) not in used:
            return candidate
        attempt += 1


def _is_storable(name: str, capabilities: Capabilities) -> bool:
    return (
        0 < len(name.encode("utf-8", "surrogatepass")) <= capabilities.max_name_bytes
        and not _folded(name, capabilities).startswith(OWN_PREFIX)
        and not any(_is_refused(character, capabilities) for character in name)
    )


def _shortened(name: str, capabilities: Capabilities) -> str:
    kept = "".join(character for character in name if not _is_refused(character, capabilities))
    if _folded(kept, capabilities).startswith(OWN_PREFIX):
        kept = kept.lstrip("_")
    room = capabilities.max_name_bytes - _DIGEST_DIGITS - 1
    return kept.encode()[:room].decode(errors="ignore")


def _is_refused(character: str, capabilities: Capabilities) -> bool:
    return character == "\0" or character in capabilities.refused_text or unicodedata.category(character) == "Cs"


def _folded(name: str, capabilities: Capabilities) -> str:
    return name if capabilities.case_sensitive else name.lower()
