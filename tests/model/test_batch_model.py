"""The rules of a batch table hold in every interleaving, and none of them is idle."""

from __future__ import annotations

import pytest

from tests.model.batch_model import ALL_RULES, RESYNC, TICK, WINDOW, Rule, explored

WITH_RESYNC = frozenset({Rule.CEILING_OF_READING, Rule.CHUNK_SKIPS_NEWER})


# SPEC: T7 T8 D7
@pytest.mark.parametrize(("kinds", "writes"), [((TICK, WINDOW), 3), ((TICK, RESYNC), 1)], ids=["window", "resync"])
def test_all_rules_together_leave_nothing_that_no_tick_finds(kinds: tuple[str, ...], writes: int) -> None:
    outcome = explored(kinds=kinds, writes=writes)
    assert outcome.violation is None, str(outcome.violation)
    assert outcome.state_count > 2_000


# SPEC: T8
@pytest.mark.parametrize("rule", Rule, ids=lambda rule: rule.name.lower())
def test_each_rule_is_needed(rule: Rule) -> None:
    kinds = (TICK, RESYNC) if rule in WITH_RESYNC else (TICK, WINDOW)
    outcome = explored(ALL_RULES - {rule}, kinds, writes=2)
    assert outcome.violation is not None, f"the model holds without: {rule.value}"
    print(f"without the rule that {rule.value}:\n{outcome.violation}")
