"""A verification beside a running stream raises no false alarm in any interleaving, and none of its rules is idle."""

from __future__ import annotations

import pytest

from tests.model.verify_model import ALL_RULES, Rule, explored


# SPEC: R5
def test_no_difference_is_told_of_that_the_stream_mends() -> None:
    outcome = explored()
    assert outcome.violation is None, str(outcome.violation)
    assert outcome.state_count > 4_000


# SPEC: R5
@pytest.mark.parametrize("rule", Rule, ids=lambda rule: rule.name.lower())
def test_each_rule_is_needed(rule: Rule) -> None:
    outcome = explored(ALL_RULES - {rule})
    assert outcome.violation is not None, f"the model holds without: {rule.value}"
    print(f"without the rule that {rule.value}:\n{outcome.violation}")
