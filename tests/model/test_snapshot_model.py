"""The rules of a snapshot beside a running stream hold in every interleaving, and none of them is idle."""

from __future__ import annotations

import pytest

from tests.model.snapshot_model import ALL_RULES, Rule, Trouble, explore

LOST = frozenset({Trouble.LOST_HISTORY})
REFUSED = frozenset({Trouble.QUARANTINE})
NEEDED_FOR = {Rule.RESTART_WHEN_LOST: LOST, Rule.HEED_LETTERS: REFUSED}


# SPEC: M5, T7
@pytest.mark.parametrize(
    ("troubles", "writes"),
    [(frozenset(), 4), (frozenset({Trouble.LOOKUP}), 4), (REFUSED, 3), (LOST, 3), (LOST | {Trouble.LOOKUP}, 3)],
    ids=["writes and crashes", "look-ups", "rows that are quarantined", "lost history", "look-ups and lost history"],
)
def test_all_rules_together_end_in_the_sources_state(troubles: frozenset[Trouble], writes: int) -> None:
    outcome = explore(troubles=troubles, writes=writes)
    assert outcome.violation is None
    assert outcome.state_count > 10_000
    assert outcome.end_count > 500


# SPEC: M5, R4
@pytest.mark.parametrize("rule", Rule, ids=lambda rule: rule.name.lower())
def test_each_rule_is_needed(rule: Rule) -> None:
    outcome = explore(ALL_RULES - {rule}, NEEDED_FOR.get(rule, frozenset()))
    assert outcome.violation is not None, f"the model holds without: {rule.value}"
    assert outcome.violation[-1], "the steps that lead to the wrong end are told"
