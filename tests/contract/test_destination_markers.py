"""What every destination owes for markers that move alone, and for the figures that it keeps."""

from __future__ import annotations

import pytest

from tests.contract.conformed import batch
from tests.contract.laboratories import DestinationLab
from warp_resources.errors import FencedOut
from warp_resources.model.batches import ErrorEntry
from warp_resources.model.positions import BatchCommit
from warp_resources.model.tables import TableId

USERS = TableId("shop", "users")
MARKER: dict[str, object] = {"column": "updated_at", "value": "2024-05-01T00:00:00.000000+00:00"}


# SPEC: T1
def test_a_batch_marker_moves_without_any_row(lab: DestinationLab) -> None:
    destination = lab.open()
    state = destination.seize_table(USERS, "batch")
    destination.write(batch(BatchCommit(USERS, state.epoch, MARKER)))
    assert destination.table_states("shop")["users"].position == MARKER


# SPEC: T8
def test_a_batch_marker_does_not_move_for_who_was_overtaken(lab: DestinationLab) -> None:
    destination = lab.open()
    overtaken = destination.seize_table(USERS, "batch")
    destination.seize_table(USERS, "batch")
    with pytest.raises(FencedOut):
        destination.write(batch(BatchCommit(USERS, overtaken.epoch, MARKER)))
    assert destination.table_states("shop")["users"].position is None


# SPEC: P1
def test_figures_are_empty_at_first_and_tell_of_runs_and_errors_then(lab: DestinationLab) -> None:
    destination = lab.open()
    assert destination.statistics("shop") == []
    destination.record_run("run-1", USERS, "batch", "running")
    destination.record_run("run-1", USERS, "batch", "failed", error="it broke")
    destination.record_errors([ErrorEntry(USERS, "conversion", "text", "action", column="n")], "run-1")
    destination.record_errors([ErrorEntry(USERS, "gone", "text", "action", severity="error")], "run-1")
    [figures] = destination.statistics("shop")
    assert (figures.table, figures.status, figures.error) == (USERS, "failed", "it broke")
    assert figures.errors == {"conversion": 1, "gone": 1}
    assert figures.conversion_warnings == 1
    assert figures.finished_at is None
    destination.record_run("run-2", USERS, "batch", "success")
    [figures] = destination.statistics("shop")
    assert (figures.status, figures.error) == ("success", None)
    assert figures.finished_at is not None
