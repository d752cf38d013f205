"""Makes the jobs that look at what was set aside in a schema, replay it or discard it, and look at its errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import dagster as dg

from warp_resources.config import WarpConfig
from warp_resources.dagster_bridge import keys
from warp_resources.dagster_bridge.letters import errors_table, letters_table, outcome_table
from warp_resources.errors import ConfigurationError
from warp_resources.masking import mask
from warp_resources.model.letters import PENDING, STATUSES, ErrorSelection, LetterSelection
from warp_resources.pipeline.options import open_destination
from warp_resources.pipeline.replay import open_replayer

LIST, REPLAY, DISCARD = "list", "replay", "discard"
_SHOWN = 200
_RESULT = "result"

Results: TypeAlias = Iterator[dg.Output[None]]
Compute: TypeAlias = Callable[[dg.OpExecutionContext, Mapping[str, object]], Results]

_TABLE = dg.Field(str, is_required=False, description="Only of this table, by its name in the source.")
_ACTIONS = dg.Enum("LetterAction", [dg.EnumValue(name) for name in (LIST, REPLAY, DISCARD)])
_LETTERS = {
    "action": dg.Field(_ACTIONS, default_value=LIST, description="What to do with what the other fields choose."),
    "table": _TABLE,
    "reason": dg.Field(str, is_required=False, description="Only of this reason, such as drastic_change."),
    "ids": dg.Field([int], default_value=[], description="Only these, by the numbers that a list shows."),
    "status": dg.Field(str, default_value=PENDING, description=f"For a list: {', '.join(STATUSES)} or all."),
}
_ERRORS = {
    "table": _TABLE,
    "type": dg.Field(str, is_required=False, description="Only of this type."),
    "hours": dg.Field(int, default_value=24, description="How far back."),
}


def letter_jobs(config: WarpConfig, schema: str) -> list[dg.JobDefinition]:
    """``dead_letters_<schema>`` and ``errors_<schema>``."""
    letters = _job(
        keys.letters_job(schema),
        _letters(config, schema),
        _LETTERS,
        "Lists what was set aside, or replays or discards it; what it found or did is the metadata of its output.",
    )
    errors = _job(
        keys.errors_job(schema),
        _errors(config, schema),
        _ERRORS,
        "Shows what went wrong lately and what was done about it, as the metadata of its output.",
    )
    return [letters, errors]


def _letters(config: WarpConfig, schema: str) -> Compute:
    def letters(step: dg.OpExecutionContext, inputs: Mapping[str, object]) -> Results:
        asked: dict[str, Any] = step.op_config
        acts = {LIST: _list, REPLAY: _replay, DISCARD: _discard}
        yield from acts[asked["action"]](config, _selection(schema, asked), step.run_id)

    return letters


def _errors(config: WarpConfig, schema: str) -> Compute:
    def errors(step: dg.OpExecutionContext, inputs: Mapping[str, object]) -> Results:
        asked: dict[str, Any] = step.op_config
        since = _hours_ago(asked["hours"])
        selection = ErrorSelection(schema, asked.get("table"), asked.get("type"), since, _SHOWN)
        with closing(open_destination(config)) as destination:
            found = destination.logged_errors(selection)
        yield _result({"shown": len(found), "errors": errors_table(found)})

    return errors


def _hours_ago(hours: int) -> datetime:
    try:
        if hours > 0:
            return datetime.now(UTC) - timedelta(hours=hours)
    except OverflowError:
        pass
    raise ConfigurationError(f"Nothing was logged {hours} hours ago", remedy="Give hours: 24, or 720 for a month")


def _selection(schema: str, asked: Mapping[str, Any]) -> LetterSelection:
    status = asked["status"]
    if status not in (*STATUSES, "all"):
        raise ConfigurationError(f"There is no status {status!r}", remedy=f"Choose from {', '.join(STATUSES)} and all")
    return LetterSelection(
        schema,
        asked.get("table"),
        (asked["reason"],) if asked.get("reason") else (),
        None if status == "all" else status,
        tuple(asked["ids"]),
    )


def _list(config: WarpConfig, selection: LetterSelection, run_id: str) -> Results:
    with closing(open_destination(config)) as destination:
        newest = replace(selection, newest_first=True, limit=_SHOWN)
        found = destination.dead_letters(newest, with_records=False)
        total = sum(one.count for one in destination.letter_counts(selection))
    yield _result({"shown": len(found), "total": total, "dead_letters": letters_table(found)})


def _replay(config: WarpConfig, selection: LetterSelection, run_id: str) -> Results:
    """Fails the run where anything that it was asked for is still pending, once all had its turn."""
    with open_replayer(config, selection.schema, run_id) as replayer:
        report = replayer.replay(selection)
    its = report.outcome
    figures = {"replayed": its.replayed, "superseded": its.superseded, "pending": its.pending_count}
    yield _result({**figures, "reasons": outcome_table(its)})
    if its.pending_count or report.failures:
        causes = [f"{count:,} {reason}" for reason, count in sorted(its.pending.items())]
        causes += [f"{table}: {mask(str(failure))}" for table, failure in report.failures.items()]
        raise dg.Failure("Still pending: " + "; ".join(causes), allow_retries=False)


def _discard(config: WarpConfig, selection: LetterSelection, run_id: str) -> Results:
    if not (selection.table or selection.reasons or selection.ids):
        raise ConfigurationError("It is not said what to discard", remedy="Give a table, a reason or ids")
    with closing(open_destination(config)) as destination:
        destination.prepare()
        discarded = destination.discard_letters(selection)
    yield _result({"discarded": discarded})


def _result(metadata: Mapping[str, int | dg.MarkdownMetadataValue]) -> dg.Output[None]:
    return dg.Output(None, _RESULT, metadata=metadata)


def _job(name: str, compute: Compute, config_schema: dict[str, dg.Field], description: str) -> dg.JobDefinition:
    op = dg.OpDefinition(
        name=f"{name}_tables",
        compute_fn=compute,
        outs={_RESULT: dg.Out(dg.Nothing)},
        config_schema=config_schema,
        description=description,
    )
    graph = dg.GraphDefinition(name=name, node_defs=[op], description=description)
    return graph.to_job(name=name, executor_def=dg.in_process_executor)
