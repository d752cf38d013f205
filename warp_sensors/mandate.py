"""Names what a sensor and the drainer of its schema agree on; without Dagster, which a drainer never loads."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from importlib.metadata import version

from warp_resources.config import WarpConfig
from warp_resources.pipeline.engine import STREAM, Unit, units

MANDATE = timedelta(seconds=20)
"""How long a drainer runs on without a tick of its sensor."""

_DIGITS = 12
# Of what runs, not of what is installed by now: an upgrade below a running process does not change it.
_VERSION = version("cartridge-warp")


def drain_lease(schema: str) -> str:
    """Held by the drainer of a schema as long as it lives, also while it waits for a database."""
    return f"drain:{schema}"


def stream_unit(config: WarpConfig, schema: str) -> Unit | None:
    """What a drainer of the schema serves; None where nothing of it streams."""
    return next((unit for unit in units(config, schema) if unit.mode == STREAM), None)


def drainer_label(config: WarpConfig) -> str:
    """Tells a drainer of this configuration and version from one that was started with others."""
    told = "\0".join([_VERSION, config.model_dump_json(), *sorted(config.secrets())])
    return f"drainer {hashlib.sha256(told.encode()).hexdigest()[:_DIGITS]}"
