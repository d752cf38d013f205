"""The causes of failure that an operator can act on, one class each."""

from __future__ import annotations


class WarpError(Exception):
    """A failure that says what happened, what to do and where.

    Args:
        message: what happened, one sentence without a full stop.
        remedy: what to do next, an imperative sentence.
        facts: identifiers, counts and positions; never cell values or credentials.
    """

    def __init__(self, message: str, *, remedy: str | None = None, **facts: object) -> None:
        self.message = message
        self.remedy = remedy
        self.facts = facts
        super().__init__(message)

    def __str__(self) -> str:
        parts = [self.message if self.message.endswith(".") else f"{self.message}."]
        if self.remedy:
            parts.append(self.remedy if self.remedy.endswith(".") else f"{self.remedy}.")
        if self.facts:
            parts.append("[" + ", ".join(f"{name}={value}" for name, value in self.facts.items()) + "]")
        return " ".join(parts)


class ConfigurationError(WarpError):
    """The configuration or the command line is wrong; exit code 2."""


class TransientError(WarpError):
    """Nothing is committed and the same call may succeed later; retried with backoff."""


class Unreachable(TransientError):
    """A server does not answer at all, which is so for everything that needs it."""


class ConnectionLost(TransientError):
    """A connection broke off; the server may well be there, and another one be good."""


class Exhausted(TransientError):
    """A server answers and has no room left, on its disk for one, which may change at any time without a sign."""


class OperatorError(WarpError):
    """Trying again cannot help; the table or schema stops and shows the remedy."""


class TableFailure(OperatorError):
    """One table cannot go on as it is (``facts['table']``, a ``TableId``); the others of its schema can."""


class TableSlow(TableFailure):
    """Writing one table takes longer than the others of its stream are to wait."""


class TablesAside(OperatorError):
    """Tables of a schema are set aside; all others are complete."""


class HistoryLost(OperatorError):
    """The source no longer has the changes that follow the committed position."""


class LeaseHeld(OperatorError):
    """Another live process holds the lease; ``facts['holder']`` says who."""


class FencedOut(OperatorError):
    """Another writer has taken over since this batch was built; nothing of it was committed."""


class SchemaMoved(TransientError):
    """Another writer changed the table's schema since this batch was conformed; conform again."""


class RewriteWanted(TransientError):
    """A type change would lock a large table for long: ask for one that goes on beside the table's use.

    Args:
        table: the ``TableId``.
        columns: the source names of the columns.
    """

    def __init__(self, *, table: object, columns: tuple[str, ...]) -> None:
        self.table = table
        self.columns = columns
        names = ", ".join(columns)
        super().__init__("A type change would lock a large table for long", table=table, columns=names)


class OversizedChange(HistoryLost):
    """One change is larger than the source can deliver, so that no stream gets past it."""


class GenerationClosed(OperatorError):
    """The reading of a table has ended: another process finished it, or it was abandoned."""
