"""Dead letters and errors as the destination keeps them, and how to choose among them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from warp_resources.model.batches import DeadLetter, ErrorEntry
from warp_resources.model.tables import TableId

PENDING, REPLAYED, SUPERSEDED, DISCARDED = "pending", "replayed", "superseded", "discarded"
STATUSES = (PENDING, REPLAYED, SUPERSEDED, DISCARDED)
DELETE = "delete"
"""The operation of letters that are deletes; their record is the key."""
FOREIGN_KEY = "foreign_key"
"""The reason of rows that wait for another row: they are tried again without being asked for."""


@dataclass(frozen=True, slots=True)
class LetterSelection:
    """Which letters of a schema; what is empty or None leaves the choice open.

    ``is_due``: only those whose next attempt is not in the future. ``max_attempts``: only those that were
    tried less often. The order is that of the commits that made the letters, or the reverse.
    """

    schema: str
    table: str | None = None
    reasons: tuple[str, ...] = ()
    status: str | None = PENDING
    ids: tuple[int, ...] = ()
    keys: tuple[str, ...] = ()
    is_due: bool = False
    max_attempts: int | None = None
    newest_first: bool = False
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class KeptLetter:
    """A dead letter with what has become of it.

    ``sequence`` is the commit that made it, ``basis`` what its record is at least as new as: among the letters
    of one key, the record of the largest basis is the newest. ``byte_count`` is of the record, also where
    ``letter`` was asked for without it.
    """

    number: int
    letter: DeadLetter
    status: str
    occurred_at: datetime
    sequence: int
    basis: int
    attempts: int = 0
    last_error: str | None = None
    retry_at: datetime | None = None
    resolved_at: datetime | None = None
    run_id: str | None = None
    byte_count: int = 0

    @property
    def age(self) -> tuple[int, int, int]:
        """Sorts the letters of one key, the oldest record first."""
        return self.basis, self.sequence, self.number


@dataclass(frozen=True, slots=True)
class LetterCount:
    """How many letters of a table have a reason and a status."""

    table: TableId
    reason: str
    status: str
    count: int


@dataclass(frozen=True, slots=True)
class ErrorSelection:
    """Which rows of a schema's ``error_log``; what is None leaves the choice open. Newest first."""

    schema: str
    table: str | None = None
    error_type: str | None = None
    since: datetime | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class KeptError:
    """A row of ``error_log``."""

    number: int
    occurred_at: datetime
    entry: ErrorEntry
    run_id: str | None = None
