"""Reads the positions that a user wants a marker to have, and refuses those that no run could start from."""

from __future__ import annotations

import json
from datetime import timedelta

from warp_resources.config import WarpConfig, effective
from warp_resources.connectors.interfaces import ReadLimits, Source
from warp_resources.errors import ConfigurationError, OperatorError
from warp_resources.model.positions import Position
from warp_resources.model.tables import TableId
from warp_resources.pipeline.engine import Unit
from warp_resources.pipeline.marker import marker_at, time_of


def position_in(text: str) -> Position:
    """The position that a text gives as JSON."""
    try:
        position = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigurationError(
            f"The position is no JSON: {error.msg} at character {error.pos}", remedy="Quote it for the shell: '{...}'"
        ) from None
    if not isinstance(position, dict):
        raise ConfigurationError("The position is no JSON object", remedy="Take the form that `markers show` prints")
    return position


def batch_marker(config: WarpConfig, table: TableId, position: Position) -> Position:
    """The marker of a batch table in the form that a run writes.

    Raises:
        ConfigurationError: it has not the marker column, and a time with a zone.
    """
    settings = effective(config, table.schema, table.name)
    column = settings.marker_column
    try:
        at = time_of(position)
    except OperatorError:
        at = None
    if at is None or position.keys() - {"zone"} != {"column", "value"} or position["column"] != column:
        example = json.dumps({"column": column, "value": "2024-05-01T00:00:00+00:00"}, ensure_ascii=False)
        raise ConfigurationError(
            f"The position is not one of {table}, a batch table: it needs its marker column and a time with a zone",
            remedy=f"Write it as '{example}'",
        )
    # Whoever sets it says a moment, from which on the clocks of the zone that is configured now are read.
    return marker_at(column, at, settings.marker_timezone)


def demand_start(unit: Unit, source: Source, position: Position) -> None:
    """Let the source open the unit's stream at a position, as a run would.

    Raises:
        OperatorError: the source can read no position from it, or no longer has what follows.
    """
    stream = source.stream(unit.scope, position)
    try:
        stream.next(ReadLimits(1, unit.max_bytes), timedelta(0))
    finally:
        stream.close()
