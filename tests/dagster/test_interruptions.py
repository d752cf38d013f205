"""Runs that are terminated, that find a table locked, or that go on with what an earlier run left."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from tests.dagster.configurations import Site
from warp_assets import streams
from warp_resources.connectors.memory.source import MemorySource
from warp_resources.errors import LeaseHeld, OperatorError, TransientError
from warp_resources.model.tables import TableId

NOW = datetime.now(UTC)
QUICK = {"error_handling": {"max_retries": 1, "backoff_factor": 1.0, "max_backoff_seconds": 1}}


class Reads:
    """Every chunk that was read, by its table, and what is to happen before some of them."""

    def __init__(self) -> None:
        self.tables: list[str] = []
        self.before: Callable[[str, int], None] = lambda table, count: None

    def note(self, table: str) -> None:
        self.tables.append(table)
        self.before(table, len(self.tables))

    def begin(self, before: Callable[[str, int], None] = lambda table, count: None) -> None:
        self.tables.clear()
        self.before = before


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    found, read, marked = Reads(), MemorySource.read_chunk, MemorySource.read_marked

    def read_chunk(self: MemorySource, scope: Any, table: str, *rest: Any) -> Any:
        found.note(table)
        return read(self, scope, table, *rest)

    def read_marked(self: MemorySource, scope: Any, table: str, *rest: Any) -> Any:
        found.note(table)
        return marked(self, scope, table, *rest)

    monkeypatch.setattr(MemorySource, "read_chunk", read_chunk)
    monkeypatch.setattr(MemorySource, "read_marked", read_marked)
    return found


@pytest.fixture
def site() -> Site:
    """A stream schema and a batch schema, each of two loaded tables of a hundred rows."""
    made = Site({"name": "shop"}, {"name": "crm", "mode": "batch"}, **QUICK)
    for table in ("a", "b"):
        made.server.put("shop", table, *({"_id": number} for number in range(100)))
        made.server.put("crm", table, *({"_id": number, "updated_at": NOW} for number in range(100)))
    made.sync()
    return made


@contextmanager
def terminated_in(reads: Reads, chunk: int) -> Iterator[None]:
    """Termination reaches a run as an interrupt of its process."""
    reads.begin(lambda table, count: os.kill(os.getpid(), signal.SIGINT) if count == chunk else None)
    with suppress(dg.DagsterExecutionInterruptedError):
        yield


@pytest.mark.parametrize(
    ("schema", "job", "config"),
    [("shop", "resync_shop", {}), ("crm", "resync_crm", {}), ("crm", "sync_crm", {"since": "2024-01-01"})],
)
def test_a_terminated_job_ends_at_once_and_frees_its_leases(
    site: Site, reads: Reads, schema: str, job: str, config: dict[str, Any]
) -> None:
    # SPEC: M6 D3 T3
    with terminated_in(reads, 2):
        site.run_job(job, **config)
    assert len(reads.tables) == 2
    [run] = site.instance.get_runs()
    assert run.status in (dg.DagsterRunStatus.CANCELED, dg.DagsterRunStatus.FAILURE)
    leases = [
        f"{kind}:{schema}.{table}{rest}" for kind, rest in (("batch", ""), ("slice", ":slice-00")) for table in "ab"
    ]
    with closing(site.destination.state_store()) as store:
        assert [store.lease_holder(lease) for lease in leases] == [None] * 4
    figures = site.destination.figures_of_run(schema, run.run_id)
    assert [its.status for its in figures if its.status != "success"] == ["stopped"]


def test_what_was_done_before_a_failure_is_told(site: Site, reads: Reads) -> None:
    # SPEC: M3 D6
    reads.begin(_refuse("b"))
    assert not site.run_job("resync_shop", tables=["a", "b"]).success
    assert len(site.partitions("shop", "a")) == 8
    assert site.partitions("shop", "b") == []


@pytest.mark.parametrize("schema", ["shop", "crm"])
def test_a_re_executed_resync_reads_only_what_is_left(site: Site, reads: Reads, schema: str) -> None:
    # SPEC: M5
    job, config = f"resync_{schema}", {"tables": ["a", "b"]}
    reads.begin(_refuse("b", after=8 + 3))
    first = site.run_job(job, **config)
    assert not first.success
    reads.begin()
    assert site.re_execute(job, first.run_id, **config)
    assert reads.tables == ["b"] * 5
    assert site.destination.generations(schema) == []
    # Of a run that succeeded nothing is left: to run it again is to read everything again.
    [done, *_] = site.instance.get_runs()
    reads.begin()
    assert site.re_execute(job, done.run_id, **config)
    assert sorted(reads.tables) == ["a"] * 8 + ["b"] * 8


def test_a_locked_table_does_not_starve_those_after_it(site: Site, reads: Reads) -> None:
    # SPEC: M3 R3
    for table in ("a", "b", "first"):
        site.server.put("crm", table, {"_id": 500, "updated_at": datetime.now(UTC)})

    def lock(table: str, count: int) -> None:
        if table == "a":
            raise TransientError("The table is locked", remedy="Wait")

    reads.begin(lock)
    done = site.run_job("sync_crm")
    assert not done.success
    assert [500 in site.rows("crm", table) for table in ("a", "b", "first")] == [False, True, True]
    assert (reads.tables.count("b"), reads.tables.count("a")) == (1, 3)


def test_who_loses_the_race_for_the_stream_waits_for_the_one_that_won_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    # SPEC: D3 T8
    def lose(*arguments: Any) -> bool:
        site.server.put("shop", "a", {"_id": 500})
        site.sync()
        raise LeaseHeld("Another process streams this schema", remedy="Wait")

    monkeypatch.setattr(streams, "serve", lose)
    assert site.run_job("sync_shop").success
    assert 500 in site.rows("shop", "a")

    monkeypatch.setattr(streams, "LONGEST_WAIT", streams.timedelta(0))

    def lose_for_good(*arguments: Any) -> bool:
        site.server.put("shop", "a", {"_id": 501})
        raise LeaseHeld("Another process streams this schema", remedy="Wait")

    monkeypatch.setattr(streams, "serve", lose_for_good)
    assert not site.run_job("sync_shop").success


def test_readings_of_batch_tables_that_nobody_goes_on_with_are_closed(
    site: Site, reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    # SPEC: M5
    reads.begin(_refuse("a", after=3))
    assert not site.run_job("resync_crm", tables=["a"]).success
    assert len(site.destination.generations("crm")) == 1
    reads.begin()
    assert site.run_job("sync_crm").success
    assert len(site.destination.generations("crm")) == 1
    with site.destination.store.transaction() as draft:
        for key in draft.read_at:
            draft.read_at[key] = datetime(2024, 1, 1, tzinfo=UTC)
    assert site.run_job("sync_crm").success
    assert site.destination.generations("crm") == []
    errors = [logged.entry for logged in site.destination.store.contents.errors]
    assert {entry.table for entry in errors if entry.error_type == "generation_abandoned"} == {TableId("crm", "a")}


def _refuse(table: str, after: int = 0) -> Callable[[str, int], None]:
    """Fail a table's reading, once so many chunks are read."""

    def before(name: str, count: int) -> None:
        if name == table and count > after:
            raise OperatorError("It cannot be read", remedy="Mend it")

    return before
