"""Finds the name that a source's field or table is stored under."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Collection
from dataclasses import replace
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
    """A table's name itself where the destination can hold it and it is free; else shortened, with a hash.

    Args:
        taken: stored names already given.
    """
    capabilities = replace(capabilities, column_symbols="")
    return _free_name(name, {_folded(other, capabilities) for other in taken}, capabilities)


def schema_refusal(name: str, capabilities: Capabilities) -> str | None:
    """Why the destination cannot have a schema of this name; unlike other names it is never changed."""
    size = len(name.encode("utf-8", "surrogatepass"))
    if size > capabilities.max_name_bytes:
        return f"which has {size} bytes; the destination allows {capabilities.max_name_bytes}"
    is_shapely = capabilities.schema_pattern is None or re.fullmatch(capabilities.schema_pattern, name)
    if not is_shapely or any(_is_unstorable(character, capabilities) for character in name):
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
        and not _is_reserved(name, capabilities)
        and not any(_is_refused(character, capabilities) for character in name)
    )


def _shortened(name: str, capabilities: Capabilities) -> str:
    kept = "".join(character for character in name if not _is_refused(character, capabilities))
    while _is_reserved(kept, capabilities):
        kept = kept[1:]
    room = capabilities.max_name_bytes - _DIGEST_DIGITS - 1
    return kept.encode()[:room].decode(errors="ignore")


def _is_reserved(name: str, capabilities: Capabilities) -> bool:
    if _folded(name, capabilities).startswith(OWN_PREFIX):
        return True
    return any(name.lower().startswith(prefix.lower()) for prefix in capabilities.reserved_name_prefixes)


def _is_refused(character: str, capabilities: Capabilities) -> bool:
    if _is_unstorable(character, capabilities) or character in capabilities.refused_in_names:
        return True
    categories = capabilities.name_categories
    is_usual = not categories or unicodedata.category(character).startswith(categories)
    return not is_usual and character not in capabilities.column_symbols


def _is_unstorable(character: str, capabilities: Capabilities) -> bool:
    return character == "\0" or character in capabilities.refused_text or unicodedata.category(character) == "Cs"


def _folded(name: str, capabilities: Capabilities) -> str:
    return name if capabilities.case_sensitive else name.lower()
