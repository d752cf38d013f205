"""Takes fields out of a row's record, or puts text in their place."""

from __future__ import annotations

import json
from dataclasses import replace

from warp_resources.connectors.memory.columns import raw_columns
from warp_resources.connectors.memory.originals import extended_json
from warp_resources.connectors.memory.restoring import plain
from warp_resources.connectors.memory.server import Row
from warp_resources.errors import OperatorError
from warp_resources.model.batches import Original, Replacements


def redacted(kept: Original, replacements: Replacements, *, extended: bool = False) -> Original:
    """The record with its fields as ``replacements`` says; of one that cannot be read, the key alone."""
    try:
        row = plain(json.loads(kept.record))
        changed = _changed(row, replacements, extended=extended) if isinstance(row, dict) else None
    except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError, OperatorError):
        changed = None
    return kept.withheld() if changed is None else replace(kept, record=extended_json(changed))


def _changed(row: Row, replacements: Replacements, *, extended: bool) -> Row:
    changed: Row = {}
    for name, value in row.items():
        replace_value = replacements.get(name)
        if name not in replacements:
            changed[name] = value
        elif replace_value is not None:
            [column] = raw_columns([{name: value}], extended=extended)
            changed[name] = None if value is None else replace_value(column)
    return changed
