"""Decides what becomes of a table that a schema did not have when its stream first started."""

from __future__ import annotations

from enum import Enum

from warp_resources.config import schema_settings
from warp_resources.errors import TableFailure
from warp_resources.model.rules import DISCARD, EVOLVE, QUARANTINE
from warp_resources.pipeline.engine import Engine


class Verdict(Enum):
    """What ``contract.new_tables`` makes of a new table."""

    ADMITTED = "admitted"
    BARRED = "barred"
    IGNORED = "ignored"


def verdict_on(engine: Engine, name: str) -> Verdict:
    """What the contract says of a new table; one that the configuration names is no surprise."""
    policy = engine.unit.settings(name).new_tables
    if policy == EVOLVE or is_named(engine, name):
        return Verdict.ADMITTED
    return Verdict.IGNORED if policy == DISCARD else Verdict.BARRED


def is_named(engine: Engine, name: str) -> bool:
    """Whether the configuration has a table's very name."""
    settings = schema_settings(engine.unit.config, engine.unit.schema)
    return name in settings.tables or name in settings.include


def is_quarantined(engine: Engine, name: str) -> bool:
    """Whether a table must be read whole when it is admitted, whatever ``full_load_enabled`` says."""
    return engine.unit.settings(name).new_tables == QUARANTINE


def barred(engine: Engine, name: str) -> TableFailure:
    """Why a new table is not replicated."""
    policy = engine.unit.settings(name).new_tables
    return TableFailure(
        f"A new table is not replicated, as contract.new_tables is {policy}",
        remedy=f"Name it under schemas.{engine.unit.schema}.tables to admit it, or in table_blacklist to leave it out",
        table=engine.table(name),
    )
