"""Tables that cannot take part in their stream, over the in-memory connectors: set aside, caught up, rejoined."""

from __future__ import annotations

import itertools
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.pairs.process import eventually
from warp_assets.inspection import Inspection
from warp_resources import WarpConfig, WarpRunner
from warp_resources.cli.measuring import Measurements
from warp_resources.cli.status import table_statuses
from warp_resources.connectors.memory.destination import MemoryDestination, MemoryOptions
from warp_resources.connectors.memory.server import MemoryServer
from warp_resources.errors import TableFailure, TablesAside, TransientError
from warp_resources.model.batches import ConformedBatch, WriteReceipt
from warp_resources.model.positions import BatchCommit, ChunkCommit, StreamCommit, TableState
from warp_resources.model.tables import TableId
from warp_resources.pipeline.engine import Unit
from warp_resources.pipeline.options import open_source
from warp_resources.pipeline.replicate import Request
from warp_resources.pipeline.unit_process import serve
from warp_resources.telemetry import metrics

TABLES = ("a", "b", "c")


class Depot:
    """Three tables, any of which the destination can be made to refuse."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.name = uuid.uuid4().hex
        self.server = MemoryServer.named(self.name)
        self.destination = MemoryDestination(MemoryOptions(store=self.name))
        self.poisoned: set[str] = set()
        self.commits: list[ConformedBatch] = []
        self.on_write: Callable[[ConformedBatch], None] = lambda batch: None
        for table in TABLES:
            self.server.put("depot", table, *({"_id": n, "n": n} for n in range(5)))
        write = MemoryDestination.write

        def refusing(destination: MemoryDestination, batch: ConformedBatch) -> WriteReceipt:
            for part in batch.tables:
                if part.schema.table.name in self.poisoned:
                    raise TableFailure("A trigger raises", remedy="Drop it", table=part.schema.table)
            self.on_write(batch)
            self.commits.append(batch)
            return write(destination, batch)

        monkeypatch.setattr(MemoryDestination, "write", refusing)

    def config(self, error_handling: dict[str, Any] | None = None, **schema: Any) -> WarpConfig:
        return WarpConfig.model_validate(
            {
                "source": {"type": "memory", "server": self.name, "database": "depot"},
                "destination": {"type": "memory", "store": self.name},
                "schemas": [{"name": "depot", **schema}],
                "error_handling": {"max_retries": 0, "max_backoff_seconds": 1, **(error_handling or {})},
            }
        )

    def once(self, *, full_resync: bool = False, error_handling: dict[str, Any] | None = None, **schema: Any) -> None:
        WarpRunner(self.config(error_handling, **schema)).run_once(full_resync)

    @contextmanager
    def running(self, **schema: Any) -> Iterator[None]:
        stop = threading.Event()
        unit = Unit(self.config(**schema), "depot", "stream")
        thread = threading.Thread(target=serve, args=(unit, Request(once=False), stop))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(20)

    def state(self, table: str) -> TableState:
        return self.destination.table_states("depot")[table]

    def differences(self, *tables: str) -> list[str]:
        return [table for table in tables or TABLES if self.stored(table) != self.source(table)]

    def source(self, table: str) -> dict[Any, Any]:
        return {row["_id"]: row["n"] for _, row in self.server.rows("depot", table)}

    def stored(self, table: str) -> dict[Any, Any]:
        return {row["_id"]: row["n"] for row in self.destination.rows(TableId("depot", table))}

    def errors(self, kind: str) -> list[str]:
        return [its.entry.table.name for its in self.destination.store.contents.errors if its.entry.error_type == kind]

    def churn(self, dice: random.Random, count: int) -> None:
        for _ in range(count):
            table, key = dice.choice(TABLES), dice.randrange(8)
            if dice.random() < 0.3:
                self.server.delete("depot", table, key)
            else:
                self.server.put("depot", table, {"_id": key, "n": dice.randrange(1000)})


@pytest.fixture
def depot(monkeypatch: pytest.MonkeyPatch) -> Depot:
    return Depot(monkeypatch)


def test_a_poisoned_table_is_set_aside_and_catches_up_once_mended(depot: Depot) -> None:
    # SPEC: M3 R1 T7
    depot.once()
    start = depot.destination.stream_state("depot")
    depot.poisoned = {"b"}
    depot.churn(random.Random(1), 60)
    with pytest.raises(TablesAside, match=r"depot\.b\. A trigger raises"):
        depot.once()
    assert depot.differences("a", "c") == []
    assert depot.differences() == ["b"]
    assert start is not None
    assert depot.state("b").aside_position == start.position
    assert depot.state("b").aside_since is not None
    assert depot.state("a").aside_position is None
    depot.churn(random.Random(2), 60)
    with pytest.raises(TablesAside):
        depot.once()
    assert depot.differences() == ["b"]
    assert depot.errors("table_set_aside") == ["b"], "told once"
    depot.poisoned = set()
    depot.churn(random.Random(3), 60)
    depot.once()
    assert depot.differences() == []
    assert depot.state("b").aside_position is None
    assert depot.state("b").aside_reason is None


def test_several_tables_of_one_cut_and_a_cut_without_any_other(depot: Depot) -> None:
    # SPEC: M3
    depot.once()
    depot.poisoned = {"a", "b"}
    depot.churn(random.Random(4), 40)
    with pytest.raises(TablesAside, match=r"depot\.a, depot\.b"):
        depot.once()
    assert sorted(depot.errors("table_set_aside")) == ["a", "b"]
    before = depot.destination.stream_state("depot")
    depot.poisoned = {"c"}
    depot.server.put("depot", "c", {"_id": 77, "n": 77})
    with pytest.raises(TablesAside, match=r"depot\.c"):
        depot.once()
    after = depot.destination.stream_state("depot")
    assert before is not None
    assert after is not None
    assert after.position != before.position, "the stream moves although its only table fails"
    assert depot.differences() == ["c"]


@pytest.mark.parametrize("seed", range(2))
def test_a_running_stream_loses_nothing_whatever_is_set_aside(depot: Depot, seed: int) -> None:
    # SPEC: M3 T7  no cut of the main stream is applied twice or out of order
    dice = random.Random(seed)
    with depot.running(stream_batch_size=3):
        for _ in range(8):
            depot.poisoned = set(dice.sample(TABLES, dice.randrange(3)))
            depot.churn(dice, dice.randrange(40))
            eventually(lambda: depot.differences(*set(TABLES) - depot.poisoned) or all_back(depot))
        depot.poisoned = set()
        depot.churn(dice, 20)
        eventually(lambda: depot.differences() or all_back(depot))


def test_a_table_takes_part_again_in_a_stream_that_never_rests(depot: Depot) -> None:
    # SPEC: M3  each cut of the others brings the next one
    many = [f"m{number}" for number in range(12)]
    for table in many:
        depot.server.put("depot", table, {"_id": 1, "n": 0})
    depot.once()
    numbers = itertools.count()

    def go_on(batch: ConformedBatch) -> None:
        # As any server does, this one takes its time, in which the reader of the stream reads on.
        time.sleep(0.005)
        if any(part.schema.table.name == "a" for part in batch.tables):
            depot.server.put("depot", "a", {"_id": 1, "n": next(numbers)})

    depot.poisoned, depot.on_write = set(many), go_on
    with depot.running():
        for table in ("a", *many):
            depot.server.put("depot", table, {"_id": 1, "n": -1})
        eventually(lambda: sorted(depot.errors("table_set_aside")) == sorted(many))
        depot.poisoned = set()
        eventually(lambda: all_back(depot))
        depot.on_write = lambda batch: None
        eventually(lambda: depot.differences(*TABLES, *many))


def all_back(depot: Depot) -> bool:
    return all(state.aside_position is None or name in depot.poisoned for name, state in states(depot).items())


def states(depot: Depot) -> dict[str, TableState]:
    return depot.destination.table_states("depot")


@pytest.mark.parametrize("seed", range(3))
def test_a_crash_at_any_commit_loses_nothing(depot: Depot, seed: int) -> None:
    # SPEC: T7  FAULTS: 2
    dice = random.Random(seed)

    def crash(batch: ConformedBatch) -> None:
        if dice.random() < 0.25:
            raise TransientError("The server went away")

    depot.on_write = crash
    for _ in range(6):
        depot.poisoned = set(dice.sample(TABLES, dice.randrange(3)))
        depot.churn(dice, 25)
        for _ in range(2):
            try:
                depot.once(stream_batch_size=2, full_load_batch_size=2, full_resync=dice.random() < 0.3)
            except (TablesAside, TransientError):
                continue
    depot.poisoned, depot.on_write = set(), lambda batch: None
    depot.once()
    assert depot.differences() == []
    assert all_back(depot)


def test_a_first_load_that_fails_is_left_open_and_goes_on_once_mended(depot: Depot) -> None:
    # SPEC: M3 M5
    depot.poisoned = {"b"}
    with pytest.raises(TablesAside):
        depot.once(full_load_batch_size=2)
    assert depot.differences() == ["b"]
    assert [its.table.name for its in depot.destination.generations("depot")] == ["b"]
    depot.server.put("depot", "b", {"_id": 0, "n": -1})
    with pytest.raises(TablesAside):
        depot.once()
    assert depot.errors("table_set_aside") == ["b"]
    depot.poisoned = set()
    depot.once()
    assert depot.differences() == []
    assert depot.state("b").is_loaded
    assert depot.destination.generations("depot") == []


def test_a_cut_that_the_table_is_ahead_of_is_not_applied_to_it_again(depot: Depot) -> None:
    # SPEC: T7  rows never go back to an earlier value
    depot.once()
    depot.poisoned = {"b"}
    depot.server.put("depot", "b", {"_id": 1, "n": 100})
    with pytest.raises(TablesAside):
        depot.once()
    depot.poisoned = set()
    for n in range(101, 130):
        depot.server.put("depot", "b", {"_id": 1, "n": n})
        depot.server.put("depot", "a", {"_id": 1, "n": n})
    depot.commits.clear()
    depot.once(stream_batch_size=2)
    seen = [
        row["n"]
        for batch in depot.commits
        if isinstance(batch.commit, StreamCommit)
        for part in batch.tables
        if part.schema.table.name == "b"
        for row in part.rows.to_pylist()
    ]
    assert seen == sorted(seen)
    assert depot.differences() == []


@pytest.mark.parametrize("policy", ["resync", "fail"])
def test_a_position_that_is_gone_is_resynced_or_told(depot: Depot, policy: str) -> None:
    # SPEC: R4
    lost = {"on_history_lost": policy}
    depot.once()
    depot.poisoned = {"b"}
    depot.churn(random.Random(5), 30)
    with pytest.raises(TablesAside):
        depot.once()
    depot.server.delete("depot", "b", 0, 1, 2)
    with pytest.raises(TablesAside):
        depot.once()
    depot.poisoned = set()
    depot.server.trim_log()
    if policy == "fail":
        with pytest.raises(TablesAside, match="--full-resync"):
            depot.once(error_handling=lost)
        depot.once(error_handling=lost, full_resync=True)
    else:
        depot.once(error_handling=lost)
        assert depot.errors("history_lost") == ["b"]
    assert depot.differences() == []
    assert all_back(depot)


def test_a_full_resync_leaves_behind_what_cannot_be_applied(depot: Depot) -> None:
    # SPEC: M5 C5
    strict = {"ignore_type_conversion_errors": False}
    depot.once()
    depot.server.put("depot", "b", {"_id": 1, "n": {"an": "object"}})
    with pytest.raises(TablesAside, match="ignore_type_conversion_errors"):
        depot.once(error_handling=strict)
    depot.server.put("depot", "b", {"_id": 1, "n": 7})
    # The look-ups of another source would have seen this; a log that has every value has not.
    depot.once(error_handling=strict, full_resync=True)
    assert depot.differences() == []
    assert all_back(depot)


def test_a_table_that_leaves_the_configuration_is_no_longer_aside(depot: Depot) -> None:
    # SPEC: M5
    depot.once()
    depot.poisoned = {"b"}
    depot.churn(random.Random(6), 30)
    with pytest.raises(TablesAside):
        depot.once()
    depot.once(table_blacklist=["b"])
    assert depot.state("b").covered_from is None
    assert depot.state("b").aside_position is None
    depot.poisoned = set()
    depot.once()
    assert depot.differences() == []


def test_a_batch_table_fails_alone(depot: Depot) -> None:
    # SPEC: M3 T3
    depot.poisoned = {"b"}
    with pytest.raises(TableFailure, match="Drop it"):
        depot.once(mode="batch")
    assert depot.differences("a", "c") == []
    runs = {run.table.name: run for run in depot.destination.store.contents.runs.values()}
    assert {name: run.status for name, run in runs.items()} == {"a": "success", "b": "failed", "c": "success"}
    assert "Drop it" in str(runs["b"].error)
    depot.poisoned = set()
    depot.once(mode="batch")
    assert depot.differences() == []
    assert any(isinstance(batch.commit, (BatchCommit, ChunkCommit)) for batch in depot.commits)


@pytest.mark.parametrize("policy", ["freeze", "quarantine", "discard"])
def test_a_new_table_is_not_admitted_until_it_is_named(depot: Depot, policy: str) -> None:
    # SPEC: 2 contract.new_tables
    contract = {"contract": {"new_tables": policy}, "full_load_enabled": policy != "quarantine"}
    depot.once(contract={"new_tables": policy})
    assert depot.differences() == [], "what the schema had at its start is not new"
    depot.server.put("depot", "late", {"_id": 1, "n": 1})
    depot.server.put("depot", "a", {"_id": 1, "n": 42})
    depot.once(**contract)
    depot.server.put("depot", "late", {"_id": 2, "n": 2})
    depot.once(**contract)
    assert depot.differences() == []
    assert depot.stored("late") == {}
    assert depot.errors("table_set_aside") == ([] if policy == "discard" else ["late"]), "told once"
    if policy != "discard":
        assert depot.state("late").covered_from is None
        assert "schemas.depot.tables" in str(depot.state("late").aside_reason)
    depot.once(**contract, tables=[{"name": "late"}])
    depot.server.put("depot", "late", {"_id": 3, "n": 3})
    depot.once(**contract)
    assert depot.differences("a", "late") == []


def test_a_new_table_that_leaves_the_configuration_is_forgotten(depot: Depot) -> None:
    # SPEC: 2 contract.new_tables
    depot.once()
    depot.server.put("depot", "late", {"_id": 1, "n": 1})
    with depot.running(contract={"new_tables": "freeze"}):
        depot.server.put("depot", "later", {"_id": 1, "n": 1})
        eventually(lambda: {"late", "later"} <= states(depot).keys())
    assert depot.stored("late") == depot.stored("later") == {}
    depot.once(table_blacklist=["late"], contract={"new_tables": "freeze"})
    assert depot.state("late").aside_position is None
    assert depot.state("later").aside_position is not None


@pytest.mark.parametrize("event", ["drop_table", "truncate"])
def test_what_happens_to_a_table_is_kept_followed_or_a_failure(depot: Depot, event: str) -> None:
    # SPEC: X3
    depot.once()
    happen = getattr(depot.server, event)
    happen("depot", "a")
    depot.once()
    assert len(depot.stored("a")) == 5, "kept"
    depot.server.put("depot", "b", {"_id": 50, "n": 1})
    happen("depot", "b")
    depot.server.put("depot", "b", {"_id": 60, "n": 1})
    depot.once(on_source_change="follow")
    assert depot.stored("b") == {60: 1}
    assert len([its for its in depot.destination.store.contents.deletions if its.table.name == "b"]) == 5
    happen("depot", "c")
    depot.server.put("depot", "a", {"_id": 70, "n": 1})
    for _ in range(2):
        with pytest.raises(TablesAside, match="on_source_change"):
            depot.once(on_source_change="fail")
    assert len(depot.stored("c")) == 5
    assert depot.stored("a")[70] == 1, "the others go on"
    assert depot.errors("table_set_aside") == ["c"]
    depot.once(on_source_change="follow")
    assert depot.stored("c") == {}
    assert all_back(depot)


def test_status_metrics_and_the_check_of_lag_tell_of_a_table_that_is_aside(depot: Depot) -> None:
    # SPEC: L4 P1 D4
    depot.once()
    depot.poisoned = {"b"}
    depot.churn(random.Random(7), 30)
    with pytest.raises(TablesAside):
        depot.once(contract={"new_tables": "freeze"})
    depot.server.put("depot", "late", {"_id": 1, "n": 1})
    with pytest.raises(TablesAside):
        depot.once(contract={"new_tables": "freeze"})
    config = depot.config()
    lines = {line.table: line for line in table_statuses(config, depot.destination, "depot")}
    assert [lines[name].state for name in ("a", "b", "late")] == ["inactive", "aside", "not admitted"]
    assert "Drop it" in str(lines["b"].error)
    assert lines["b"].position == depot.state("b").aside_position
    measurements = Measurements(config)
    try:
        statuses = {its.labels[2]: its.value for its in measurements() if its.metric is metrics.SYNC_STATUS}
    finally:
        measurements.close()
    assert statuses["b"] == metrics.ERROR
    assert statuses["a"] == metrics.INACTIVE
    inspection = Inspection(config, "depot", open_source(config), depot.destination)
    finding = inspection.lag(TableId("depot", "b"))
    assert not finding.passed
    assert "Drop it" in finding.text
