"""Takes a table to its next version, step by step, from wherever it is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Protocol

from google.api_core import exceptions as api
from google.cloud import bigquery

from warp_resources.arrow.keys import key_object
from warp_resources.arrow.lattice import FLOATS
from warp_resources.connectors.bigquery.control import Intent
from warp_resources.connectors.bigquery.ddl import VERSION_LABEL, drop_columns, negative_zeros
from warp_resources.connectors.bigquery.evolution import CREATED, DROPPED, FILLED, SWAPPED, Evolution, Step, retypings
from warp_resources.connectors.bigquery.layout import Layout, layout_of
from warp_resources.connectors.bigquery.physical import Found, found_in
from warp_resources.connectors.bigquery.replacing import is_begun
from warp_resources.connectors.bigquery.session import ONCE, Session, quoted, translating
from warp_resources.connectors.bigquery.steps import (
    BEAR_VERSION,
    DROP_LEFTOVERS,
    next_step,
    noted,
    prepared_columns,
)
from warp_resources.connectors.bigquery.table_failures import REFUSED, refused
from warp_resources.connectors.bigquery.warehouse import make_dataset
from warp_resources.errors import OperatorError, TableFailure, TransientError
from warp_resources.evolution.losses import stored_negative_zeros
from warp_resources.failpoints import failpoint
from warp_resources.model.batches import ErrorEntry
from warp_resources.model.tables import Kind, TableId, TableSchema

__all__ = ["Layout", "apply_changes", "layout_of"]

_MOST_KEYS = 20
_LONGEST_STEP = timedelta(hours=6)
"""Filling a column is one statement, which takes its time in a large table and would begin anew."""
_STEPS_OF_A_CHANGE = 8


class Announced(Protocol):
    """What stands behind a schema change while it goes on."""

    def demand(self) -> None:
        """Raise ``SchemaMoved`` where nobody wants the change any more."""
        ...

    def keep(self, errors: list[ErrorEntry]) -> None:
        """Take what the change altered, before the earlier values are dropped; once more after a crash there."""
        ...


def apply_changes(session: Session, intent: Intent, layout: Layout, announced: Announced) -> None:
    """Make of a table what a version wants.

    Safe to repeat, by as many processes as like to and after a crash anywhere: each step is decided on the table as
    it is then, and one that another was faster with is no failure. Nobody may write rows of the earlier version
    meanwhile.

    Raises:
        TableFailure: stored values do not fit, or the table is somebody else's.
        SchemaMoved: the change is announced no more.
    """
    after = intent.after
    name, its = _full(session, after), _evolution(session, intent, layout)
    done: frozenset[str] = frozenset()
    for _ in range(_STEPS_OF_A_CHANGE * (len(intent.changes) + len(after.columns) + 2)):
        described = session.table(name)
        found = None if described is None else found_in(described)
        step = next_step(found, its, done)
        if step is None:
            return
        announced.demand()
        if found is None:
            make_dataset(session, after.stored_schema)
        elif step.name == DROP_LEFTOVERS and (errors := list(_lost_signs(session, its, found))):
            announced.keep(errors)
        if step is BEAR_VERSION and described is not None:
            _bear_version(session, described, after.version)
        else:
            _do(session, step, after.table, name, found)
        done = noted(done, step)
    raise TransientError("Another process changes the table at the same time", table=after.table)


def can_be_withdrawn(session: Session, intent: Intent, layout: Layout) -> bool:
    """Whether a change has replaced, renamed or widened nothing that any reader has seen."""
    described = session.table(_full(session, intent.after))
    if described is None or intent.before is None:
        return intent.before is None
    found = found_in(described)
    return found.version < intent.after.version and not is_begun(found, _evolution(session, intent, layout))


def drop_prepared(session: Session, intent: Intent, layout: Layout) -> None:
    """Drop what a change has prepared that was withdrawn."""
    described = session.table(_full(session, intent.after))
    its = _evolution(session, intent, layout)
    names = [] if described is None else prepared_columns(found_in(described), its)
    if names:
        session.run(drop_columns(its.table, names), kind="ddl")


def _evolution(session: Session, intent: Intent, layout: Layout) -> Evolution:
    after = intent.after
    table = quoted(session.project, after.stored_schema, after.stored_table)
    return Evolution(table, intent.before, after, intent.changes, layout.of(after.table), intent.token)


def _full(session: Session, schema: TableSchema) -> str:
    return f"{session.project}.{schema.stored_schema}.{schema.stored_table}"


def _do(session: Session, step: Step, table: TableId, name: str, found: Found | None) -> None:
    try:
        answer = session.run(step.statement, kind="ddl", timeout=_LONGEST_STEP)
    except OperatorError as error:
        described = session.table(name)
        if (None if described is None else found_in(described)) != found:
            # Somebody was faster, and the step was of a table that is no more.
            return
        if error.facts.get("status") == REFUSED:
            raise refused(error, table) from error
        raise
    for its, values in zip(step.refused, answer[0].values() if answer else (), strict=False):
        if values:
            raise TableFailure(its.message, remedy=its.remedy, **its.facts, values=values)
    _come_by(step.point)


def _come_by(point: str) -> None:
    if point == CREATED:
        failpoint("ddl.created")
    elif point == FILLED:
        failpoint("ddl.filled")
    elif point == SWAPPED:
        failpoint("ddl.swapped")
    elif point == DROPPED:
        failpoint("ddl.dropped")


def _bear_version(session: Session, table: bigquery.Table, version: int) -> None:
    """Say on the table which version it has come to, beside whatever labels it has."""
    with translating("label a table"):
        table.labels = {**table.labels, VERSION_LABEL: str(version)}
        try:
            session.client.update_table(table, ["labels"], retry=ONCE, timeout=session.patience)
        except api.PreconditionFailed:
            # Changed since it was looked at: it is looked at again.
            return


def _lost_signs(session: Session, its: Evolution, found: Found) -> Iterator[ErrorEntry]:
    """The negative zeros in columns that have been replaced by such as have none (SPEC 5, canonical text)."""
    for number, change in retypings(its):
        before, after, old = change.before, change.after, its.old_name(number)
        if before is None or after is None or not found.has(old):
            continue
        if before.type.kind in FLOATS and after.type.kind in (Kind.NUMERIC, Kind.JSON):
            [row] = session.run(negative_zeros(its.table, old, _MOST_KEYS), kind="ddl")
            keys = [key_object(its.after.key, text) for text in row.keys_found or []]
            if row.found:
                yield stored_negative_zeros(its.after.table, after.name, row.found, keys)
