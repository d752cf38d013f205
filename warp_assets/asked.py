"""Checks what the configuration of a job's run asks for, so that nothing is passed over in silence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from warp_resources.config import WarpConfig, schema_settings
from warp_resources.connectors.interfaces import Destination
from warp_resources.dagster_bridge.catalog import covers
from warp_resources.dagster_bridge.partitions import slice_keys
from warp_resources.errors import ConfigurationError, TransientError
from warp_resources.model.tables import TableId
from warp_resources.pipeline.engine import ANY_TABLE, BATCH, STREAM, Unit, units
from warp_resources.pipeline.options import open_source


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run is for: ``tables`` empty means all, ``slices`` empty means whole tables."""

    tables: tuple[str, ...] = ()
    slices: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    full_resync: bool = False

    @property
    def is_window(self) -> bool:
        return self.since is not None or self.until is not None

    def of(self, unit: Unit) -> list[str] | None:
        """The tables of the unit's mode; None where the run is for all that the source has."""
        if not self.tables:
            return None
        return [name for name in self.tables if unit.settings(name).mode == unit.mode]


def asked_of(config: WarpConfig, schema: str, destination: Destination, given: Mapping[str, Any]) -> Asked:
    """What the configuration of the op asks for.

    Raises:
        ConfigurationError: something in it means nothing, with what would.
    """
    asked = Asked(
        tables=tuple(dict.fromkeys(given["tables"])),
        slices=tuple(given.get("slices", ())),
        since=_time(given.get("since")),
        until=_time(given.get("until")),
        full_resync=given.get("full_resync", False),
    )
    _refuse_unknown_tables(config, schema, destination, asked.tables)
    if asked.is_window:
        _refuse_empty_window(asked)
        _refuse_other_mode(config, schema, asked.tables, BATCH, "A window of times")
    if asked.slices:
        _refuse_other_mode(config, schema, asked.tables, STREAM, "A choice of slices")
        _refuse_unknown_slices(config, schema, asked)
    return asked


def _refuse_unknown_tables(config: WarpConfig, schema: str, destination: Destination, tables: Iterable[str]) -> None:
    """A table that was dropped at the source, but that we have, is known."""
    unknown = set(tables)
    if not unknown:
        return
    try:
        known = set(destination.table_states(schema))
        with closing(open_source(config)) as source:
            known.update(found.name for unit in units(config, schema) for found in source.tables(unit.scope))
    except TransientError:
        # The engine waits for a server that is away for a moment, and meets what is wrong by itself.
        known = unknown
    for name in sorted(unknown):
        if not covers(config, schema, name):
            raise ConfigurationError(
                "The configuration does not name this table", remedy="Spell it as in the source", table=name
            )
        if name not in known:
            raise ConfigurationError(
                "The source has no such table", remedy="Spell it as in the source", table=TableId(schema, name)
            )


def _refuse_empty_window(asked: Asked) -> None:
    if asked.full_resync:
        raise ConfigurationError(
            "A full resync reads everything, so it has no window", remedy="Leave out full_resync, or since and until"
        )
    if asked.since is not None and asked.until is not None and asked.since >= asked.until:
        raise ConfigurationError(
            f"Nothing lies between since, {asked.since.isoformat()}, and until, {asked.until.isoformat()}",
            remedy="Give an until that is later than since",
        )


def _refuse_other_mode(config: WarpConfig, schema: str, tables: Iterable[str], mode: str, what: str) -> None:
    modes = {name: Unit(config, schema, mode).settings(name).mode for name in tables}
    others = [name for name, its in modes.items() if its != mode]
    if others or mode not in {unit.mode for unit in units(config, schema)}:
        raise ConfigurationError(
            f"{what} means nothing to tables that are not of mode {mode}",
            remedy=f"Name tables of mode {mode} only",
            schema=schema,
            tables=", ".join(others) or "all",
        )


def _refuse_unknown_slices(config: WarpConfig, schema: str, asked: Asked) -> None:
    names = asked.tables or (*schema_settings(config, schema).tables, ANY_TABLE)
    settings = [Unit(config, schema, STREAM).settings(name) for name in names]
    known = sorted({key for its in settings if its.mode == STREAM for key in slice_keys(its.partitions)})
    unknown = [name for name in asked.slices if name not in known]
    if unknown:
        raise ConfigurationError(f"There is no slice {unknown[0]!r}", remedy=f"Choose from {', '.join(known)}")


def _time(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(
            f"{text!r} is not a time", remedy="Write it as 2024-05-01 or 2024-05-01T13:30:00+00:00"
        ) from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
