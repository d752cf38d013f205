"""Positions of a change stream (SPEC T1)."""

from __future__ import annotations

import json

import pytest

from warp_resources.connectors.mongodb.tokens import (
    applied_time,
    position_of,
    seen_time,
    tick_before,
    token_of,
    token_time,
)
from warp_resources.errors import OperatorError

# As a 6.0 server gave them: a high-water mark and an insert.
MARK = {"_data": "826AFFFD78000000032B0229296E04"}
EVENT = {"_data": "826AFFFD78000000042B022C0100296E5A1004B1C81BF92BDA43A2A8A8CC10A14F7F2F461E5F6964002B020004"}
TIME = (0x6AFFFD78, 3)


def test_the_time_is_read_out_of_a_token() -> None:
    assert token_time(MARK) == TIME
    assert token_time(EVENT) == (TIME[0], 4)


@pytest.mark.parametrize("token", [{}, {"_data": b"\x82"}, {"_data": "82"}, {"_data": "3F" + "0" * 40}])
def test_a_token_of_another_form_is_refused(token: dict[str, object]) -> None:
    with pytest.raises(OperatorError):
        token_time(token)


@pytest.mark.parametrize(("time", "before"), [((5, 1), (5, 0)), ((5, 0), (4, 2**32 - 1))])
def test_the_tick_before(time: tuple[int, int], before: tuple[int, int]) -> None:
    assert tick_before(time) == before


def test_a_start_does_not_wait_for_the_tick_that_it_begins_with() -> None:
    start = position_of(MARK, tick_before(TIME))
    assert seen_time(start) == applied_time(start) == (TIME[0], 2)


def test_what_was_applied_of_a_transaction_counts_before_all_of_it_is_seen() -> None:
    within = position_of(EVENT, TIME)
    assert seen_time(within) == TIME
    assert applied_time(within) == (TIME[0], 4)


def test_a_position_of_another_source_is_refused() -> None:
    with pytest.raises(OperatorError, match="markers set"):
        seen_time({"file": "binlog.1"})


@pytest.mark.parametrize(
    "position",
    [
        {"time": [1, 1]},
        {"token": {"_data": "82zz" + "0" * 20}, "time": [1, 1]},
        {"token": {"_data": {"$binary": 1}}},
        {"token": "82" + "0" * 20},
    ],
    ids=str,
)
def test_a_position_without_a_token_that_can_be_read_is_refused(position: dict[str, object]) -> None:
    # SPEC: T1
    with pytest.raises(OperatorError, match="cartridge-warp markers set <schema> now"):
        token_of(position)


def test_the_binary_part_of_a_token_survives_json() -> None:
    # MongoDB keeps the number types of a key beside the sort key.
    token = {**EVENT, "_typeBits": b"\x82\x01"}
    position = json.loads(json.dumps(position_of(token, TIME)))
    assert token_of(position) == token
    assert applied_time(position) == (TIME[0], 4)
