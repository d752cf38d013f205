"""Dead letters and errors as jobs: what the UI's user sees and can do."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from tests.dagster.configurations import Site
from warp_resources.model.letters import LetterSelection


@pytest.fixture
def site() -> Site:
    """A table with one value that its column does not take."""
    made = Site({"name": "shop"}, {"name": "My Shop"})
    made.server.put("shop", "users", {"_id": 1, "name": "one"}, {"_id": 2, "name": "two"})
    made.sync()
    made.server.put("shop", "users", {"_id": 1, "name": {"first": "Ada"}})
    made.sync()
    return made


def told(done: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """What the output of a job's op says."""
    [output] = [event for event in done.all_events if event.event_type_value == "STEP_OUTPUT"]
    return {name: value.value for name, value in output.event_specific_data.metadata.items()}  # type: ignore[union-attr]


# SPEC: M4, T5, T4
def test_letters_and_errors_are_shown(site: Site) -> None:
    listed = told(site.run_job("dead_letters_shop"))
    assert (listed["shown"], listed["total"]) == (1, 1)
    assert "drastic\\_change" in listed["dead_letters"]
    assert "Ada" not in listed["dead_letters"]
    assert told(site.run_job("dead_letters_shop", status="replayed"))["dead_letters"] == "No dead letters"
    errors = told(site.run_job("errors_shop"))
    assert errors["shown"] == 1
    assert "value set aside" in errors["errors"]


@pytest.mark.parametrize("hours", [-1, 0, 10**8, 10**12])
def test_hours_that_are_none_are_refused(site: Site, hours: int) -> None:
    done = site.run_job("errors_shop", hours=hours)
    assert not done.success
    [failure] = [event for event in done.all_events if event.event_type_value == "STEP_FAILURE"]
    assert "Give hours" in str(failure.event_specific_data)


def test_a_replay_in_vain_fails_its_run_and_says_why(site: Site) -> None:
    done = site.run_job("dead_letters_shop", action="replay")
    assert not done.success
    assert told(done)["pending"] == 1
    assert "type\\_changes" in told(done)["reasons"]
    [letter] = site.destination.dead_letters(LetterSelection("shop"))
    assert letter.attempts == 1


def test_only_what_is_named_is_discarded(site: Site) -> None:
    assert not site.run_job("dead_letters_shop", action="discard").success
    assert told(site.run_job("dead_letters_shop", action="discard", reason="unique"))["discarded"] == 0
    assert told(site.run_job("dead_letters_shop", action="discard", table="users"))["discarded"] == 1
    assert site.destination.dead_letters(LetterSelection("shop")) == []


# SPEC: D2
def test_every_schema_has_its_jobs(site: Site) -> None:
    names = set(site.definitions().get_repository_def().job_names)
    assert {"dead_letters_shop", "errors_shop"} <= names
    assert sum(name.startswith(("dead_letters_My_Shop_", "errors_My_Shop_")) for name in names) == 2
