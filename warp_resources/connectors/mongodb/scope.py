"""Says which collections a scope means, to Python and to the server."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from bson.regex import Regex

from warp_resources.connectors.interfaces import SourceScope

_SYSTEM = "system."


@cache
def is_in_scope(scope: SourceScope, collection: str) -> bool:
    """Whether a collection belongs to the scope; system collections never do."""
    if collection.startswith(_SYSTEM):
        return False
    included = not scope.include or any(fnmatchcase(collection, glob) for glob in scope.include)
    return included and not any(fnmatchcase(collection, glob) for glob in scope.exclude)


def name_filter(scope: SourceScope, field: str) -> dict[str, Any]:
    """A query that every collection name of the scope passes, and that stops most others.

    The server's regular expressions have no such classes as a glob's, so it may let pass more;
    ``is_in_scope`` decides.
    """
    clauses: list[dict[str, Any]] = []
    if scope.include:
        clauses.append({"$or": _included(scope.include, field)})
    names = [name for name in scope.exclude if not _is_glob(name)]
    if names:
        clauses.append({field: {"$nin": names}})
    clauses.append({field: {"$not": Regex(f"^{re.escape(_SYSTEM)}")}})
    return {"$and": clauses}


def _included(globs: Iterable[str], field: str) -> list[dict[str, Any]]:
    names = [name for name in globs if not _is_glob(name)]
    exact = [{field: {"$in": names}}] if names else []
    return [*exact, *({field: Regex(_pattern(glob), "s")} for glob in globs if _is_glob(glob))]


def _is_glob(name: str) -> bool:
    return any(character in name for character in "*?[")


def _pattern(glob: str) -> str:
    """A regular expression that matches at least what the glob matches."""
    start, bracket, _ = glob.partition("[")
    body = "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in start)
    return f"^{body}" if bracket else f"^{body}$"
