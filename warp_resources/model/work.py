"""How much there is to do per day, and what it takes of the limits that a destination's service sets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Workload:
    """What a configured schema asks of its destination.

    ``stream_tables`` and ``batch_tables`` are numbers of tables; ``ticks_per_day`` is how often the batch tables are
    looked at. ``chunk_bytes``: of source data, per commit of a first load, which reads ``first_load_bytes`` of
    ``first_load_tables`` in all. ``table_bytes``: what the tables hold altogether.
    """

    schema: str
    stream_tables: int = 0
    batch_tables: int = 0
    min_interval: timedelta = timedelta(0)
    ticks_per_day: float = 0.0
    first_load_tables: int = 0
    first_load_bytes: int = 0
    chunk_bytes: int = 2**20
    table_bytes: int = 0


@dataclass(frozen=True, slots=True)
class WorkLine:
    """One kind of work: at most how much of it per day, and the service's limit for it, None where there is none.

    ``note`` says what it is counted by; ``is_bytes``: the amounts are bytes.
    """

    what: str
    per_day: float
    limit_per_day: float | None = None
    note: str = ""
    is_bytes: bool = False


@dataclass(frozen=True, slots=True)
class WorkEstimate:
    """The daily work of a schema, and of the day of its first load where there is one to come."""

    lines: tuple[WorkLine, ...]
