"""Decides whether a query may read as much as it would, so that no tick or look-up scans a whole large table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from warp_resources.errors import TableFailure
from warp_resources.model.tables import TableId

_ROUNDED_BYTES = 10 * 1024 * 1024
_NEARLY_ALL = 0.9


@dataclass(frozen=True, slots=True)
class TickCost:
    """What a tick would read, by a dry run, of a table.

    ``is_upper_bound``: the table is clustered by the marker column, so that less is read than a dry run can know.
    ``is_stored``: it is one table, and not a view of who knows how many.
    """

    DOING: ClassVar[str] = "A tick"

    table: TableId
    column: str
    query_bytes: int
    table_bytes: int
    limit: int | None
    is_upper_bound: bool = False
    is_stored: bool = True

    @property
    def reads_nearly_all(self) -> bool:
        return self.query_bytes >= _NEARLY_ALL * self.table_bytes

    @property
    def billing_limit(self) -> int | None:
        """What BigQuery itself is to refuse to go beyond; it knows no more of clustering than a dry run does."""
        if self.limit is None or self.is_upper_bound or not self.is_stored:
            return None
        # Billing is by whole megabytes, and by ten for each table at the least: an estimate within the limit fits.
        return self.limit + _ROUNDED_BYTES

    def demand(self) -> None:
        """Refuse a tick beyond the limit.

        Raises:
            TableFailure: with what would make it cheaper.
        """
        if self.limit is None or self.query_bytes <= self.limit or self.is_upper_bound:
            return
        much = "nearly the whole table" if self.reads_nearly_all else "too much"
        raise TableFailure(
            f"{self.DOING} would read {much}",
            remedy=self._remedy,
            table=self.table,
            tick_bytes=self.query_bytes,
            table_bytes=self.table_bytes,
            max_tick_bytes=self.limit,
        )

    @property
    def _remedy(self) -> str:
        more = "raise source.max_tick_bytes"
        if not self.reads_nearly_all:
            return f"Shorten change_detection.lookback or sync more often, or {more}"
        return f"Partition or cluster the table by {self.column}, use strategy hash at long intervals, or {more}"


@dataclass(frozen=True, slots=True)
class LookUpCost(TickCost):
    """What it takes to look up rows by their keys; ``column`` is the first of the key, if not the ``only`` one."""

    DOING: ClassVar[str] = "To look up rows by their keys"

    only: bool = True

    @property
    def _remedy(self) -> str:
        if not self.only:
            return "Raise source.max_tick_bytes: BigQuery reads all of a table for keys of several columns"
        return f"Cluster the table by {self.column}, or raise source.max_tick_bytes"
