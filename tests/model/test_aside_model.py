"""The rules of tables that are set aside hold in every interleaving, and none of them is idle."""

from __future__ import annotations

import pytest

from tests.model.aside_model import ALL_RULES, Rule, explore

WITHOUT_READING = frozenset({Rule.SKIP_PASSED})


# SPEC: M3, T7
@pytest.mark.parametrize("chunks", [False, True], ids=["stream", "stream and chunks"])
def test_all_rules_together_end_in_the_sources_state(chunks: bool) -> None:
    outcome = explore(writes=3, chunks=chunks)
    assert outcome.violation is None
    assert outcome.state_count > 5_000
    assert outcome.end_count > 100


# SPEC: M3, R4, T7
@pytest.mark.parametrize("rule", Rule, ids=lambda rule: rule.name.lower())
def test_each_rule_is_needed(rule: Rule) -> None:
    outcome = explore(ALL_RULES - {rule}, writes=3, chunks=rule not in WITHOUT_READING)
    assert outcome.violation is not None, f"the model holds without: {rule.value}"
    assert outcome.violation[-1], "the steps that lead to the wrong end are told"
