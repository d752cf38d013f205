"""What the pages of a change stream prove, and what a connection that broke off does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import pytest
from pymongo.errors import AutoReconnect

from warp_resources.connectors.interfaces import SourceScope
from warp_resources.connectors.mongodb import feed
from warp_resources.connectors.mongodb.commands import Page
from warp_resources.connectors.mongodb.connect import Client
from warp_resources.connectors.mongodb.tokens import ClusterTime
from warp_resources.errors import OversizedChange

START, LATER = (100, 5), (100, 9)
WAIT = timedelta(milliseconds=1)
SCOPE = SourceScope("shop", "shop")

Answer = Page | Exception


def mark(at: ClusterTime) -> dict[str, Any]:
    """A token that names no event."""
    return {"_data": f"82{at[0]:08X}{at[1]:08X}2B0229296E04"}


def page(at: ClusterTime, committed_at: ClusterTime) -> Page:
    return Page([], 1, mark(at), committed_at)


@dataclass
class Members:
    """The client of members that answer one after the other, each to a cursor of its own: the opening first."""

    members: list[list[Answer]]
    is_mongos: bool = False
    is_steady: bool = True


class Cursor:
    def __init__(self, client: Members, database: str, command: Mapping[str, Any]) -> None:
        silence: list[Answer] = [page(START, START)] * 2
        if not client.is_steady:
            silence[1] = AutoReconnect("connection closed")
        self._answers = silence if command["pipeline"] == feed.SILENT else client.members.pop(0)
        self.first = self.more()

    def __enter__(self) -> Cursor:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def more(self, batch_size: int | None = None, max_time_ms: int | None = None) -> Page:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def _scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "Cursor", Cursor)
    monkeypatch.setattr(feed, "_LEAST_STEADY_SECONDS", 0.001)
    monkeypatch.setattr(feed, "_MOST_STEADY_SECONDS", 0.001)


def reading(members: Members) -> feed.Feed:
    return feed.Feed(cast("Client", members), SCOPE, mark(START))


# SPEC: L2, T7
def test_what_a_member_had_committed_before_it_looked_did_not_escape_it() -> None:
    found = reading(Members([[page(START, (100, 4)), page(START, START), page(START, START), page(LATER, LATER)]]))
    assert [found.read(WAIT).searched for _ in range(3)] == [(100, 4), START, LATER]


# SPEC: T7  FAULTS: 5
def test_what_one_member_had_committed_says_nothing_of_the_next() -> None:
    """The tick that a stream starts with is written and committed, and the member that says so is gone."""
    gone = AutoReconnect("connection closed")
    found = reading(Members([[page(START, (100, 4)), page(START, LATER), gone], [page(START, (100, 4))] * 2]))
    assert found.read(WAIT).searched == (100, 4)
    assert found.read(WAIT).searched == (100, 4)


def test_of_shards_another_event_of_the_same_time_may_come() -> None:
    found = reading(Members([[page(START, START), page(LATER, LATER), page(LATER, LATER)]], is_mongos=True))
    assert [found.read(WAIT).searched for _ in range(2)] == [(100, 8), (100, 8)]


def broken(times: int) -> list[list[Answer]]:
    return [[page(START, START), AutoReconnect("connection closed")] for _ in range(times)]


# SPEC: R4  FAULTS: 22
def test_a_line_that_flaps_is_no_change_that_is_too_large() -> None:
    found = reading(Members(broken(20), is_steady=False))
    with pytest.raises(AutoReconnect):
        found.read(WAIT)


# SPEC: R4  FAULTS: 12
def test_an_answer_that_breaks_a_steady_line_each_time_is_one() -> None:
    with pytest.raises(OversizedChange):
        reading(Members(broken(20))).read(WAIT)
    found = reading(Members([*broken(1), [page(START, START), page(LATER, LATER)]]))
    assert found.read(WAIT).token == mark(LATER)
