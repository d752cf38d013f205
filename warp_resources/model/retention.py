"""How long each kind of metadata is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class RetentionPeriods:
    """The age from which rows go: of runs since their end, of dead letters since they were resolved."""

    error_log: timedelta
    sync_runs: timedelta
    resolved_dead_letters: timedelta
    deletion_log: timedelta
