"""Decides what becomes of a table that was dropped, renamed or truncated at the source (X3)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from warp_resources.errors import TableFailure
from warp_resources.model.batches import ErrorEntry, TableEvent, TableEventKind
from warp_resources.model.tables import TableId
from warp_resources.pipeline.engine import Engine
from warp_resources.pipeline.snapshot import FOLLOW

KEEP, FAIL = "keep", "fail"
_ACTIONS = {
    KEEP: "kept: the rows here stay as they are",
    FOLLOW: "followed: rows that the source no longer has go",
    FAIL: "the table is set aside before it",
}


@dataclass(frozen=True, slots=True)
class Effects:
    """What the events of a cut ask for.

    ``reread``: tables whose rows came or went without a change of their own; ``emptied`` are those of them
    that the source may no longer have, so that whatever else reads them has to stop.
    """

    reread: tuple[TableId, ...]
    emptied: tuple[TableId, ...]
    failures: dict[TableId, TableFailure]
    entries: tuple[ErrorEntry, ...]


def effects_of(engine: Engine, events: Iterable[TableEvent], covered: Collection[str]) -> Effects:
    """What to do about the events; ``covered`` are the tables that take part."""
    reread: list[TableId] = []
    emptied: list[TableId] = []
    failures: dict[TableId, TableFailure] = {}
    entries: list[ErrorEntry] = []
    for event in events:
        entries.append(_entry(event, _policy(engine, event.table.name)))
        if event.kind is TableEventKind.REPLACED:
            reread.append(event.table)
            continue
        for table in _concerned(engine, event, covered):
            policy = _policy(engine, table.name)
            if policy == FOLLOW:
                emptied.append(table)
            elif policy == FAIL:
                failures[table] = _failure(event, table)
    return Effects(tuple(reread), tuple(dict.fromkeys(emptied)), failures, tuple(entries))


def _concerned(engine: Engine, event: TableEvent, covered: Collection[str]) -> Iterator[TableId]:
    if event.kind is TableEventKind.DATABASE_DROPPED:
        yield from map(engine.table, sorted(covered))
    elif event.table.name in covered:
        yield event.table


def _policy(engine: Engine, name: str) -> str:
    return engine.unit.settings(name).on_source_change


def _entry(event: TableEvent, policy: str) -> ErrorEntry:
    return ErrorEntry(
        table=event.table,
        error_type=f"source_{event.kind}",
        message=_message(event),
        action="read again" if event.kind is TableEventKind.REPLACED else _ACTIONS[policy],
    )


def _failure(event: TableEvent, table: TableId) -> TableFailure:
    return TableFailure(
        _message(event),
        remedy=f"Set on_source_change to keep or follow, or read it again: cartridge-warp run --full-resync"
        f" --schema {table.schema} --table {table.name}",
        table=table,
    )


def _message(event: TableEvent) -> str:
    if event.kind is TableEventKind.DATABASE_DROPPED:
        return f"The source's {event.detail or 'database was dropped'}"
    return f"The source table was {event.kind.replace('_', ' ')}; {event.detail}".rstrip("; ")
