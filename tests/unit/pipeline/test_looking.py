"""How suspected keys are portioned, so that reading them again takes bounded memory."""

from __future__ import annotations

from warp_resources.model.differences import DifferenceKind
from warp_resources.pipeline.looking import KEYS_AT_ONCE, Suspect, portions


def suspects(count: int, byte_count: int) -> list[Suspect]:
    return [
        Suspect(str(number), "{}", DifferenceKind.DIFFERENT, 1, is_fresh=False, byte_count=byte_count)
        for number in range(count)
    ]


def test_large_rows_are_read_again_few_at_a_time() -> None:
    # SPEC: R5
    assert [len(part) for part in portions(suspects(7, 40), 100)] == [2, 2, 2, 1]
    assert [len(part) for part in portions(suspects(3, 400), 100)] == [1, 1, 1]
    assert [len(part) for part in portions(suspects(KEYS_AT_ONCE + 1, 0), 100)] == [KEYS_AT_ONCE, 1]
    assert list(portions([], 100)) == []
