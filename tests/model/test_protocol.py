"""The rules of a stream, its tables and their readings hold in every interleaving, and none of them is idle."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.model import batch_model, verify_model
from tests.model.protocol import explored
from tests.model.rules import ALL_RULES, Rule
from tests.model.scopes import FOUND_IN, SMALL
from tests.model.world import Scope

SCOPES = {scope.name: scope for scope in SMALL}


# SPEC: M3 M5 R4 T7 T8
@pytest.mark.parametrize("scope", SMALL, ids=lambda scope: scope.name)
def test_all_rules_together_come_to_the_sources_state(scope: Scope) -> None:
    outcome = explored(scope)
    assert outcome.violation is None, str(outcome.violation)
    assert outcome.end_count > 10


# SPEC: M3 M5 R4 T7 T8
@pytest.mark.parametrize("rule", Rule, ids=lambda rule: rule.name.lower())
def test_each_rule_is_needed(rule: Rule) -> None:
    outcome = explored(SCOPES[FOUND_IN[rule]], ALL_RULES - {rule})
    assert outcome.violation is not None, f"the model holds without: {rule.value}"
    print(f"without the rule that {rule.value}:\n{outcome.violation}")


def test_the_page_names_every_rule() -> None:
    page = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()
    rules = [*Rule, *batch_model.Rule, *verify_model.Rule]
    assert [rule.name for rule in rules if f"`{rule.name}`" not in page] == []
