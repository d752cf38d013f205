"""Replays beside a running stream, and rows that the server refuses, on a real PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.cli.conftest import execute
from tests.contract.conformed import creation, moved, part
from tests.contract.laboratories import PostgresDestinationLab
from tests.contract.test_destination_replay import POISON, SCHEMA, USERS, V1, WHOLE, Line, losing
from warp_resources.model.batches import Original
from warp_resources.model.replays import LetterOutcome

pytestmark = pytest.mark.servers


@pytest.fixture
def lab(warehouse: str) -> Iterator[PostgresDestinationLab]:
    made = PostgresDestinationLab(warehouse)
    yield made
    made.close()


def opened(lab: PostgresDestinationLab) -> Line:
    destination = lab.open()
    state = destination.start_stream(SCHEMA, {"at": 1})
    stream = moved(SCHEMA, replace(state, sequence=destination.admit(moved(SCHEMA, state), [USERS], [])))
    line = Line(destination, stream)
    line.write(part(V1, changes=creation()))
    return line


def original(number: int) -> Original:
    return Original(f'{{"id": {number}}}', "extended_json", f'{{"id": {number}}}')


# FAULTS: 23
def test_a_replay_that_races_a_stream_never_brings_back_what_was(lab: PostgresDestinationLab) -> None:
    line = opened(lab)
    beside = Line(lab.open(), line.stream)
    is_over = threading.Event()
    failures: list[Exception] = []

    def replay_on() -> None:
        try:
            while not is_over.is_set():
                for one in beside.letters():
                    beside.replay(part(V1, [{"id": 1, "name": f"letter {one.sequence}"}]), [one])
        except Exception as error:  # noqa: BLE001
            failures.append(error)

    thread = threading.Thread(target=replay_on)
    thread.start()
    for turn in range(60):
        line.write(losing(replace(POISON, record=f'{{"id": 1, "turn": {turn}}}'), rows=({"id": 1, "name": None},)))
        if turn % 3 == 0:
            line.write(part(V1, deletes=[1]))
    line.write(part(V1, [{"id": 1, "name": "last"}]))
    is_over.set()
    thread.join()
    assert failures == []
    assert lab.rows(USERS)[1]["name"] == "last"
    assert line.letters() == []
    assert set(lab.letter_statuses(USERS)) <= {"replayed", "superseded"}


# SPEC: R2, T5
def test_only_what_the_server_refuses_stays_pending(lab: PostgresDestinationLab, warehouse: str) -> None:
    line = opened(lab)
    letters = tuple(
        replace(WHOLE, key_text=str(n), primary_key=f'{{"id": {n}}}', record=f'{{"id": {n}}}', reason="check")
        for n in range(20)
    )
    line.write(losing(*letters))
    execute(warehouse, "alter table shop.users add constraint short check (name <> 'user 7')")
    records = part(V1, [{"id": n, "name": f"user {n}"} for n in range(20)])
    outcome = line.replay(replace(records, original=original))
    assert outcome == LetterOutcome(replayed=19, pending={"check": 1})
    [left] = line.letters()
    assert left.letter.key_text == "7"
    assert "short" in (left.last_error or "")
    assert len(lab.rows(USERS)) == 19
    execute(warehouse, "alter table shop.users drop constraint short")
    assert line.replay(part(V1, [{"id": 7, "name": "user 7"}])) == LetterOutcome(replayed=1)


def test_parents_and_children_of_one_table_come_in_together(lab: PostgresDestinationLab, warehouse: str) -> None:
    line = opened(lab)
    execute(warehouse, "alter table shop.users add unique (name)")
    execute(
        warehouse,
        "alter table shop.users add column parent bigint generated always as (nullif(id, 1) / 2) stored",
        "alter table shop.users add foreign key (parent) references shop.users (id) deferrable initially deferred",
    )
    letters = tuple(
        replace(WHOLE, key_text=str(n), primary_key=f'{{"id": {n}}}', record=f'{{"id": {n}}}', reason="foreign_key")
        for n in (9, 4, 2, 11)
    )
    line.write(losing(*letters))
    line.write(part(V1, [{"id": 1, "name": "1"}]))
    records = part(V1, [{"id": n, "name": str(n)} for n in (9, 4, 2, 11)])
    outcome = line.replay(replace(records, original=lambda row: original((9, 4, 2, 11)[row])))
    assert outcome == LetterOutcome(replayed=3, pending={"foreign_key": 1})
    assert set(lab.rows(USERS)) == {1, 2, 4, 9}
