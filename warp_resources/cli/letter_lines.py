"""Shows single dead letters as lines, rows and records."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from warp_resources.model.letters import PENDING, KeptLetter

HEADINGS = ("id", "at", "table", "key", "column", "reason", "status", "attempts", "bytes")
_LONGEST_KEY = 40


def line_of(one: KeptLetter) -> dict[str, Any]:
    """A letter as JSON has it, without its record."""
    its = one.letter
    return {
        "id": one.number,
        "occurred_at": one.occurred_at,
        "schema": its.table.schema,
        "table": its.table.name,
        "primary_key": its.primary_key,
        "operation": its.operation,
        "column": its.column,
        "reason": its.reason,
        "status": one.status,
        "attempts": one.attempts,
        "last_error": one.last_error,
        "retry_at": one.retry_at if one.status == PENDING else None,
        "resolved_at": one.resolved_at,
        "run_id": one.run_id,
        "bytes": one.byte_count,
    }


def row_of(one: KeptLetter) -> tuple[object, ...]:
    """A letter under the headings of a list."""
    its = one.letter
    key = its.primary_key if len(its.primary_key) <= _LONGEST_KEY else f"{its.primary_key[: _LONGEST_KEY - 3]}..."
    # As text, since numbers of letters are to be copied: without separators.
    return (
        str(one.number),
        one.occurred_at,
        its.table,
        key,
        its.column or "(row)",
        its.reason,
        one.status,
        one.attempts,
        one.byte_count,
    )


def record_of(one: KeptLetter) -> str:
    """The record as it is kept, indented where it is JSON; extended JSON is JSON."""
    try:
        return json.dumps(json.loads(one.letter.record), indent=2, ensure_ascii=False)
    except ValueError:
        return one.letter.record


def counted(counts: Sequence[tuple[str, int]]) -> str:
    """Counts by reason, as people read them."""
    return ", ".join(f"{count:,} {reason}" for reason, count in _summed(counts))


def _summed(counts: Sequence[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    for name in sorted({reason for reason, _ in counts}):
        yield name, sum(count for reason, count in counts if reason == name)
