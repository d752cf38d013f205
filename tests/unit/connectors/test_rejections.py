"""When refused rows are too many to be the fault of single rows."""

from __future__ import annotations

import pytest

from warp_resources.connectors.rejections import FLOOR, WINDOW_ROWS, Rejections, most_refused
from warp_resources.model.tables import TableId

USERS, ORDERS = TableId("shop", "users"), TableId("shop", "orders")


# FAULTS: 14
@pytest.mark.parametrize(
    ("rows", "refused", "share", "is_systemic"),
    [
        (1_000, 100, 0.1, False),
        (1_000, 101, 0.1, True),
        (1, 1, 0.1, False),
        (FLOOR, FLOOR, 0.1, False),
        (FLOOR + 1, FLOOR + 1, 0.1, True),
        (50, FLOOR, 0.01, False),
        (1_000, 1_000, 1.0, False),
        (1_000, 1, 0.0, True),
        (1_000, 0, 0.0, False),
    ],
)
def test_one_part_by_itself(rows: int, refused: int, share: float, is_systemic: bool) -> None:
    assert Rejections().judge(USERS, rows, refused, share).is_systemic is is_systemic


def test_tiny_parts_add_up_by_table() -> None:
    rejections = Rejections()
    for _ in range(FLOOR):
        assert not rejections.judge(USERS, 2, 1, 0.1).is_systemic
        rejections.note(USERS, 2, 1)
    judged = rejections.judge(USERS, 2, 1, 0.1)
    assert (judged.rows, judged.refused, judged.is_systemic) == (2 * FLOOR + 2, FLOOR + 1, True)
    assert not rejections.judge(ORDERS, 2, 1, 0.1).is_systemic
    # Nothing of this part is refused: what has been goes on.
    assert not rejections.judge(USERS, 2, 0, 0.1).is_systemic


def test_what_is_written_since_makes_up_for_it() -> None:
    rejections = Rejections()
    rejections.note(USERS, FLOOR, FLOOR)
    rejections.note(USERS, 10 * FLOOR, 0)
    assert not rejections.judge(USERS, 1, 1, 0.1).is_systemic


def test_only_the_latest_rows_are_looked_at() -> None:
    rejections = Rejections()
    rejections.note(USERS, FLOOR, FLOOR)
    rejections.note(USERS, WINDOW_ROWS, 0)
    judged = rejections.judge(USERS, 1, 1, 0.0001)
    assert (judged.rows, judged.refused) == (1, 1)


def test_a_table_of_which_nothing_is_refused_is_not_counted() -> None:
    rejections = Rejections()
    rejections.note(USERS, 5, 0)
    assert rejections.judge(USERS, 1, 1, 0.5).rows == 1


def test_the_share_of_rows_that_may_be_refused() -> None:
    assert [most_refused(rows, 0.1) for rows in (0, 99, 109, 119)] == [FLOOR, FLOOR, FLOOR, FLOOR + 1]
