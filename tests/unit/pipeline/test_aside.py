"""Tables that are set aside are tried in turn."""

from __future__ import annotations

import time

from warp_resources.model.positions import Aside
from warp_resources.model.tables import TableId
from warp_resources.pipeline.aside import AsideTables
from warp_resources.pipeline.retry import BackoffPolicy


def test_the_table_that_has_waited_longest_is_tried_first() -> None:
    # SPEC: M3  so that the stream waits for one of them at a time, and none is forgotten
    tables = AsideTables(BackoffPolicy(3, 2.0, 300.0))
    for name in ("a", "b", "c"):
        tables.put(Aside(TableId("shop", name), {"at": 1}, "refused"))
    tables.trials["a"].due_at = time.monotonic()
    assert [its.table.name for its in tables.due()] == ["b", "c", "a"]
    tables.postpone("b")
    assert [its.table.name for its in tables.due()] == ["c", "a"]
    tables.hasten()
    assert [its.table.name for its in tables.due()] == ["a", "b", "c"]
