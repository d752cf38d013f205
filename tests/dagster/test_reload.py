"""When a sensor asks for a reload of the code location, so that new tables become assets."""

from __future__ import annotations

from tests.dagster.configurations import Site
from warp_sensors.changes import ASK_AGAIN_SECONDS, look_for_new_tables
from warp_sensors.memory import Memory


def test_a_reload_that_brought_nothing_is_asked_for_again_after_some_minutes() -> None:
    # SPEC: D1
    site = Site({"name": "shop"})
    site.sync()
    memory = Memory()

    def told() -> str:
        return " ".join(look_for_new_tables(site.config, "shop", (), site.destination, memory))

    assert told().startswith("New: first;")
    assert told() == "Reload the code location to see first."
    memory.asked_at -= ASK_AGAIN_SECONDS
    assert told().startswith("New: first;")
    assert look_for_new_tables(site.config, "shop", ("first",), site.destination, memory) == []
    assert memory.asked_for == []
