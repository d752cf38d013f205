"""Partitions as shares of a plan: whatever the two counts are, all partitions are the whole table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warp_resources.model.positions import slice_name
from warp_resources.pipeline.shares import partitions_of, slices_of

COUNTS = st.integers(1, 120)


def names(count: int) -> list[str]:
    return [slice_name(ordinal) for ordinal in range(count)]


@given(COUNTS, COUNTS)
def test_each_slice_belongs_to_one_partition(count: int, planned: int) -> None:
    # SPEC: D7 M5
    dealt = [slices_of([partition], count, names(planned)) for partition in names(count)]
    assert [name for share in dealt for name in share] == names(planned)
    assert all(dealt) is (planned >= count)


@pytest.mark.parametrize(
    ("partitions", "count", "planned", "expected"),
    [
        (["slice-03"], 8, 8, ["slice-03"]),
        (["slice-03"], 8, 16, ["slice-06", "slice-07"]),
        (["slice-00"], 4, 6, ["slice-00", "slice-01"]),
        (["slice-03"], 8, 2, []),
        (["slice-01"], 8, 2, ["slice-01"]),
        (["slice-09"], 8, 16, []),
    ],
)
def test_a_partition_is_its_share_of_the_plan(
    partitions: list[str], count: int, planned: int, expected: list[str]
) -> None:
    # SPEC: D7
    assert slices_of(partitions, count, names(planned)) == expected


@pytest.mark.parametrize(
    ("slices", "count", "planned", "expected"),
    [
        (["slice-01"], 4, 4, ["slice-01"]),
        (["slice-00", "slice-01", "slice-02"], 4, 8, ["slice-00"]),
        (["slice-00"], 4, 2, ["slice-00"]),
        (["slice-00", "slice-01"], 4, 2, ["slice-00", "slice-01", "slice-02", "slice-03"]),
        ([], 4, 2, []),
    ],
)
def test_a_partition_is_read_once_all_of_its_share_is(
    slices: list[str], count: int, planned: int, expected: list[str]
) -> None:
    # SPEC: D7
    assert partitions_of(slices, count, planned) == expected
