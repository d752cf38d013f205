"""The commands ``dead-letters list``, ``show``, ``replay`` and ``discard``."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import typer

from warp_resources.cli.configuring import LARGEST, Json
from warp_resources.cli.console import note, say, show_json, show_table
from warp_resources.cli.letter_lines import HEADINGS, counted, line_of, record_of, row_of
from warp_resources.cli.naming import chosen_schemas, refuse_empty, stored_schemas, table_named
from warp_resources.cli.state import State
from warp_resources.config import WarpConfig
from warp_resources.errors import ConfigurationError, OperatorError
from warp_resources.model.letters import PENDING, STATUSES, LetterSelection
from warp_resources.model.replays import NO_LETTERS, LetterOutcome
from warp_resources.pipeline.letter_advice import advice
from warp_resources.pipeline.options import open_destination
from warp_resources.pipeline.replay import MOST_LETTERS, open_replayer
from warp_resources.pipeline.stopping import stop_on_signals

_ALL = "all"

Ids = Annotated[
    list[int] | None,
    typer.Argument(metavar="[ID]...", min=1, max=LARGEST, help="The numbers that `list` shows."),
]
Schema = Annotated[str | None, typer.Option(help="Only of this schema.")]
Table = Annotated[str | None, typer.Option(help="Only of this table, as SCHEMA.TABLE.")]
Reason = Annotated[str | None, typer.Option(help="Only of this reason, such as drastic_change or foreign_key.")]

letters_app = typer.Typer(help="Look at what was set aside, replay it, or discard it.", no_args_is_help=True)


@dataclass(frozen=True, slots=True)
class _Choice:
    """The letters that a command is about: a selection for each schema that may have them."""

    config: WarpConfig
    selections: tuple[LetterSelection, ...]


@letters_app.command("list")
def list_letters(
    context: typer.Context,
    schema: Schema = None,
    table: Table = None,
    reason: Reason = None,
    status: Annotated[str, typer.Option(help="pending, replayed, superseded, discarded or all.")] = PENDING,
    limit: Annotated[int, typer.Option(min=1, max=LARGEST, help="How many, the newest first.")] = 50,
    as_json: Json = False,
) -> None:
    """List dead letters, without their records."""
    chosen = _choice(context, (), schema, table, reason, _status(status))
    destination = open_destination(chosen.config)
    try:
        found = [
            one
            for its in chosen.selections
            for one in destination.dead_letters(replace(its, newest_first=True, limit=limit), with_records=False)
        ]
        counts = [one for its in chosen.selections for one in destination.letter_counts(its)]
    finally:
        destination.close()
    shown = sorted(found, key=lambda one: one.number, reverse=True)[:limit]
    if as_json:
        show_json([line_of(one) for one in shown])
        return
    if not shown:
        note("No dead letters" if status == _ALL else f"No dead letters that are {status}")
        return
    show_table(HEADINGS, [row_of(one) for one in shown])
    total = sum(one.count for one in counts)
    by_reason = counted([(one.reason, one.count) for one in counts])
    note(f"{len(shown):,} of {total:,}: {by_reason}. One with its record: cartridge-warp dead-letters show ID")


@letters_app.command("show")
def show_letter(
    context: typer.Context,
    number: Annotated[int, typer.Argument(metavar="ID", min=1, max=LARGEST, help="The number that `list` shows.")],
    as_json: Json = False,
) -> None:
    """Show one dead letter with its record, and what can be done about it."""
    chosen = _choice(context, (number,), None, None, None, None)
    destination = open_destination(chosen.config)
    try:
        found = [one for its in chosen.selections for one in destination.dead_letters(its)]
    finally:
        destination.close()
    if not found:
        raise OperatorError(f"There is no dead letter {number}", remedy="List them: cartridge-warp dead-letters list")
    [one] = found
    if as_json:
        show_json({**line_of(one), "encoding": one.letter.encoding, "record": one.letter.record})
        return
    for name, value in line_of(one).items():
        if value is not None:
            say(f"{name + ':':<13} {value}")
    typer.echo(record_of(one))
    if one.status == PENDING:
        note(f"{advice(one.letter.reason)}: cartridge-warp dead-letters replay {number}")


@letters_app.command("replay")
def replay_letters(
    context: typer.Context,
    ids: Ids = None,
    schema: Schema = None,
    table: Table = None,
    reason: Reason = None,
    every: Annotated[bool, typer.Option("--all", help="Everything that is pending.")] = False,
) -> None:
    """Write the records of pending dead letters again, never over anything newer."""
    chosen = _meant(context, ids, schema, table, reason, every, "replay")
    stop = threading.Event()
    stop_on_signals(stop.set, code=1)
    outcome, failures = NO_LETTERS, []
    for its in chosen.selections:
        with open_replayer(chosen.config, its.schema) as replayer:
            report = replayer.replay(its, lambda: not stop.is_set())
        outcome += report.outcome
        failures += [f"{table}: {failure}" for table, failure in report.failures.items()]
    _tell(outcome, failures)
    if stop.is_set() or outcome.pending_count or failures:
        raise typer.Exit(1)


@letters_app.command("discard")
def discard_letters(
    context: typer.Context,
    ids: Ids = None,
    schema: Schema = None,
    table: Table = None,
    reason: Reason = None,
    every: Annotated[bool, typer.Option("--all", help="Everything that is pending.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Give pending dead letters up: they are marked, and kept for the time of retention.resolved_dead_letters."""
    chosen = _meant(context, ids, schema, table, reason, every, "discard")
    destination = open_destination(chosen.config)
    try:
        destination.check(stored_schemas(chosen.config, [its.schema for its in chosen.selections]))
        counts = [one for its in chosen.selections for one in destination.letter_counts(its)]
        total = sum(one.count for one in counts)
        if not total:
            note("No dead letters that are pending")
            return
        if not yes:
            by_reason = counted([(one.reason, one.count) for one in counts])
            typer.confirm(f"Discard {total:,} dead letters ({by_reason})?", abort=True, err=True)
        destination.prepare()
        discarded = sum(destination.discard_letters(its) for its in chosen.selections)
    finally:
        destination.close()
    say(f"{discarded:,} discarded")


def _meant(
    context: typer.Context,
    ids: Sequence[int] | None,
    schema: str | None,
    table: str | None,
    reason: str | None,
    every: bool,
    what: str,
) -> _Choice:
    """The pending letters that a command is to act on, which has to be said."""
    chosen = _choice(context, tuple(ids or ()), schema, table, reason, PENDING)
    _demand_choice(ids, schema, table, reason, every, what)
    _refuse_unknown(chosen, ids)
    return chosen


def _choice(
    context: typer.Context,
    ids: tuple[int, ...],
    schema: str | None,
    table: str | None,
    reason: str | None,
    status: str | None,
) -> _Choice:
    refuse_empty({"--schema": schema, "--table": table, "--reason": reason})
    state: State = context.obj
    config = state.load()
    named = table_named(config, table) if table else None
    if named is not None and schema is not None and named.schema != schema:
        raise ConfigurationError(
            f"The table {named} is not of the schema {schema!r}", remedy="Leave out --schema, or name one of its tables"
        )
    names = [named.schema] if named else chosen_schemas(config, [schema] if schema else state.schema_names())
    return _Choice(
        config,
        tuple(
            LetterSelection(name, named.name if named else None, (reason,) if reason else (), status, ids)
            for name in names
        ),
    )


def _status(text: str) -> str | None:
    if text == _ALL:
        return None
    if text not in STATUSES:
        raise ConfigurationError(f"There is no status {text!r}", remedy=f"Choose from {', '.join(STATUSES)} and {_ALL}")
    return text


def _demand_choice(
    ids: Sequence[int] | None, schema: str | None, table: str | None, reason: str | None, every: bool, what: str
) -> None:
    if every and ids:
        raise ConfigurationError("Single letters and --all contradict each other", remedy="Leave out one of them")
    if not (ids or schema or table or reason or every):
        raise ConfigurationError(
            f"It is not said what to {what}",
            remedy=f"Name letters: cartridge-warp dead-letters {what} ID..., or --table, --reason, --schema or --all",
        )


def _refuse_unknown(chosen: _Choice, ids: Sequence[int] | None) -> None:
    """Each letter that is named must be there and pending."""
    if not ids:
        return
    destination = open_destination(chosen.config)
    try:
        found = [
            one
            for its in chosen.selections
            for one in destination.dead_letters(replace(its, status=None), with_records=False)
        ]
    finally:
        destination.close()
    statuses = {one.number: one.status for one in found}
    for number in ids:
        if statuses.get(number) != PENDING:
            what = f"is {statuses[number]} already" if number in statuses else "does not exist"
            raise OperatorError(f"The dead letter {number} {what}", remedy="See: cartridge-warp dead-letters list")


def _tell(outcome: LetterOutcome, failures: Sequence[str]) -> None:
    if outcome == NO_LETTERS and not failures:
        note("No dead letters that are pending")
        return
    say(
        f"{outcome.replayed:,} replayed, {outcome.superseded:,} superseded by what came later,"
        f" {outcome.pending_count:,} still pending"
    )
    for reason, count in sorted(outcome.pending.items()):
        note(f"{count:,} {reason}: {advice(reason)}")
    for failure in failures:
        note(failure)
    if outcome.replayed + outcome.superseded + outcome.pending_count >= MOST_LETTERS:
        is_vain = not (outcome.replayed or outcome.superseded)
        rest = "choose them by --table or --reason" if is_vain else "the same command goes on with them"
        note(f"There may be more: {rest}")
