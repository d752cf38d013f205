"""Looks at a schema from both sides, for the checks of its tables."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta

from croniter import croniter

from warp_assets.judging import Finding, judged
from warp_resources.config import WarpConfig, schema_settings
from warp_resources.connectors.interfaces import Destination, Source
from warp_resources.dagster_bridge.keys import letters_job
from warp_resources.errors import OperatorError
from warp_resources.masking import mask
from warp_resources.model.positions import stream_lease
from warp_resources.model.statistics import TableStatistics
from warp_resources.model.tables import TableId
from warp_resources.pipeline.arrival import seconds_to_arrive
from warp_resources.pipeline.engine import STREAM, Unit
from warp_resources.pipeline.history import foreseen
from warp_resources.pipeline.options import open_destination, open_source, open_state
from warp_resources.pipeline.sides import between
from warp_resources.pipeline.verify import verify_table


class Inspection:
    """The open databases of a schema; what holds for all of its tables is looked at once."""

    def __init__(self, config: WarpConfig, schema: str, source: Source, destination: Destination) -> None:
        self._config = config
        self._schema = schema
        self._source = source
        self._destination = destination
        self._stream_lag: Finding | None = None

    @classmethod
    @contextmanager
    def opened(cls, config: WarpConfig, schema: str) -> Iterator[Inspection]:
        """An inspection whose connections are closed at the end."""
        with closing(open_source(config)) as source, closing(open_destination(config)) as destination:
            yield cls(config, schema, source, destination)

    def rows_match(self, table: TableId) -> Finding:
        """Whether both sides have the same rows, by their values."""
        unit = self._unit(table)
        if not self._is_loaded(table):
            return Finding(False, "Nothing to compare yet: its first load is not at its end.")
        found = verify_table(between(unit, self._source, self._destination, threading.Event()), table.name)
        return judged(found, unit, self._under_way(table) if unit.mode == STREAM else None)

    def is_being_read(self, table: TableId, generation: str | None) -> bool:
        """Whether a reading of the table has slices that nobody has read yet."""
        found = self._destination.generations(self._schema) if generation is not None else []
        return any((its.table, its.generation) == (table, generation) for its in found)

    def lag(self, table: TableId) -> Finding:
        """Whether what the source has arrives in time."""
        if self._unit(table).mode != STREAM:
            return self._batch_lag(table)
        if reason := self._aside(table):
            return Finding(False, f"The table is set aside, its stream goes on without it: {reason}")
        if self._stream_lag is None:
            self._stream_lag = self._lag_of_stream(self._unit(table))
        return self._stream_lag

    def history(self, table: TableId) -> Finding:
        """Whether the source's log goes far enough back for what the table has yet to get from it."""
        try:
            found = foreseen(self._source, self._destination, self._unit(table).scope)
        except OperatorError as error:
            return Finding(True, f"Not known: {mask(str(error))}")
        its = next((one for one in found if one.table == table), found[0] if found else None)
        if its is None:
            return Finding(True, "Not known: the schema has not been streamed yet, or its source does not tell.")
        text = f"{its.text}. {its.remedy}." if its.is_short else f"{its.text}."
        figures: dict[str, float | int | str] = {"log_window_seconds": its.window.total_seconds()}
        return Finding(not its.is_short, text, figures, is_severe=its.is_short)

    def dead_letters(self, table: TableId) -> Finding:
        """Whether anything of the table was set aside."""
        count = self._statistics(table).dead_letters
        text = (
            f"{count:,} pending: look at them with the job {letters_job(table.schema)}." if count else "None pending."
        )
        return Finding(count == 0, text, {"pending": count})

    def _under_way(self, table: TableId) -> str | None:
        """Why a stream table may lack what is new although nothing is wrong with what it has."""
        if not self._is_streaming():
            return "nobody streams this schema: switch its sensor on, or look at error_log"
        if reason := self._aside(table):
            return f"it is set aside: {reason}"
        return None

    def _is_loaded(self, table: TableId) -> bool:
        state = self._destination.table_states(self._schema).get(table.name)
        return state is not None and state.is_loaded

    def _aside(self, table: TableId) -> str | None:
        """Why a table's stream goes on without it, if it does."""
        state = self._destination.table_states(self._schema).get(table.name)
        return mask(state.aside_reason or "") if state is not None and state.aside_position is not None else None

    def _is_streaming(self) -> bool:
        with closing(open_state(self._config, self._destination)) as store:
            return store.lease_holder(stream_lease(self._schema)) is not None

    def _lag_of_stream(self, unit: Unit) -> Finding:
        if not self._is_streaming():
            return Finding(False, "Nobody streams this schema: switch its sensor on, or look at error_log.")
        longest = self._config.monitoring.lag_warning
        with closing(open_state(self._config, self._destination)) as store:
            seconds = seconds_to_arrive(self._source, self._destination, store, unit.scope, longest)
        if seconds is None:
            return Finding(False, f"The stream did not reach the source's end within {longest}.")
        return Finding(True, f"The stream reached the source's end after {seconds:.1f} s.", {"lag_seconds": seconds})

    def _batch_lag(self, table: TableId) -> Finding:
        last = self._statistics(table).finished_at
        schedule = schema_settings(self._config, self._schema).schedule
        if last is None:
            return Finding(False, "The table was never synced.")
        seconds = (datetime.now(UTC) - last).total_seconds()
        if schedule is None:
            return Finding(True, f"Last synced {seconds:,.0f} s ago; there is no schedule.", {"lag_seconds": seconds})
        due: datetime = croniter(schedule, datetime.now(UTC) - self._grace).get_prev(datetime)
        return Finding(
            last >= due, f"Last synced {seconds:,.0f} s ago, due {due:%Y-%m-%d %H:%M} UTC.", {"lag_seconds": seconds}
        )

    @property
    def _grace(self) -> timedelta:
        """A sync that is due may take this long."""
        return max(self._config.monitoring.lag_warning, timedelta(minutes=1))

    def _statistics(self, table: TableId) -> TableStatistics:
        found = self._destination.statistics(self._schema)
        return next((its for its in found if its.table == table), TableStatistics(table))

    def _unit(self, table: TableId) -> Unit:
        whole = Unit(self._config, self._schema, STREAM)
        return Unit(self._config, self._schema, whole.settings(table.name).mode)
