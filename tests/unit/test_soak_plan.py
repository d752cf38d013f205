"""What a soak does is decided by its seed alone."""

from __future__ import annotations

from tests.soak.plan import FAULTS, KINDS, ROUND_SECONDS, WORKS, plan
from warp_resources.failpoints import POINTS, VARIABLE, arm

SEEDS = range(20)


def test_a_seed_is_a_plan() -> None:
    first = [plan(seed, number) for seed in SEEDS for number in range(3)]
    assert first == [plan(seed, number) for seed in SEEDS for number in range(3)]
    assert len(set(first)) == len(first)


def test_a_plan_is_in_order_and_in_its_round() -> None:
    for seed in SEEDS:
        events = plan(seed, 0, fault_count=5, work_count=3)
        assert len(events) == 8
        assert list(events) == sorted(events, key=lambda event: event.at)
        for event in events:
            kind = KINDS[event.kind]
            assert 0 < event.at <= ROUND_SECONDS
            assert kind.seconds[0] <= event.seconds <= kind.seconds[1]
            assert event.text in kind.texts


def test_every_kind_occurs() -> None:
    seen = {event.kind for seed in range(40) for number in range(3) for event in plan(seed, number)}
    assert seen == set(FAULTS) | set(WORKS)


def test_failpoints_are_real_ones() -> None:
    texts = (*KINDS["run.failpoints"].texts, *KINDS["run.stopped"].texts)
    try:
        for told in texts:
            arm(told)
    finally:
        arm(None)
    named = {entry.partition("=")[0] for told in texts for entry in told.split(";")}
    assert named <= set(POINTS), VARIABLE
