"""Batch tables over the in-memory connectors: what no crash and no clock may lose."""

from __future__ import annotations

import threading
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from warp_resources import WarpConfig, WarpRunner
from warp_resources.connectors.memory.destination import MemoryDestination, MemoryOptions
from warp_resources.connectors.memory.server import MemoryServer
from warp_resources.model.tables import TableId
from warp_resources.pipeline.engine import open_engine, units
from warp_resources.pipeline.snapshot import first_load, read_generation

ACCOUNTS = TableId("crm", "accounts")


class Crm:
    """A batch schema whose look-back is nothing, so that only exact markers lose nothing."""

    def __init__(self, **schema: Any) -> None:
        self.name = uuid.uuid4().hex
        self.server = MemoryServer.named(self.name)
        self.destination = MemoryDestination(MemoryOptions(store=self.name))
        self.config = self.configured(mode="batch", **schema)

    def configured(self, **schema: Any) -> WarpConfig:
        return WarpConfig.model_validate(
            {
                "source": {"type": "memory", "server": self.name, "change_detection": {"lookback": "0s"}},
                "destination": {"type": "memory", "store": self.name},
                "schemas": [{"name": "crm", **schema}],
            }
        )

    def put(self, key: int, text: str, at: datetime | None = None) -> None:
        row = {"_id": key, "text": text, "updated_at": at or datetime.now(UTC)}
        self.server.put("crm", "accounts", row)

    def once(self) -> None:
        WarpRunner(self.config).run_once()

    def texts(self) -> dict[int, str]:
        return {row["_id"]: row["text"] for row in self.destination.rows(ACCOUNTS)}


def test_a_first_load_that_is_taken_up_after_a_crash_hides_no_change() -> None:
    # SPEC: T7  FAULTS: 2 25
    crm = Crm(full_load_batch_size=1)
    before = datetime.now(UTC) - timedelta(hours=1)
    for key in range(4):
        crm.put(key, "old", before)
    with open_engine(units(crm.config, "crm")[0], threading.Event()) as engine:
        engine.destination.seize_table(ACCOUNTS, "batch")
        chunks = read_generation(engine, first_load(engine, ACCOUNTS))
        read = {next(chunks).rows for _ in range(2)}
        assert read
        done = set(crm.texts())
    crm.put(min(done), "changed after it was read")
    crm.put(3, "changed later, before it is read")
    crm.once()
    crm.once()
    assert crm.texts()[min(done)] == "changed after it was read"


def test_the_marker_of_a_first_load_is_never_later_than_its_start() -> None:
    # SPEC: M2  FAULTS: 24
    crm = Crm()
    crm.put(1, "dated far ahead", datetime.now(UTC) + timedelta(days=1000))
    crm.once()
    crm.put(2, "dated now")
    crm.once()
    assert set(crm.texts()) == {1, 2}


def test_another_marker_column_begins_anew() -> None:
    # SPEC: M2
    crm = Crm()
    crm.put(1, "a")
    crm.once()
    crm.server.put("crm", "accounts", {"_id": 2, "text": "b", "changed_at": datetime(2020, 1, 1, tzinfo=UTC)})
    crm.server.put("crm", "accounts", {"_id": 1, "text": "c", "changed_at": datetime(2020, 1, 1, tzinfo=UTC)})
    crm.config = crm.configured(mode="batch", change_detection={"column": "changed_at"})
    crm.once()
    assert crm.texts() == {1: "c", 2: "b"}


@pytest.mark.parametrize("modes", [("stream", "batch"), ("batch", "stream")])
def test_a_table_whose_mode_changes_is_read_again(modes: tuple[str, str]) -> None:
    # SPEC: M2 T1
    crm = Crm()
    crm.put(1, "old", datetime(2020, 1, 1, tzinfo=UTC))
    crm.config = crm.configured(mode=modes[0])
    crm.once()
    crm.put(1, "new", datetime(2020, 1, 1, tzinfo=UTC))
    crm.config = crm.configured(mode=modes[1])
    crm.once()
    assert crm.texts() == {1: "new"}


# SPEC: M2 C1
def test_local_times_are_read_in_the_zone_that_is_set() -> None:
    crm = Crm(change_detection={"timezone": "Europe/Berlin"})
    crm.put(1, "in the hour that is shown twice", datetime(2024, 10, 27, 2, 50))
    crm.once()
    crm.put(2, "in the same hour, when it is shown again", datetime(2024, 10, 27, 2, 10))
    crm.once()
    assert set(crm.texts()) == {1, 2}


# SPEC: M2 T7
@pytest.mark.parametrize(
    ("first", "second"), [("America/New_York", "UTC"), ("UTC", "Asia/Tokyo"), ("Asia/Tokyo", "America/New_York")]
)
def test_another_time_zone_loses_no_row(first: str, second: str) -> None:
    crm = Crm(change_detection={"timezone": first})
    crm.put(1, "before", datetime(2024, 7, 1, 7))
    crm.once()
    crm.config = crm.configured(mode="batch", change_detection={"timezone": second})
    for key in (2, 3):
        crm.put(key, "after", datetime(2024, 7, 1, 7, key))
        crm.once()
    assert set(crm.texts()) == {1, 2, 3}
    position = crm.destination.table_states("crm")["accounts"].position or {}
    assert position.get("zone", "UTC") == second
