"""What a user's configuration says of one table's shape in the destination."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from warp_resources.model.tables import ColumnType

EVOLVE, FREEZE, DISCARD, QUARANTINE, JSON = "evolve", "freeze", "discard", "quarantine", "json"


@dataclass(frozen=True, slots=True)
class TableRules:
    """The contract of a table, how it keeps deletes, and what single columns must be.

    ``new_columns`` is ``evolve``, ``freeze``, ``discard`` or ``quarantine``; ``type_changes`` also ``json``.
    ``flag``: the stored name of the soft-delete column; empty for hard deletes.
    ``types`` and ``names``: the declared type and the wanted stored name of columns, by source name.
    ``rejected_share``: the share of rows that may be refused by the destination before that counts as a failure
    of the whole table; 0 where no row may be set aside at all.
    ``arrays``: the columns, by source name, that are the destination's own arrays if they are made as JSON.
    """

    new_columns: str = EVOLVE
    type_changes: str = EVOLVE
    flag: str = ""
    types: Mapping[str, ColumnType] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    rejected_share: float = 0.1
    arrays: tuple[str, ...] = ()


NO_RULES = TableRules()
"""Evolve whatever comes, delete hard."""
