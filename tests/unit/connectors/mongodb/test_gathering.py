"""Where a cut ends (SPEC C3, DESIGN 2 "Cut")."""

from __future__ import annotations

import pytest

from warp_resources.connectors.interfaces import ReadLimits
from warp_resources.connectors.mongodb.events import Effect, Event
from warp_resources.connectors.mongodb.gathering import Gathering


def events(transactions: str) -> list[Event]:
    """One event per character: events with the same letter are one transaction, a dash is none."""
    return [
        Event(Effect.STORED, "c", (1, number), b"", 10, None if name == "-" else name.encode(), None)
        for number, name in enumerate(transactions)
    ]


def cuts(transactions: str, limits: ReadLimits, foretold: int = 10, oversized: bytes | None = None) -> list[str]:
    """The cuts that a backlog makes, of events that have 10 bytes and probably cost more."""
    waiting, made = events(transactions), []
    while waiting:
        gathering = Gathering(limits, lambda event: foretold, oversized)
        while waiting:
            if not gathering.takes(waiting[0]):
                waiting = [*gathering.excess(waiting[0]), *waiting]
                break
            gathering.add(waiting.pop(0))
        made.append(
            "".join("-" if event.transaction is None else event.transaction.decode() for event in gathering.events)
        )
    return made


@pytest.mark.parametrize(
    ("transactions", "limits", "expected"),
    [
        ("-----", ReadLimits(2, 1000), ["--", "--", "-"]),
        ("-----", ReadLimits(None, 1000), ["-----"]),
        ("-----", ReadLimits(None, 30), ["---", "--"]),
        ("--aaa-", ReadLimits(3, 1000), ["--", "aaa", "-"]),
        ("aaaaa-", ReadLimits(2, 1000), ["aaaaa", "-"]),
        ("aaaaabb", ReadLimits(2, 1000), ["aaaaa", "bb"]),
        ("aabbcc", ReadLimits(4, 1000), ["aabb", "cc"]),
        ("aabbcc", ReadLimits(3, 1000), ["aa", "bb", "cc"]),
        ("-aaaaaa-", ReadLimits(None, 30), ["-", "aaa", "aaa", "-"]),
        ("-", ReadLimits(1, 1), ["-"]),
    ],
)
def test_cuts_end_at_transactions_where_the_bytes_allow(
    transactions: str, limits: ReadLimits, expected: list[str]
) -> None:
    # SPEC: C3
    assert cuts(transactions, limits) == expected


@pytest.mark.parametrize(
    ("transactions", "oversized", "expected"),
    [
        ("--", None, ["-", "-"]),
        ("-aaa-", None, ["-", "aaa", "-"]),
        ("aaa-", b"a", ["a", "a", "a", "-"]),
        ("aaabbb", b"a", ["a", "a", "a", "bbb"]),
        ("aaaaaaa", None, ["aaaaa", "aa"]),
    ],
)
def test_only_bytes_that_are_certain_cut_a_transaction(
    transactions: str, oversized: bytes | None, expected: list[str]
) -> None:
    # SPEC: C3
    assert cuts(transactions, ReadLimits(None, 50), 100, oversized) == expected
