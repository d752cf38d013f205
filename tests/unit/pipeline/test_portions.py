"""How much of a table that is behind is read at a time."""

from __future__ import annotations

from warp_resources.connectors.interfaces import ReadLimits
from warp_resources.connectors.rejections import Rejections
from warp_resources.model.tables import TableId
from warp_resources.pipeline.portions import FIRST_ROWS, MOST_ROWS, Portions

USUAL = ReadLimits(None, 9_000_000)


def most(portions: Portions) -> int | None:
    return portions.limits("a", USUAL).max_rows


def test_a_table_begins_with_few_rows_and_soon_gets_as_many_as_usual() -> None:
    # SPEC: M3
    portions = Portions()
    assert portions.limits("a", USUAL) == USUAL
    portions.begin("a", is_slow=True)
    assert portions.are_few("a")
    seen = []
    while (rows := most(portions)) is not None:
        seen.append(rows)
        portions.written("a", 0.01)
    assert seen == [4, 16, 64, 256, 1024, 4096]
    assert not portions.are_few("a")


def test_a_table_all_of_whose_rows_are_refused_shows_it_in_its_first_portion() -> None:
    """Or its rows would go to the dead letters a few at a time."""
    # SPEC: M3, E7  FAULTS: 14
    portions, rejections, table = Portions(), Rejections(), TableId("shop", "a")
    portions.begin("a")
    rows = most(portions) or 0
    assert not portions.are_few("a")
    assert rejections.judge(table, rows, rows, share=0.1).is_systemic


def test_another_failure_leaves_a_slow_table_its_few_rows() -> None:
    # SPEC: M3
    portions = Portions()
    portions.begin("a", is_slow=True)
    portions.begin("a")
    assert portions.are_few("a")


def test_rows_that_take_long_come_one_by_one() -> None:
    # SPEC: M3
    portions = Portions()
    portions.begin("a", is_slow=True)
    for _ in range(5):
        portions.written("a", 2.0 * (most(portions) or 0))
    assert most(portions) == 1
    portions.written("a", 0.5)
    assert most(portions) == 1, "neither long nor short"
    portions.written("a", 0.1)
    assert most(portions) == 4
    portions.end("a")
    assert portions.limits("a", USUAL) == USUAL


def test_a_portion_that_took_long_is_cut_and_a_users_bound_holds() -> None:
    # SPEC: M3 C3
    portions = Portions()
    portions.written("a", 5.0)
    assert FIRST_ROWS < (most(portions) or 0) < MOST_ROWS
    assert portions.limits("a", ReadLimits(7, 100)) == ReadLimits(7, 100)
    assert portions.limits("b", USUAL) == USUAL


def test_a_slow_line_is_not_made_up_for_by_fewer_rows() -> None:
    """Each portion takes five seconds, whatever is in it: one by one, a busy table would never catch up."""
    # SPEC: M3  FAULTS: 22
    portions = Portions()
    portions.begin("a", is_slow=True)
    seen = []
    while (rows := most(portions)) is not None and len(seen) < 20:
        seen.append(rows)
        portions.written("a", 5.0 + 0.00001 * rows)
    assert seen[:4] == [4, 1, 2, 4]
    assert seen[4:] == [16, 64, 256, 1024, 4096]
    portions.begin("a", is_slow=True)
    portions.written("a", 0.1)
    portions.written("a", 5.0)
    assert most(portions) == 1, "a line that is fast again is no excuse"
