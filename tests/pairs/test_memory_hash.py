"""Batch tables without a marker, compared whole at each tick, over the in-memory connectors."""

from __future__ import annotations

import threading
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from warp_resources import WarpConfig, WarpRunner
from warp_resources.connectors.memory.comparison import MemoryComparison
from warp_resources.connectors.memory.destination import MemoryDestination, MemoryOptions
from warp_resources.connectors.memory.server import MemoryServer
from warp_resources.model.batches import ConformedTable
from warp_resources.model.differences import Difference, Surplus
from warp_resources.model.tables import TableId
from warp_resources.pipeline.batch import sync_slices, sync_table
from warp_resources.pipeline.engine import open_engine, units

THINGS = TableId("crm", "things")


class Crm:
    """A batch schema with strategy ``hash`` that is synced when told to."""

    def __init__(self, **schema: Any) -> None:
        self.name = uuid.uuid4().hex
        self.server = MemoryServer.named(self.name)
        self.destination = MemoryDestination(MemoryOptions(store=self.name))
        settings = {"name": "crm", "mode": "batch", "change_detection": {"strategy": "hash"}, **schema}
        self.config = WarpConfig.model_validate(
            {
                "source": {"type": "memory", "server": self.name},
                "destination": {"type": "memory", "store": self.name},
                "schemas": [settings],
            }
        )

    def put(self, *rows: dict[str, Any]) -> None:
        self.server.put("crm", "things", *rows)

    def once(self) -> None:
        WarpRunner(self.config).run_once()

    def rows(self) -> dict[Any, dict[str, Any]]:
        found = self.destination.rows(THINGS)
        return {row["_id"]: {n: v for n, v in row.items() if not n.startswith("_warp")} for row in found}

    def sequences(self) -> dict[Any, int]:
        return {row["_id"]: row["_warp_sequence"] for row in self.destination.rows(THINGS)}

    def pending(self) -> list[str]:
        letters = self.destination.store.contents.letters
        return [kept.letter.record for kept in letters if kept.status == "pending"]


def test_inserts_updates_and_deletes_are_found_and_nothing_else_is_written() -> None:
    # SPEC: X4 X1 M2
    crm = Crm(full_load_batch_size=3)
    crm.put(*({"_id": key, "n": Decimal("1.10"), "at": datetime(2024, 5, 1, tzinfo=UTC)} for key in range(10)))
    crm.once()
    before = crm.sequences()
    crm.once()
    assert crm.sequences() == before
    crm.put({"_id": 3, "n": Decimal("1.1")}, {"_id": 20, "j": {"a": [1, None]}})
    crm.server.delete("crm", "things", 7)
    crm.once()
    rows, after = crm.rows(), crm.sequences()
    assert set(rows) == {*range(10), 20} - {7}
    assert (str(rows[3]["n"]), rows[3]["at"], rows[20]["j"]) == ("1.1", None, '{"a":[1,null]}')
    assert {key for key, sequence in after.items() if before.get(key) != sequence} == {3, 20}
    (deletion,) = crm.destination.store.contents.deletions
    assert deletion.key_text == "7"
    crm.once()
    assert crm.sequences() == after


def test_deletes_are_soft_where_that_is_wanted() -> None:
    # SPEC: X4 X2
    crm = Crm(deletion_strategy="soft")
    crm.put({"_id": 1}, {"_id": 2})
    crm.once()
    crm.server.delete("crm", "things", 1)
    crm.once()
    flagged = crm.sequences()[1]
    crm.once()
    assert (crm.rows()[1]["is_deleted"], crm.sequences()[1]) == (True, flagged)
    crm.put({"_id": 1})
    crm.once()
    assert crm.rows()[1]["is_deleted"] is False


def test_a_value_that_is_set_aside_is_kept_in_each_of_its_states() -> None:
    # SPEC: X4 E6 E8
    crm = Crm()
    crm.put({"_id": 1, "v": 1}, {"_id": 2, "v": 2})
    crm.once()
    crm.put({"_id": 1, "v": {"a": 1}})
    crm.once()
    crm.put({"_id": 1, "v": {"a": 2}})
    crm.once()
    crm.once()
    assert crm.pending() == ['{"_id": 1, "v": {"a": 2}}']
    assert crm.rows()[1]["v"] is None


def test_keys_of_another_family_and_new_columns_come_with_the_tick_that_finds_them() -> None:
    # SPEC: X4 E4 E11
    crm = Crm()
    crm.put({"_id": 1}, {"_id": 2})
    crm.once()
    crm.put({"_id": "1", "new": True})
    crm.server.delete("crm", "things", 2)
    crm.once()
    assert set(crm.rows()) == {"1", '"1"'}
    assert crm.rows()['"1"']["new"] is True


def test_what_a_crash_broke_off_is_found_by_the_next_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    # SPEC: X4 T7
    crm = Crm(full_load_batch_size=2)
    crm.put(*({"_id": key, "n": 0} for key in range(8)))
    crm.once()
    crm.put(*({"_id": key, "n": 1} for key in range(6)))
    crm.server.delete("crm", "things", 7)

    def broken(*_: object) -> None:
        raise RuntimeError("killed here")

    with monkeypatch.context() as patch:
        patch.setattr(MemoryComparison, "surplus", broken)
        with pytest.raises(RuntimeError):
            crm.once()
    assert 7 in crm.rows()
    crm.once()
    assert {key: row["n"] for key, row in crm.rows().items()} == {**dict.fromkeys(range(6), 1), 6: 0}


def test_rows_stay_where_the_source_table_is_gone() -> None:
    # SPEC: X3 X4
    crm = Crm()
    crm.put({"_id": 1})
    crm.once()
    crm.server.drop_table("crm", "things")
    crm.once()
    assert set(crm.rows()) == {1}


def test_rows_stay_where_the_source_table_goes_just_before_their_removal(monkeypatch: pytest.MonkeyPatch) -> None:
    # SPEC: X3 X4
    crm = Crm()
    crm.put({"_id": 1}, {"_id": 2})
    crm.once()
    crm.server.delete("crm", "things", 1)
    find = MemoryComparison.surplus

    def find_and_drop(comparison: MemoryComparison, limit: int, since: int) -> list[Surplus]:
        found = find(comparison, limit, since)
        crm.server.drop_table("crm", "things")
        return found

    monkeypatch.setattr(MemoryComparison, "surplus", find_and_drop)
    crm.once()
    assert set(crm.rows()) == {1, 2}


def test_a_tick_that_is_broken_off_removes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    # SPEC: X4 M6
    crm = Crm(full_load_batch_size=2)
    crm.put(*({"_id": key} for key in range(8)))
    crm.once()
    crm.server.delete("crm", "things", 7)
    compare = MemoryComparison.compare
    with open_engine(units(crm.config, "crm")[0], threading.Event()) as engine:

        def compare_and_stop(comparison: MemoryComparison, part: ConformedTable) -> list[Difference]:
            engine.stop.set()
            return compare(comparison, part)

        monkeypatch.setattr(MemoryComparison, "compare", compare_and_stop)
        sync_table(engine, "things")
    assert set(crm.rows()) == set(range(8))


def test_some_slices_bring_what_differs_and_delete_nothing() -> None:
    # SPEC: X4 D7
    crm = Crm(tables=[{"name": "things", "partitions": {"by": "key", "slices": 4}}])
    crm.put(*({"_id": key, "n": 0} for key in range(8)))
    crm.once()
    with crm.destination.store.transaction() as draft:
        table = draft.table(THINGS)
        for key, row in list(table.rows.items()):
            table.rows[key] = replace(row, values={**row.values, "n": 5})
    crm.server.delete("crm", "things", 0)
    with open_engine(units(crm.config, "crm")[0], threading.Event()) as engine:
        sync_slices(engine, "things", ["slice-01"])
        assert sorted(row["n"] for row in crm.rows().values()) == [0, 0, 5, 5, 5, 5, 5, 5]
        sync_slices(engine, "things", [f"slice-{number:02d}" for number in range(4)])
    assert {key: row["n"] for key, row in crm.rows().items()} == dict.fromkeys(range(1, 8), 0)
