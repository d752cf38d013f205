"""What is said of a batch schema that nothing starts by itself."""

from __future__ import annotations

import pytest

from tests.dagster.configurations import Site
from warp_sensors.drainer import Drainer


# SPEC: D3
@pytest.mark.parametrize(
    ("schedule", "says"),
    [
        ("* * * * *", "its schedule starts what there is to do"),
        (None, "it has no schedule: only runs of sync_shop sync it"),
    ],
)
def test_the_sensor_tells_whether_anything_starts_a_batch_schema(schedule: str | None, says: str) -> None:
    site = Site({"name": "shop", "mode": "batch", "schedule": schedule})
    assert says in Drainer(site.config, "shop").keep(site.destination.state_store())
