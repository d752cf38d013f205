"""Says which collections a scope means, to Python and to the server."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from bson.regex import Regex

from warp_resources.connectors.interfaces import SourceScope

# What the server keeps for itself: system collections, and what `$out`, mapReduce, a rename across databases
# and convertToCapped fill before it takes its name (seen with 6.0).
_SERVERS_OWN = r"^(system\.|tmp\.agg_out\.|tmp[0-9A-Za-z]{5}\.(renameCollection$|convertToCapped\.))"
_is_servers_own = re.compile(_SERVERS_OWN).match


@cache
def is_in_scope(scope: SourceScope, collection: str) -> bool:
    """Whether a collection belongs to the scope; the server's own never do."""
    if _is_servers_own(collection):
        return False
    included = not scope.include or any(fnmatchcase(collection, glob) for glob in scope.include)
    return included and not any(fnmatchcase(collection, glob) for glob in scope.exclude)


def name_filter(scope: SourceScope, field: str) -> dict[str, Any]:
    """A query that every collection name of the scope passes, and that stops most others.

    Each regular expression halves what a server's change stream delivers, so there is one per glob that is
    included and none besides; ``is_in_scope`` decides.
    """
    clauses: list[dict[str, Any]] = []
    if scope.include:
        clauses.append({"$or": _any_of(scope.include, field)})
    excluded = [name for name in scope.exclude if not _is_pattern(name)]
    if excluded:
        clauses.append({field: {"$nin": excluded}})
    return {"$and": clauses} if clauses else {}


def _any_of(globs: Iterable[str], field: str) -> list[dict[str, Any]]:
    names = [name for name in globs if not _is_pattern(name)]
    patterns = [{field: Regex(_pattern(glob), "s")} for glob in globs if _is_pattern(glob)]
    return [{field: {"$in": names}}, *patterns] if names else patterns


def _is_glob(name: str) -> bool:
    return any(character in name for character in "*?[")


def _is_pattern(name: str) -> bool:
    # Of a name in `$in` the server makes a regular expression without escaping braces (seen with 6.0).
    return _is_glob(name) or "{" in name


def _pattern(glob: str) -> str:
    """A regular expression that matches at least what the glob matches."""
    start, bracket, _ = glob.partition("[")
    body = "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in start)
    return f"^{body}" if bracket else f"^{body}$"
