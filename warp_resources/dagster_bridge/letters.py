"""Shows dead letters and errors as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import dagster as dg

from warp_resources.dagster_bridge.preview import escaped
from warp_resources.masking import mask
from warp_resources.model.letters import KeptError, KeptLetter
from warp_resources.model.replays import LetterOutcome
from warp_resources.pipeline.letter_advice import advice

_LONGEST_CELL = 120
_LETTERS = ("id", "at", "table", "key", "column", "reason", "status", "attempts", "last error")
_ERRORS = ("at", "table", "column", "type", "severity", "key", "message", "action")


def letters_table(letters: Sequence[KeptLetter]) -> dg.MarkdownMetadataValue:
    """Letters without their records."""
    rows = [
        (
            one.number,
            f"{one.occurred_at:%Y-%m-%d %H:%M:%S}",
            one.letter.table.name,
            one.letter.primary_key,
            one.letter.column or "(row)",
            one.letter.reason,
            one.status,
            one.attempts,
            one.last_error or "",
        )
        for one in letters
    ]
    return _table(_LETTERS, rows, "No dead letters")


def errors_table(errors: Sequence[KeptError]) -> dg.MarkdownMetadataValue:
    """Rows of ``error_log``."""
    rows = [
        (
            f"{one.occurred_at:%Y-%m-%d %H:%M:%S}",
            one.entry.table.name,
            one.entry.column or "",
            one.entry.error_type,
            one.entry.severity,
            one.entry.primary_key or "",
            mask(one.entry.message),
            one.entry.action,
        )
        for one in errors
    ]
    return _table(_ERRORS, rows, "No errors")


def outcome_table(outcome: LetterOutcome) -> dg.MarkdownMetadataValue:
    """What is still pending after a replay, and what can be done about it."""
    rows = [(reason, count, advice(reason)) for reason, count in sorted(outcome.pending.items())]
    return _table(("reason", "still pending", "what to do"), rows, "Nothing is pending any more")


def _table(headings: Sequence[str], rows: Iterable[Sequence[object]], otherwise: str) -> dg.MarkdownMetadataValue:
    lines = [" | ".join(_cell(cell) for cell in row) for row in rows]
    if not lines:
        return dg.MetadataValue.md(otherwise)
    head = [" | ".join(headings), " | ".join("---" for _ in headings)]
    return dg.MetadataValue.md("\n".join(f"| {line} |" for line in (*head, *lines)))


def _cell(value: object) -> str:
    text = str(value)
    return escaped(text if len(text) <= _LONGEST_CELL else f"{text[: _LONGEST_CELL - 1]}…")
