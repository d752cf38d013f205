"""Failpoints fire where and when they are told to, and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from warp_resources import failpoints
from warp_resources.errors import ConfigurationError, TransientError
from warp_resources.failpoints import POINTS, arm, failpoint

SOURCES = Path(failpoints.__file__).parent


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    arm(None)


# SPEC: C6
def test_nothing_happens_where_none_is_armed() -> None:
    arm(None)
    for name in POINTS:
        failpoint(name)


# SPEC: C6
def test_the_hit_that_was_asked_for_fails_and_no_other() -> None:
    arm("cut.read=error@2;chunk.read=sleep:0")
    failpoint("cut.read")
    failpoint("chunk.read")
    with pytest.raises(TransientError, match=r"point=cut\.read"):
        failpoint("cut.read")
    failpoint("cut.read")


# SPEC: C6
def test_arming_the_same_again_keeps_what_was_counted() -> None:
    arm("cut.read=error@2")
    failpoint("cut.read")
    arm("cut.read=error@2")
    with pytest.raises(TransientError):
        failpoint("cut.read")


# SPEC: C6
def test_a_mark_lets_one_process_fail_only(tmp_path: Path) -> None:
    told = f"cut.read=error%100^{tmp_path / 'mark'}"
    arm(told)
    with pytest.raises(TransientError):
        failpoint("cut.read")
    failpoint("cut.read")
    arm(None)
    arm(told)
    failpoint("cut.read")


# SPEC: C6
@pytest.mark.parametrize(
    "told", ["cut.read", "cut.raed=kill", "cut.read=explode", "cut.read=kill@0", "cut.read=kill@x"]
)
def test_what_is_not_understood_is_refused(told: str) -> None:
    with pytest.raises(ConfigurationError, match="FAILPOINTS"):
        arm(told)


def test_every_point_is_somewhere_in_the_code_and_every_place_is_a_point() -> None:
    texts = [path.read_text() for path in SOURCES.rglob("*.py") if path.name != "failpoints.py"]
    assert {name for text in texts for name in re.findall(r'failpoint\("([a-z.]+)"\)', text)} == POINTS.keys()
