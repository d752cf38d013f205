"""Composes the statements by which staged rows are tried in parts; executes none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from psycopg import sql

from warp_resources.connectors.postgresql.constraints import ForeignKey, UniqueIndex, place_of
from warp_resources.connectors.postgresql.merge import same_key, staged_value
from warp_resources.connectors.postgresql.staged import Staged
from warp_resources.model.tables import Column, TableSchema


@dataclass(frozen=True, slots=True)
class Work:
    """A temporary copy of staged rows with the place ``o`` of each, from 1 on, and whether it is ``held`` back.

    What is given up stays there, with its place negated.
    """

    number: int
    staged: Staged

    @property
    def table(self) -> sql.Identifier:
        return sql.Identifier("pg_temp", f"_warp_work_{self.number}")

    @property
    def schema(self) -> TableSchema:
        return self.staged.target.schema

    def between(self, low: int, high: int) -> Staged:
        """The rows of some places, without those held back, in the guise of a staging table."""
        query = sql.SQL("(select * from {} where o between {} and {} and not held)").format(
            self.table, sql.Literal(low), sql.Literal(high)
        )
        return replace(self.staged, target=replace(self.staged.target, staging=query))

    def staged_column(self, stored: str) -> tuple[int, Column] | None:
        """A column of the table that the rows bring a value for, and its place in staging."""
        found = enumerate(self.staged.target.columns)
        return next(((index, column) for index, column in found if column.stored == stored), None)


def make_work(work: Work, condition: sql.Composable) -> list[sql.Composed]:
    """Copy the staged rows ``s`` that meet a condition; the copy goes with the transaction."""
    name, extra = sql.Identifier(f"_warp_work_{work.number}"), sql.Identifier(f"c{work.staged.extra}")
    return [
        sql.SQL(
            "create temporary table {} on commit drop as"
            " select (row_number() over (order by s.{}))::integer as o, false as held, s.* from {} as s where {}"
        ).format(name, extra, work.staged.target.staging, condition),
        sql.SQL("create unique index on {} (o)").format(work.table),
        sql.SQL("analyze {}").format(work.table),
    ]


def places(work: Work) -> sql.Composed:
    """The places that are left to be tried, in order."""
    return sql.SQL("select o from {} where not held order by o").format(work.table)


def extras(work: Work, chosen: Sequence[int]) -> sql.Composed:
    """The last staged column (a row's ordinal, a deleted key's text) of some places, given up or not."""
    return sql.SQL("select abs(o), {} from {} where abs(o) = any({}) order by 1").format(
        sql.Identifier(f"c{work.staged.extra}"), work.table, sql.Literal(list(chosen))
    )


def hold(work: Work, chosen: Sequence[int]) -> sql.Composed:
    """Hold some places back, and no others."""
    return sql.SQL("update {} set held = not held where o > 0 and held is distinct from (o = any({}))").format(
        work.table, sql.Literal(list(chosen))
    )


def give_up(work: Work, place: int) -> sql.Composed:
    """Hold a place back for good."""
    return sql.SQL("update {} set held = true, o = -o where o = {}").format(work.table, sql.Literal(place))


def finished(work: Work, low: int, high: int) -> sql.Composed:
    """Forget the rows of some places, which are written."""
    return sql.SQL("delete from {} where o between {} and {} and not held").format(
        work.table, sql.Literal(low), sql.Literal(high)
    )


def hold_orphans(work: Work, key: ForeignKey) -> sql.Composed | None:
    """Hold the rows back whose parent is neither stored nor about to be; None where a statement cannot tell."""
    pairs = [work.staged_column(name) for name in key.columns]
    values = [staged_value(*pair) for pair in pairs if pair is not None]
    if key.is_full or len(values) < len(key.columns):
        return None
    missing = [
        _missing(
            sql.Identifier(*key.parent), [sql.SQL("p.{}").format(sql.Identifier(n)) for n in key.parent_columns], values
        )
    ]
    if key.parent == place_of(work.schema):
        own = [work.staged_column(name) for name in key.parent_columns]
        theirs = [staged_value(*pair, alias="p") for pair in own if pair is not None]
        if len(theirs) < len(own):
            return None
        missing.append(_missing(work.table, theirs, values, also=" and not p.held"))
    return _hold(work, [*_present(values), *missing])


def hold_contested(work: Work, index: UniqueIndex) -> sql.Composed | None:
    """Hold the rows back whose unique values another row keeps; None where a statement cannot tell.

    A row keeps its values unless it is about to be written itself; of several such, the first takes them.
    """
    pairs = [work.staged_column(name) for name in index.columns]
    columns = [pair for pair in pairs if pair is not None]
    if not index.is_plain or len(columns) < len(pairs):
        return None
    values = [staged_value(*pair) for pair in columns]
    equal = [sql.SQL("t.{} = {}").format(sql.Identifier(n), v) for n, v in zip(index.columns, values, strict=True)]
    key = same_key(work.staged.target)
    keys = [pair for c in work.schema.key_columns if (pair := work.staged_column(c.stored)) is not None]
    of_another = [
        sql.SQL("{} = t.{}").format(staged_value(*pair, alias="w"), sql.Identifier(pair[1].stored)) for pair in keys
    ]
    kept = sql.SQL(
        "exists (select from {} as t where {} and not ({})"
        " and not exists (select from {} as w where not w.held and {}))"
    ).format(work.staged.target.table, _all(equal), key, work.table, _all(of_another))
    same = [sql.SQL("{} = {}").format(staged_value(*pair, alias="w"), staged_value(*pair)) for pair in columns]
    taken = sql.SQL("exists (select from {} as w where not w.held and w.o < s.o and {})").format(work.table, _all(same))
    return _hold(work, [*_present(values), sql.SQL("({} or {})").format(kept, taken)])


def vacate_by_null(part: Staged, stored: str) -> sql.Composed:
    """Take a column's value away from the rows that are about to be written, so that another may have it."""
    return sql.SQL("update {} as t set {} = null from {} as s where {} and t.{} is not null").format(
        part.target.table, sql.Identifier(stored), part.target.staging, same_key(part.target), sql.Identifier(stored)
    )


def vacate_by_delete(part: Staged) -> sql.Composed:
    """Take the rows away that are about to be written; nothing else may hang on them."""
    return sql.SQL("delete from {} as t using {} as s where {}").format(
        part.target.table, part.target.staging, same_key(part.target)
    )


def _hold(work: Work, conditions: Sequence[sql.Composable]) -> sql.Composed:
    return sql.SQL("update {} as s set held = true where not s.held and {} returning s.o").format(
        work.table, _all(conditions)
    )


def _present(values: Sequence[sql.Composable]) -> list[sql.Composed]:
    return [sql.SQL("{} is not null").format(value) for value in values]


def _missing(
    table: sql.Identifier, theirs: Sequence[sql.Composable], values: Sequence[sql.Composable], also: str = ""
) -> sql.Composed:
    pairs = [sql.SQL("{} = {}").format(*pair) for pair in zip(theirs, values, strict=True)]
    return sql.SQL("not exists (select from {} as p where {}{})").format(table, _all(pairs), sql.SQL(also))


def _all(conditions: Sequence[sql.Composable]) -> sql.Composed:
    return sql.SQL(" and ").join(conditions)
