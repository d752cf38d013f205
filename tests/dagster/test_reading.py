"""What destinations can be asked for reports, the same of each."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from warp_resources import WarpConfig, WarpRunner
from warp_resources.connectors.interfaces import Destination
from warp_resources.connectors.memory.server import MemoryServer
from warp_resources.model.tables import TableId
from warp_resources.pipeline.options import open_destination

USERS, MISSING = TableId("shop", "users"), TableId("shop", "missing")
FIRST = datetime(2024, 5, 1, 12, tzinfo=UTC)
LONG = timedelta(hours=1)


@pytest.fixture(params=["memory", pytest.param("postgresql", marks=pytest.mark.servers)])
def destination(request: pytest.FixtureRequest) -> Iterator[Destination]:
    """One table of twelve rows, loaded by an engine."""
    name = uuid.uuid4().hex
    server = MemoryServer.named(name)
    rows: list[dict[str, Any]] = [
        {"_id": number, "a b": "x" * 200, "a_b": number, "at": FIRST + timedelta(days=number)} for number in range(11)
    ]
    server.put("shop", "users", *rows, {"_id": 11, "a b": None, "a_b": None, "at": None})
    settings: dict[str, Any] = (
        {"type": "memory", "store": name}
        if request.param == "memory"
        else {"type": "postgresql", "connection_string": request.getfixturevalue("warehouse")}
    )
    config = WarpConfig.model_validate(
        {"source": {"type": "memory", "server": name}, "destination": settings, "schemas": [{"name": "shop"}]}
    )
    empty = open_destination(config)
    assert empty.recent_runs("shop", LONG) == empty.finished_slices("shop", LONG) == []
    empty.close()
    WarpRunner(config).run_once()
    made = open_destination(config)
    yield made
    made.close()


def test_recent_runs_have_their_counts(destination: Destination) -> None:
    # SPEC: T3
    [run] = [its for its in destination.recent_runs("shop", LONG) if its.table == USERS]
    assert (run.mode, run.rows_written, run.rows_deleted, run.rows_rejected) == ("snapshot", 12, 0, 0)
    assert run.byte_count > 0
    assert destination.recent_runs("other", LONG) == []


def test_the_figures_of_one_run_are_asked_for_by_its_id(destination: Destination) -> None:
    # SPEC: T3
    [run] = [its for its in destination.recent_runs("shop", LONG) if its.table == USERS]
    assert run in destination.figures_of_run("shop", run.run_id)
    assert destination.figures_of_run("other", run.run_id) == destination.figures_of_run("shop", "no such run") == []


def test_a_preview_is_text_under_stored_names(destination: Destination) -> None:
    # SPEC: D6
    found = destination.preview(USERS, 3)
    assert found.column_names == ["_id", "a b", "a_b", "at"]
    assert found.num_rows == 3
    assert {str(column.type) for column in found.schema} == {"string"}
    assert destination.preview(MISSING, 3).num_columns == 0


def test_sizes_and_the_earliest_time(destination: Destination) -> None:
    # SPEC: D6 D7
    assert destination.row_estimate(USERS) == 12
    assert destination.row_estimate(MISSING) == 0
    assert destination.earliest(USERS, "at") == FIRST
    assert destination.earliest(USERS, "a_b") is None
    assert destination.earliest(USERS, "no such column") is None
    assert destination.earliest(MISSING, "at") is None
