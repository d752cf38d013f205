"""The rules that hold between what is said of a table's columns and its other settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from warp_resources.config.messages import Problem

if TYPE_CHECKING:
    from warp_resources.config.layers import Path
    from warp_resources.config.tables import TableConfig

_OWN_PREFIX = "_warp_"
VALUE_ACTIONS = frozenset({"drop", "hash", "mask"})
"""The actions that leave nothing of a value; they are not for keys, by which rows are found again."""


def column_problems(table: TableConfig, path: Path) -> Iterator[Problem]:
    """What cannot be done to the columns of one table."""
    for name in table.primary_key or ():
        its = table.columns.get(name)
        if its is not None and (its.action in VALUE_ACTIONS or its.type):
            what = f"action: {its.action}" if its.action in VALUE_ACTIONS else "a type"
            text = f"{what} is not for a column of the primary key; only rename is allowed"
            yield Problem((*path, "columns", name), text)
    renamed = Counter(its.rename for its in table.columns.values() if its.rename)
    for name, its in table.columns.items():
        if its.rename and renamed[its.rename] > 1:
            text = f"two columns are renamed to {its.rename!r}; one is allowed"
            yield Problem((*path, "columns", name, "rename"), text)
        if its.rename and its.rename.lower().startswith(_OWN_PREFIX):
            text = f"names that begin with {_OWN_PREFIX} are the product's own; any other is allowed"
            yield Problem((*path, "columns", name, "rename"), text)
