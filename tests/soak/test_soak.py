"""One short round of the soak, with a seed of its own."""

from __future__ import annotations

import shutil

import pytest

from tests.soak.plan import Event
from tests.soak.servers import Servers
from tests.soak.soak import Soak, new_folder

pytestmark = [pytest.mark.servers, pytest.mark.timeout(400)]

SEED, SECONDS = 7, 8.0
EVENTS = (
    Event(0.5, "drift.key"),
    Event(1.0, "engine.kill", draw=0),
    Event(1.5, "command.resync", text="shop.users"),
    Event(2.0, "postgres.terminate", text="all"),
    Event(3.0, "drift.field", draw=1),
    Event(3.5, "mongo.stepdown"),
    Event(4.0, "drift.truncate", text="shop.churned"),
    Event(5.0, "engine.kill", draw=2),
    Event(6.0, "postgres.crash", draw=3),
)


# SPEC: T7 T8 M3 M5 R3  FAULTS: 1 2 5 9 13 18 23
def test_a_short_soak() -> None:
    folder = new_folder(SEED)
    with Servers(folder) as servers:
        soak = Soak(folder, SEED, servers)
        try:
            soak.begin()
            soak.play(EVENTS, SECONDS)
            soak.end()
        finally:
            soak.runs.close()
    assert soak.counts.total() == len(EVENTS)
    # Where it broke, all of it stays for a look.
    shutil.rmtree(folder)
