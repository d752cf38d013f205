"""Finds, counts and discards dead letters, and finds logged errors."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from warp_resources.connectors.memory.store import Contents, LoggedError, StoredLetter, now
from warp_resources.model.letters import (
    DISCARDED,
    PENDING,
    ErrorSelection,
    KeptError,
    KeptLetter,
    LetterCount,
    LetterSelection,
)


def dead_letters(contents: Contents, selection: LetterSelection, *, with_records: bool) -> list[KeptLetter]:
    """The chosen letters in the order of their commits, or the reverse."""
    found = sorted(_chosen(contents, selection), key=lambda kept: (kept.letter.table, kept.sequence, kept.number))
    if selection.newest_first:
        found = sorted(found, key=lambda kept: kept.number, reverse=True)
    return [_kept(stored, with_records) for stored in found[: selection.limit]]


def letter_counts(contents: Contents, selection: LetterSelection) -> list[LetterCount]:
    """How many of the chosen letters each table has, by reason and status."""
    counts = Counter((kept.letter.table, kept.letter.reason, kept.status) for kept in _chosen(contents, selection))
    return [LetterCount(*place, count) for place, count in sorted(counts.items())]


def discard_letters(contents: Contents, selection: LetterSelection) -> int:
    """Say of the chosen letters that are pending that nobody wants them; how many."""
    chosen = {kept.number for kept in _chosen(contents, replace(selection, status=PENDING))}

    def discarded(kept: StoredLetter) -> StoredLetter:
        if kept.number not in chosen:
            return kept
        return replace(kept, status=DISCARDED, resolved_at=now(), retry_at=None)

    contents.letters = [discarded(kept) for kept in contents.letters]
    return len(chosen)


def logged_errors(contents: Contents, selection: ErrorSelection) -> list[KeptError]:
    """The chosen rows of the log, newest first."""
    found = [logged for logged in reversed(contents.errors) if _is_meant(logged, selection)]
    return [
        KeptError(logged.number, logged.occurred_at, logged.entry, logged.run_id) for logged in found[: selection.limit]
    ]


def _chosen(contents: Contents, selection: LetterSelection) -> list[StoredLetter]:
    its, at = selection, now()
    return [
        kept
        for kept in contents.letters
        if kept.letter.table.schema == its.schema
        and its.table in (None, kept.letter.table.name)
        and (not its.reasons or kept.letter.reason in its.reasons)
        and its.status in (None, kept.status)
        and (not its.ids or kept.number in its.ids)
        and (not its.keys or kept.letter.key_text in its.keys)
        and (not its.is_due or kept.retry_at is None or kept.retry_at <= at)
        and (its.max_attempts is None or kept.attempts < its.max_attempts)
    ]


def _is_meant(logged: LoggedError, selection: ErrorSelection) -> bool:
    entry = logged.entry
    return (
        entry.table.schema == selection.schema
        and selection.table in (None, entry.table.name)
        and selection.error_type in (None, entry.error_type)
        and (selection.since is None or logged.occurred_at >= selection.since)
    )


def _kept(stored: StoredLetter, with_records: bool) -> KeptLetter:
    letter = stored.letter
    return KeptLetter(
        number=stored.number,
        letter=letter if with_records else replace(letter, record=""),
        status=stored.status,
        occurred_at=stored.occurred_at,
        sequence=stored.sequence,
        basis=stored.sequence if stored.basis is None else stored.basis,
        attempts=stored.attempts,
        last_error=stored.last_error,
        retry_at=stored.retry_at,
        resolved_at=stored.resolved_at,
        run_id=stored.run_id,
        byte_count=len(letter.record.encode("utf-8", "surrogatepass")),
    )
