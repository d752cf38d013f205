"""Says for ``status`` whether the source's log goes far enough back, without waiting for a source that is silent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from warp_resources.config import WarpConfig
from warp_resources.connectors.interfaces import Destination, LogWindow, Source
from warp_resources.errors import OperatorError, WarpError
from warp_resources.pipeline.engine import STREAM, Unit
from warp_resources.pipeline.history import Outlook, outlooks
from warp_resources.pipeline.options import open_source
from warp_resources.telemetry.probe import Probe

PATIENCE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """What is said of one stream, or of a table that is set aside."""

    text: str
    window_seconds: float | None = None


Place: TypeAlias = tuple[str, str]
"""A schema and a table; a stream's own has the empty table name."""


def history_of(config: WarpConfig, destination: Destination, schemas: Sequence[str]) -> dict[Place, HistoryLine]:
    """The lines of schemas that are streamed; one that the source does not tell in time says so."""
    source = open_source(config)
    probe = Probe(lambda: _windows(config, source, schemas), source.close, patience=PATIENCE_SECONDS)
    try:
        windows = probe.latest()
        found: dict[Place, HistoryLine] = {}
        for schema in schemas:
            window = _UNANSWERED if windows is None else windows[schema]
            if not isinstance(window, LogWindow):
                found[schema, ""] = HistoryLine(f"how far back the source's log goes is not known. {window}".rstrip())
                continue
            stream, states = destination.stream_state(schema), destination.table_states(schema)
            found |= {(schema, its.table.name): _line(its) for its in outlooks(source, window, schema, stream, states)}
        return found
    finally:
        probe.close()


_UNANSWERED = "The source does not answer"


def _windows(config: WarpConfig, source: Source, schemas: Sequence[str]) -> dict[str, LogWindow | str]:
    return {schema: _window(source, Unit(config, schema, STREAM)) for schema in schemas}


def _window(source: Source, unit: Unit) -> LogWindow | str:
    """The window, or why there is none."""
    try:
        return source.log_window(unit.scope) or ""
    except OperatorError as error:
        return str(error)
    except WarpError as error:
        return error.message


def _line(its: Outlook) -> HistoryLine:
    text = f"history may be lost soon. {its.text}. {its.remedy}" if its.is_short else its.text
    return HistoryLine(text, its.window.total_seconds())
