"""Takes a table to its next version, step by step, from wherever it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

from google.api_core import exceptions as api
from google.cloud import bigquery

from warp_resources.arrow.keys import key_object
from warp_resources.arrow.lattice import FLOATS
from warp_resources.connectors.bigquery.ddl import VERSION_LABEL, drop_columns, negative_zeros, wanted_columns
from warp_resources.connectors.bigquery.layout import Layout, layout_of
from warp_resources.connectors.bigquery.physical import Found, found_in
from warp_resources.connectors.bigquery.session import ONCE, Session, quoted, translating
from warp_resources.connectors.bigquery.steps import (
    BEAR_VERSION,
    CREATED,
    DROP_LEFTOVERS,
    DROPPED,
    FILLED,
    SWAPPED,
    Evolution,
    Step,
    next_step,
    prepared_columns,
    retypings,
)
from warp_resources.connectors.bigquery.table_failures import REFUSED, refused
from warp_resources.connectors.bigquery.warehouse import make_dataset
from warp_resources.errors import OperatorError, TableFailure, TransientError
from warp_resources.evolution.losses import stored_negative_zeros
from warp_resources.failpoints import failpoint
from warp_resources.model.batches import ErrorEntry
from warp_resources.model.tables import Kind, SchemaChange, TableId, TableSchema

__all__ = ["Layout", "apply_changes", "layout_of"]

_MOST_KEYS = 20
_LONGEST_STEP = timedelta(hours=6)
"""Filling a column is one statement, which takes its time in a large table and would begin anew."""
_STEPS_OF_A_CHANGE = 8


def apply_changes(
    session: Session,
    before: TableSchema | None,
    after: TableSchema,
    changes: tuple[SchemaChange, ...],
    layout: Layout,
    keep: Callable[[list[ErrorEntry]], None],
) -> None:
    """Make of a table what a version wants.

    Safe to repeat, by as many processes as like to and after a crash anywhere: each step is decided on the table as
    it is then, and one that another was faster with is no failure. Nobody may write rows of the earlier version
    meanwhile.

    Args:
        keep: is told what the changes altered, before the earlier values are dropped; once more after a crash there.

    Raises:
        TableFailure: stored values do not fit, or the table is somebody else's.
    """
    name = f"{session.project}.{after.stored_schema}.{after.stored_table}"
    table = quoted(session.project, after.stored_schema, after.stored_table)
    its = Evolution(table, before, after, changes, layout.of(after.table))
    done: frozenset[str] = frozenset()
    for _ in range(_STEPS_OF_A_CHANGE * (len(changes) + len(after.columns) + 2)):
        described = session.table(name)
        found = None if described is None else found_in(described)
        step = next_step(found, its, done)
        if step is None:
            return
        if found is None:
            make_dataset(session, after.stored_schema)
        elif step.name == DROP_LEFTOVERS and (errors := list(_lost_signs(session, its, found))):
            keep(errors)
        if step is BEAR_VERSION and described is not None:
            _bear_version(session, described, after.version)
        else:
            _do(session, step, after.table, name, found)
        done |= {step.name}
    raise TransientError("Another process changes the table at the same time", table=after.table)


def forget_changes(session: Session, before: TableSchema | None, after: TableSchema) -> bool:
    """Drop what changes have prepared, where they have replaced, renamed or widened nothing yet; whether that is so.

    Nobody may go on with these changes meanwhile.
    """
    described = session.table(f"{session.project}.{after.stored_schema}.{after.stored_table}")
    if described is None or before is None:
        return before is None
    found = found_in(described)
    is_begun = any(found.type_of(name) != wanted for name, wanted in wanted_columns(before).items())
    if is_begun or found.version >= after.version:
        return False
    names = prepared_columns(found, after.version)
    if names:
        session.run(drop_columns(quoted(session.project, after.stored_schema, after.stored_table), names), kind="ddl")
    return True


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
