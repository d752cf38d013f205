"""Dead letters replayed by the pipeline, over the in-memory connectors."""

from __future__ import annotations

import threading
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from warp_resources import WarpConfig, WarpRunner
from warp_resources.connectors.memory.destination import MemoryDestination, MemoryOptions
from warp_resources.connectors.memory.server import MemoryServer
from warp_resources.connectors.memory.store import PENDING, StoredLetter
from warp_resources.model.batches import DeadLetter
from warp_resources.model.letters import KeptLetter, LetterSelection
from warp_resources.model.replays import LetterOutcome
from warp_resources.model.tables import TableId
from warp_resources.pipeline.engine import open_engine, units
from warp_resources.pipeline.replay import ReplayReport, open_replayer
from warp_resources.pipeline.waiting import MOST_ATTEMPTS, WaitingRows

USERS = TableId("shop", "users")
EVERYTHING = LetterSelection("shop")


class Shop:
    """A server, a store, and the configuration that joins them, which may change between runs."""

    def __init__(self) -> None:
        self.name = uuid.uuid4().hex
        self.server = MemoryServer.named(self.name)
        self.server.create_table("shop", "users")
        self.destination = MemoryDestination(MemoryOptions(store=self.name))

    def config(self, users: dict[str, Any], mode: str = "stream") -> WarpConfig:
        return WarpConfig.model_validate(
            {
                "source": {"type": "memory", "server": self.name, "database": "shop"},
                "destination": {"type": "memory", "store": self.name},
                "schemas": [{"name": "shop", "mode": mode, "tables": {"users": users}}],
            }
        )

    def put(self, *rows: dict[str, Any]) -> None:
        self.server.put("shop", "users", *rows)

    def run(self, mode: str = "stream", **users: Any) -> None:
        WarpRunner(self.config(users, mode)).run_once()

    def replay(self, selection: LetterSelection = EVERYTHING, **users: Any) -> ReplayReport:
        with open_replayer(self.config(users), "shop") as replayer:
            return replayer.replay(selection)

    def rows(self) -> dict[object, dict[str, object]]:
        found = self.destination.rows(USERS)
        return {row["_id"]: {k: v for k, v in row.items() if k != "_id" and not k.startswith("_warp")} for row in found}

    def letters(self) -> list[KeptLetter]:
        return self.destination.dead_letters(EVERYTHING)


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def drifted(shop: Shop) -> Shop:
    """Two rows whose name became an object after the column had become text."""
    shop.put(*({"_id": n, "name": f"user {n}", "ssn": f"secret {n}"} for n in range(4)))
    shop.run()
    shop.put({"_id": 1, "name": {"first": "Ada"}, "ssn": "secret 1"}, {"_id": 2, "name": ["Bo"], "ssn": "secret 2"})
    shop.run()
    assert len(shop.letters()) == 2
    return shop


# SPEC: E6, T5
def test_letters_are_replayed_once_the_column_takes_them(drifted: Shop) -> None:
    assert drifted.replay().outcome == LetterOutcome(pending={"drastic_change": 2})
    assert len(drifted.destination.store.contents.errors) == 2
    assert drifted.replay(contract={"type_changes": "json"}).outcome == LetterOutcome(replayed=2)
    names = {key: row["name"] for key, row in drifted.rows().items()}
    assert names == {0: '"user 0"', 1: '{"first":"Ada"}', 2: '["Bo"]', 3: '"user 3"'}
    assert drifted.letters() == []


def test_one_letter_of_two_may_be_replayed(drifted: Shop) -> None:
    first = drifted.letters()[0]
    chosen = LetterSelection("shop", ids=(first.number,))
    assert drifted.replay(chosen, contract={"type_changes": "json"}).outcome == LetterOutcome(replayed=1)
    assert [one.number for one in drifted.letters()] != [first.number]
    assert len(drifted.letters()) == 1


# FAULTS: 23
def test_what_came_later_stays(drifted: Shop) -> None:
    drifted.put({"_id": 1, "name": "later", "ssn": "secret 1"})
    drifted.server.delete("shop", "users", 2)
    drifted.run()
    assert drifted.replay(contract={"type_changes": "json"}).outcome == LetterOutcome()
    assert {key: row["name"] for key, row in drifted.rows().items()} == {0: "user 0", 1: "later", 3: "user 3"}


def test_a_column_that_is_hashed_is_not_hashed_twice(shop: Shop) -> None:
    columns = {"ssn": {"action": "hash"}}
    shop.put(*({"_id": n, "name": f"user {n}", "ssn": f"secret {n}"} for n in range(3)))
    shop.run(columns=columns)
    hashed = shop.rows()[1]["ssn"]
    shop.put({"_id": 1, "name": {"first": "Ada"}, "ssn": "secret 1"})
    shop.run(columns=columns)
    assert "secret" not in shop.letters()[0].letter.record
    assert shop.replay(columns=columns, contract={"type_changes": "json"}).outcome == LetterOutcome(replayed=1)
    assert shop.rows()[1] == {"name": '{"first":"Ada"}', "ssn": hashed}


def test_one_record_that_the_contract_refuses_does_not_hold_up_the_others(drifted: Shop) -> None:
    drifted.put({"_id": 3, "name": {"first": "Cy"}, "ssn": "secret 3", "extra": 1})
    drifted.run()
    contents = drifted.destination.store.contents
    kept = next(one for one in contents.letters if one.letter.key_text == "1")
    record = kept.letter.record.replace('"ssn"', '"other": 5, "ssn"')
    with drifted.destination.store.transaction() as draft:
        draft.letters = [one if one.number != kept.number else _with_record(one, record) for one in draft.letters]
    report = drifted.replay(contract={"type_changes": "json", "new_columns": "freeze"})
    assert report.outcome == LetterOutcome(replayed=2, pending={"drastic_change": 1})
    assert set(report.failures) == {USERS}
    [left] = drifted.letters()
    assert left.letter.key_text == "1"
    assert left.last_error


def test_a_table_that_is_given_up_tells_of_all_its_letters(shop: Shop) -> None:
    shop.put(*({"_id": n, "name": f"user {n}", "n": 1} for n in range(4)))
    shop.run()
    shop.put(*({"_id": n, "name": {"first": "Ada"}, "n": 1} for n in range(250)))
    shop.run()
    with shop.destination.store.transaction() as draft:
        draft.letters = [_with_record(one, one.letter.record.replace('"n"', '"m": 5, "n"')) for one in draft.letters]
    report = shop.replay(contract={"new_columns": "freeze"})
    assert report.outcome == LetterOutcome(pending={"drastic_change": 250})
    assert set(report.failures) == {USERS}


def test_a_record_that_cannot_be_read_stays_pending_and_says_so(drifted: Shop) -> None:
    with drifted.destination.store.transaction() as draft:
        draft.letters = [_with_record(one, "{broken") for one in draft.letters]
    outcome = drifted.replay(contract={"type_changes": "json"}).outcome
    assert outcome == LetterOutcome(pending={"drastic_change": 2, "unreadable_record": 2})
    # The second time nothing new is told.
    assert drifted.replay().outcome.pending == outcome.pending
    assert len(drifted.letters()) == 4


# SPEC: R2 FAULTS: 20
@pytest.mark.parametrize("mode", ["stream", "batch"])
def test_rows_that_wait_are_tried_again_at_the_end_of_a_run(shop: Shop, mode: str) -> None:
    at = datetime.now(UTC)
    shop.put({"_id": 1, "n": 1, "updated_at": at})
    shop.run(mode)
    other = DeadLetter(USERS, '{"_id": 8}', "upsert", "unique", None, '{"_id": 8, "n": 8}', "extended_json", "8")
    with shop.destination.store.transaction() as draft:
        draft.letters += [StoredLetter(letter, 1, PENDING, datetime.now(UTC)) for letter in (waiting(7), other)]
    shop.run(mode)
    assert set(shop.rows()) == {1, 7}
    assert [one.letter.reason for one in shop.letters()] == ["unique"]


def waiting(key: int) -> DeadLetter:
    record = f'{{"_id": {key}}}'
    return DeadLetter(USERS, record, "upsert", "foreign_key", None, record, "extended_json", str(key))


def test_beside_a_stream_rows_are_tried_when_they_are_due(shop: Shop) -> None:
    shop.put({"_id": 1})
    shop.run()
    later = datetime.now(UTC) + timedelta(hours=1)
    letters = [StoredLetter(waiting(key), 1, PENDING, datetime.now(UTC)) for key in (5, 6, 7)]
    letters[1] = replace(letters[1], retry_at=later)
    letters[2] = replace(letters[2], attempts=MOST_ATTEMPTS)
    with shop.destination.store.transaction() as draft:
        draft.letters += letters
    [unit] = units(shop.config({}), "shop")
    with open_engine(unit, threading.Event()) as engine:
        WaitingRows(engine).try_due()
        assert set(shop.rows()) == {1}
        WaitingRows(engine, next_at=0.0).try_due()
    assert set(shop.rows()) == {1, 5}
    assert [one.letter.key_text for one in shop.letters()] == ["6", "7"]


def test_a_letter_of_which_only_the_key_was_kept_says_so(drifted: Shop) -> None:
    with drifted.destination.store.transaction() as draft:
        draft.letters = [_with_record(one, one.letter.primary_key, "withheld") for one in draft.letters]
    assert drifted.replay().outcome == LetterOutcome(pending={"drastic_change": 2})
    assert all("key" in (one.last_error or "") for one in drifted.letters())


def _with_record(stored: StoredLetter, record: str, encoding: str = "extended_json") -> StoredLetter:
    return replace(stored, letter=replace(stored.letter, record=record, encoding=encoding))
