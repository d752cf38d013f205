"""Brings tables that were set aside back to where their schema's stream is, each through a stream of its own."""

from __future__ import annotations

import time
import uuid
from dataclasses import replace
from datetime import timedelta

import structlog

from warp_resources.errors import ConnectionLost, HistoryLost, TableFailure, TableSlow, TransientError, Unreachable
from warp_resources.model.batches import Changes
from warp_resources.model.positions import Aside
from warp_resources.pipeline.aside import Trial, entry_of, is_same_cause
from warp_resources.pipeline.history import told_of_loss
from warp_resources.pipeline.sides import narrowed
from warp_resources.pipeline.snapshot import read_generation
from warp_resources.pipeline.source_change import effects_of
from warp_resources.pipeline.stream_run import StreamRun, without

_WAIT = timedelta(milliseconds=20)

log = structlog.get_logger(__name__)


def catch_up(run: StreamRun) -> bool:
    """Take the table that has waited longest a cut further; whether any is to go on at once.

    One at a time, so that the stream does not wait the longer the more tables are set aside. A table is tried with
    the next chunk of its open reading, if it has one, and then with its changes. It catches up until it has all that
    the stream has delivered, or more, and joins it there.
    """
    due = run.aside.due()
    return bool(due) and (_step(run, due[0]) or len(due) > 1)


def _step(run: StreamRun, its: Aside) -> bool:
    name = its.table.name
    trial = run.aside.trials[name]
    # Behind all others that are due.
    trial.due_at = time.monotonic()
    try:
        return _advance(run, its, trial)
    except TableFailure as failure:
        if failure.facts.get("table") != its.table:
            raise
        _fail(run, run.aside.places[name], failure)
    except HistoryLost as lost:
        _resync(run, run.aside.places[name], lost)
    return False


def _advance(run: StreamRun, its: Aside, trial: Trial) -> bool:
    engine = run.engine
    if not trial.is_begun:
        try:
            _try_chunk(run, its)
        except (ConnectionLost, Unreachable):
            # No matter of this table.
            raise
        except TransientError as error:
            # A lock on this table is no matter of the others.
            log.warning("table cannot be read now", table=str(its.table), error=str(error))
            run.aside.postpone(its.table.name)
            return False
        trial.is_begun = True
    if _meets(run, its, trial):
        return True
    if trial.stream is None:
        trial.stream = engine.source.stream(narrowed(engine.scope, its.table.name), its.position)
        log.info("table catches up", table=str(its.table), position=its.position)
    portions = run.aside.portions
    changes = trial.stream.next(portions.limits(its.table.name, engine.stream_limits([its.table.name])), _WAIT)
    if changes is not None:
        began = time.monotonic()
        _write(run, its, changes)
        portions.written(its.table.name, time.monotonic() - began)
        # At once: a cut later, the stream of a busy schema has gone on.
        _meets(run, run.aside.places[its.table.name], trial)
    return True


def _meets(run: StreamRun, its: Aside, trial: Trial) -> bool:
    """Whether a table has all that the stream has delivered, or more; it then joins it there."""
    delivered = run.engine.source.has_delivered
    if not delivered(its.position, run.position()):
        return False
    trial.end()
    if delivered(run.position(), its.position):
        run.rejoin([its.table])
    else:
        trial.is_ready = True
    return True


def _try_chunk(run: StreamRun, its: Aside) -> None:
    """A table whose first load failed is not mended because no change of it fails."""
    for generation in run.pending:
        if generation.table == its.table:
            next(read_generation(run.engine, generation), None)
            return


def _write(run: StreamRun, its: Aside, changes: Changes) -> None:
    moved = replace(its, position=changes.position)
    batches = [batch for batch in changes.tables if batch.table == its.table]
    # Of the database as a whole the stream itself has told.
    events = [event for event in changes.events if event.table == its.table]
    effects = effects_of(run.engine, events, {its.table.name})
    for failure in effects.failures.values():
        raise failure
    if not (batches or events):
        run.aside.put(moved)
        return
    run.prepare(effects, {its.table})
    run.note(moved, effects.entries, without(batches, effects))


def _fail(run: StreamRun, its: Aside, failure: TableFailure) -> None:
    """The table stays aside; that is told again only where it is for another reason."""
    reason = str(failure)
    now = replace(its, reason=reason)
    if not is_same_cause(its.reason, reason):
        run.note(now, [entry_of(now)])
    log.warning("table stays aside", table=str(its.table), reason=reason)
    run.aside.postpone(its.table.name, is_slow=isinstance(failure, TableSlow))


def _resync(run: StreamRun, its: Aside, lost: HistoryLost) -> None:
    """What the table has missed is gone at the source: it is read again, if that is wanted (R4)."""
    table = its.table
    message, remedy = told_of_loss(run.engine.source, run.engine.scope, its.position, lost)
    if run.engine.unit.config.error_handling.on_history_lost != "resync":
        failure = TableFailure(
            message,
            remedy=f"cartridge-warp run --full-resync --schema {table.schema} --table {table.name}. {remedy}",
            table=table,
        )
        _fail(run, its, failure)
        return
    action = f"the table is read again. {remedy}"
    entry = replace(entry_of(its), error_type="history_lost", message=message, action=action)
    run.engine.destination.record_errors([entry], run.engine.run_id)
    run.readmit(table, f"history-{uuid.uuid4()}")
    log.error("history lost: table is read again", table=str(table), reason=message, remedy=remedy)
