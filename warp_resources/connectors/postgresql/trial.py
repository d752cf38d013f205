"""Tries the staged rows, or deletes, of one table in ever smaller parts until the refused ones are known."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
from psycopg import sql

from warp_resources.connectors.postgresql import trying
from warp_resources.connectors.postgresql.constraints import Constraints
from warp_resources.connectors.postgresql.refusals import FOREIGN_KEY, UNIQUE, Refusal, refusal_of
from warp_resources.connectors.postgresql.session import Connection
from warp_resources.connectors.postgresql.staged import Staged
from warp_resources.connectors.postgresql.trying import Work
from warp_resources.connectors.postgresql.vacating import Vacating

_LEAST_PATIENCE = 1_000


class Trial:
    """Rows that are written as far as they can be; each round tries again what may depend on others.

    Args:
        write: writes what is staged; how many rows were written.
        most: stop as soon as more rows than this are refused for good.

    ``refused``: places that no other row can help. ``waiting``: those that may pass once others are written or gone.
    """

    def __init__(
        self,
        connection: Connection,
        work: Work,
        write: Callable[[Staged], int],
        most: int,
        constraints: Constraints | None = None,
    ) -> None:
        self._connection = connection
        self._work = work
        self._write = write
        self._most = most
        self._constraints = constraints or Constraints()
        self._vacating = Vacating(work.schema, self._constraints)
        self.written = 0
        self.refused: dict[int, Refusal] = {}
        self.waiting: dict[int, Refusal] = {}
        self.is_flooded = False

    def run(self) -> int:
        """One round over all that is left; how many places were settled."""
        self._connection.execute(trying.hold(self._work, []))
        self.waiting = self._predicted()
        return self._bisect()

    def run_by_cause(self) -> int:
        """The waiting places of each cause by themselves, since those of another may have kept them back."""
        causes = set(self.waiting.values())
        if len(causes) < 2 or self.is_flooded:
            return 0
        settled = 0
        for cause in sorted(causes, key=str):
            others = {place: refusal for place, refusal in self.waiting.items() if refusal != cause}
            self._connection.execute(trying.hold(self._work, list(others)))
            self.waiting = others
            settled += self._bisect()
        return settled

    def write_waiting(self) -> None:
        """Write all that waits, as one part."""
        if self.waiting:
            self._connection.execute(trying.hold(self._work, []))
            low, high = min(self.waiting), max(self.waiting)
            self.written += self._write(self._work.between(low, high))

    def extras(self) -> list[tuple[object, Refusal]]:
        """All refused rows, each by its last staged column."""
        found = {**self.refused, **self.waiting}
        rows = self._connection.execute(trying.extras(self._work, list(found))).fetchall() if found else []
        return [(row[1], found[row[0]]) for row in rows]

    def _predicted(self) -> dict[int, Refusal]:
        """Hold back what foreign and unique keys are going to refuse, which spares trying it row by row."""
        held: dict[int, Refusal] = {}
        statements = self._predictions()
        try:
            with self._connection.transaction():
                is_new = bool(statements)
                while is_new:
                    is_new = False
                    for refusal, statement in statements:
                        found = self._connection.execute(statement).fetchall()
                        held |= {row[0]: refusal for row in found}
                        is_new = is_new or bool(found)
        except psycopg.Error as error:
            # Values of a staged type and of a user's own may not be comparable; then the trial tells.
            if error.sqlstate is None or error.sqlstate[:2] not in ("22", "42"):
                raise
            return {}
        return held

    def _predictions(self) -> list[tuple[Refusal, sql.Composed]]:
        its = self._constraints
        if not its.is_literal:
            return []
        keys = [(Refusal(FOREIGN_KEY, key.name), trying.hold_orphans(self._work, key)) for key in its.foreign_keys]
        unique = (its.unique or {}).values()
        keys += [(Refusal(UNIQUE, index.name), trying.hold_contested(self._work, index)) for index in unique]
        return [(refusal, statement) for refusal, statement in keys if statement is not None]

    def _bisect(self) -> int:
        rows = [row.o for row in self._connection.execute(trying.places(self._work)).fetchall()]
        parts, settled, waits = [(0, len(rows))] if rows else [], 0, 0
        while parts and not self.is_flooded:
            start, end = parts.pop()
            refusal = self._attempt(rows[start], rows[end - 1])
            if refusal is None:
                settled += end - start
            elif end - start > 1:
                middle = (start + end) // 2
                parts += [(middle, end), (start, middle)]
            elif refusal.may_pass:
                self.waiting[rows[start]] = refusal
                waits += 1
            else:
                self._give_up(rows[start], refusal)
                settled += 1
            patience = max(4 * self._most, _LEAST_PATIENCE)
            self.is_flooded = len(self.refused) > self._most or waits > patience
        return settled

    def _give_up(self, place: int, refusal: Refusal) -> None:
        self.refused[place] = refusal
        # It must not come along with its neighbours.
        self._connection.execute(trying.give_up(self._work, place))

    def _attempt(self, low: int, high: int) -> Refusal | None:
        while True:
            refusal = self._attempt_once(low, high, self._vacating.statements(self._work.between(low, high)))
            if refusal is None or refusal.reason != UNIQUE or not self._vacating.learn(refusal.where):
                return refusal

    def _attempt_once(self, low: int, high: int, vacating: list[tuple[str, sql.Composed]]) -> Refusal | None:
        index = ""
        try:
            with self._connection.transaction():
                for index, statement in vacating:  # noqa: B007
                    self._connection.execute(statement)
                index = ""
                count = self._write(self._work.between(low, high))
                self._connection.execute(trying.finished(self._work, low, high))
        except psycopg.Error as error:
            refusal = refusal_of(error)
            if refusal is None:
                raise
            if not index:
                return refusal
            # What makes room is refused itself; the part may do without.
            self._vacating.fails(index)
            return self._attempt_once(low, high, [pair for pair in vacating if pair[0] != index])
        self.written += count
        return None
