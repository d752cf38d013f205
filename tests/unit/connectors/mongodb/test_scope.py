"""Which collections a scope means (SPEC 2, M2)."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Any

import pytest
from bson.regex import Regex
from hypothesis import given, settings
from hypothesis import strategies as st

from warp_resources.connectors.interfaces import SourceScope
from warp_resources.connectors.mongodb.scope import is_in_scope, name_filter


def passes(query: dict[str, Any], name: str) -> bool:
    """What the server makes of the few operators that a name filter has."""
    for operator, operand in query.items():
        if operator == "$and":
            found = all(passes(part, name) for part in operand)
        elif operator == "$or":
            found = any(passes(part, name) for part in operand)
        elif isinstance(operand, Regex):
            found = re.search(operand.pattern, name, re.DOTALL) is not None
        elif "$in" in operand:
            found = name in operand["$in"]
        else:
            found = name not in operand["$nin"]
        if not found:
            return False
    return True


@pytest.mark.parametrize(
    ("include", "exclude", "name", "expected"),
    [
        ((), (), "users", True),
        ((), (), "system.views", False),
        (("system.*",), (), "system.views", False),
        (("users",), (), "users", True),
        (("users",), (), "Users", False),
        (("order*",), (), "orders", True),
        (("order*",), ("*lines",), "order_lines", False),
        (("a?c",), (), "abc", True),
        (("[ab]x",), (), "cx", False),
        (("a.b",), (), "axb", False),
        ((), ("tmp*",), "tmp", False),
        (("*",), ("users",), "users", False),
        ((), (), "tmp.agg_out.6f1e", False),
        (("tmp*",), (), "tmpa1B2c.renameCollection", False),
        ((), (), "tmpa1B2c.convertToCapped.users", False),
        ((), (), "tmp.agg_outer", True),
        ((), (), "tmpa1B2c.renameCollections", True),
    ],
)
def test_scope(include: tuple[str, ...], exclude: tuple[str, ...], name: str, expected: bool) -> None:
    scope = SourceScope("shop", "db", include, exclude)
    assert is_in_scope(scope, name) is expected
    assert passes(name_filter(scope, "ns.coll"), name) or not expected


globs = st.lists(st.text("ab{}.*?[]!$^\\\n", min_size=1, max_size=6), max_size=3).map(tuple)


@settings(deadline=None)
@given(globs, globs, st.text("ab{}.*[]!$^\\\n", min_size=1, max_size=6))
def test_the_server_lets_every_name_of_the_scope_pass(
    include: tuple[str, ...], exclude: tuple[str, ...], name: str
) -> None:
    scope = SourceScope("shop", "db", include, exclude)
    if is_in_scope(scope, name):
        assert passes(name_filter(scope, "ns.coll"), name)
        assert not include or any(fnmatchcase(name, glob) for glob in include)
