"""Settings of the whole process over the in-memory connectors: logs, warnings, retention and the second process."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from structlog.typing import EventDict, WrappedLogger

from warp_resources import WarpConfig, WarpRunner
from warp_resources.connectors.memory.destination import MemoryDestination, MemoryOptions
from warp_resources.connectors.memory.server import MemoryServer
from warp_resources.connectors.memory.source import MemorySource, MemorySourceOptions
from warp_resources.connectors.memory.store import StoredLetter
from warp_resources.errors import TransientError
from warp_resources.model.batches import ErrorEntry
from warp_resources.model.tables import TableId
from warp_resources.pipeline import replicate, retention
from warp_resources.pipeline.correlation import correlated, in_context
from warp_resources.pipeline.retention import removing_old_metadata, retention_periods

USERS = TableId("shop", "users")
Line = dict[str, Any]


class Shop:
    """One schema with one table, and the settings under test."""

    def __init__(self, schema: dict[str, Any] | None = None, **settings: Any) -> None:
        self.name = uuid.uuid4().hex
        self.server = MemoryServer.named(self.name)
        self.destination = MemoryDestination(MemoryOptions(store=self.name))
        destination = {"type": "memory", "store": self.name, **settings.pop("destination", {})}
        self.config = WarpConfig.model_validate(
            {
                "source": {"type": "memory", "server": self.name},
                "destination": destination,
                "schemas": [{"name": "shop", **(schema or {})}],
                **settings,
            }
        )

    def put(self, **row: Any) -> None:
        self.server.put("shop", "users", row)

    def once(self, *, full_resync: bool = False) -> None:
        WarpRunner(self.config).run_once(full_resync)

    def open_source(self) -> MemorySource:
        return MemorySource(MemorySourceOptions(server=self.name))

    @property
    def letters(self) -> list[StoredLetter]:
        return self.destination.store.contents.letters

    @property
    def error_types(self) -> list[str]:
        return sorted(logged.entry.error_type for logged in self.destination.store.contents.errors)


@pytest.fixture
def lines() -> Iterator[list[Line]]:
    """Every line that is logged meanwhile, with what is bound to it."""
    found: list[Line] = []

    def keep(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        found.append(dict(event))
        raise structlog.DropEvent

    structlog.configure(processors=[structlog.contextvars.merge_contextvars, keep])
    yield found
    structlog.reset_defaults()


def said(lines: list[Line], event: str) -> Line:
    [line] = [line for line in lines if line["event"] == event]
    return line


def test_a_line_has_the_ids_of_its_run_schema_table_and_batch(lines: list[Line]) -> None:
    # SPEC: P3
    shop = Shop()
    shop.put(_id=1)
    shop.once()
    [run] = {run_id for run_id, _ in shop.destination.store.contents.runs}
    chunk = said(lines, "schema changed")
    assert (chunk["run_id"], chunk["schema"], chunk["table"], chunk["slice"]) == (run, "shop", "shop.users", "slice-00")
    complete = said(lines, "snapshot complete")
    assert (complete["run_id"], complete["schema"], "slice" in complete) == (run, "shop", False)
    lines.clear()
    shop.put(_id=2, n=1)
    shop.once()
    cut = said(lines, "schema changed")
    state = shop.destination.stream_state("shop")
    assert state is not None
    assert (cut["schema"], cut["table"], cut["batch"], "slice" in cut) == ("shop", "shop.users", state.sequence, False)
    assert cut["run_id"] != run
    assert structlog.contextvars.get_contextvars() == {}


def test_a_line_of_a_batch_table_has_them_too(lines: list[Line]) -> None:
    # SPEC: P3
    shop = Shop({"mode": "batch"})
    shop.put(_id=1)
    shop.once()
    opened = said(lines, "snapshot opened")
    assert (opened["schema"], opened["table"]) == ("shop", "shop.users")
    assert opened["run_id"] == said(lines, "schema changed")["run_id"]


def test_without_correlation_ids_lines_say_only_what_they_say(lines: list[Line]) -> None:
    # SPEC: P3
    shop = Shop(logging={"correlation_id_enabled": False})
    shop.put(_id=1)
    shop.once()
    assert said(lines, "schema changed")["table"] == "shop.users"
    assert not [line for line in lines if {"run_id", "batch", "schema"} & {*line} and line["event"] != "stream started"]


def test_another_thread_has_the_ids_of_the_one_that_made_it(lines: list[Line]) -> None:
    # SPEC: P3
    log = structlog.get_logger("test")
    with correlated(Shop().config, run_id="r1", schema="shop"):
        thread = threading.Thread(target=in_context(log.info), args=("told",))
    thread.start()
    thread.join()
    log.info("told by nobody")
    assert (said(lines, "told")["run_id"], said(lines, "told")["schema"]) == ("r1", "shop")
    assert "run_id" not in said(lines, "told by nobody")


@pytest.mark.parametrize(
    ("logs", "expected"), [(True, ["drastic_change", "type_conversion"]), (False, ["drastic_change"])]
)
def test_conversion_warnings_can_be_left_out_but_losses_cannot(logs: bool, expected: list[str]) -> None:
    # SPEC: E3 E6 E8
    shop = Shop(error_handling={"log_conversion_warnings": logs})
    shop.put(_id=1, n=1)
    shop.once()
    shop.put(_id=2, n="three")
    shop.once()
    shop.put(_id=3, n={"an": "object"})
    shop.once()
    assert shop.error_types == expected
    assert [kept.letter.reason for kept in shop.destination.store.contents.letters] == ["drastic_change"]


def test_old_metadata_goes_when_an_engine_opens(lines: list[Line]) -> None:
    # SPEC: T4
    shop = Shop(retention={"error_log": "0s"})
    shop.put(_id=1)
    shop.destination.record_errors([ErrorEntry(USERS, "history_lost", "lost", "read again")], "earlier")
    shop.once()
    assert shop.error_types == []
    assert said(lines, "old metadata removed")["rows"] == 1
    assert set(shop.destination.store.contents.runs) != set(), "runs have a period of their own"


def test_a_destination_that_cannot_be_reached_hinders_nobody(
    lines: list[Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    # SPEC: R3
    def refuse(config: WarpConfig) -> MemoryDestination:
        raise TransientError("The server does not answer")

    monkeypatch.setattr(retention, "open_destination", refuse)
    with removing_old_metadata(Shop().config):
        pass
    assert said(lines, "old metadata not removed")["error"] == "The server does not answer."


def test_no_period_is_longer_than_a_database_can_count_back() -> None:
    # SPEC: T4
    periods = retention_periods(Shop(retention={"error_log": "9999999d", "deletion_log": "2d"}).config)
    assert (periods.error_log.days, periods.sync_runs.days, periods.deletion_log.days) == (36_500, 90, 2)


class _Recorder:
    """Stands where the second process would be started."""

    started = 0

    def __init__(self, work: object) -> None:
        type(self).started += 1

    def close(self, *, has_work: bool = True) -> None:
        """It never was a process."""


@pytest.mark.parametrize(
    ("schema", "destination", "helpers"),
    [
        ({}, {}, 1),
        ({"max_parallel_streams": 2}, {}, 1),
        ({"max_parallel_streams": 1}, {}, 0),
        ({}, {"pool_size": 6, "max_overflow": 0}, 1),
        ({}, {"pool_size": 2, "max_overflow": 3}, 0),
    ],
)
def test_a_second_process_reads_only_where_there_is_room_for_it(
    schema: dict[str, Any], destination: dict[str, Any], helpers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # SPEC: C3
    monkeypatch.setattr(replicate, "HELPER_ROWS", 1)
    monkeypatch.setattr(replicate, "SliceHelper", _Recorder)
    monkeypatch.setattr(_Recorder, "started", 0)
    shop = Shop(schema, destination=destination)
    shop.put(_id=1)
    shop.once()
    assert _Recorder.started == helpers
    assert shop.destination.row_count(USERS) == 1
