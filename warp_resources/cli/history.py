"""The command ``schema-history``: the versions of a table's schema, what differs between two, and the way back."""

from __future__ import annotations

import uuid
from contextlib import closing
from dataclasses import asdict
from typing import Annotated, Any

import typer

from warp_resources.cli.configuring import Json
from warp_resources.cli.console import note, say, show_json, show_table
from warp_resources.cli.naming import table_named
from warp_resources.cli.state import State
from warp_resources.connectors.interfaces import Destination
from warp_resources.errors import ConfigurationError
from warp_resources.evolution.history import column_changes, difference, version_of
from warp_resources.model.tables import TableId
from warp_resources.model.versions import Rollback, SchemaVersion
from warp_resources.pipeline.options import open_destination

_LATER = "New rows go on filling the columns that stay. A column widens again when a value comes that its type lacks."


def schema_history(
    context: typer.Context,
    table: Annotated[str, typer.Argument(help="The table, as SCHEMA.TABLE.")],
    diff: Annotated[str | None, typer.Option(help="What differs between two versions, such as 1..3.")] = None,
    rollback: Annotated[int | None, typer.Option(min=1, help="Plan the way back to the types of this version.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="With --rollback: do it.")] = False,
    as_json: Json = False,
) -> None:
    """Show every version of a table's schema; compare two; go back to one without removing anything."""
    state: State = context.obj
    config = state.load()
    if diff is not None and rollback is not None:
        raise ConfigurationError("--diff and --rollback exclude each other", remedy="Give one of them")
    if yes and rollback is None:
        raise ConfigurationError("--yes belongs to --rollback", remedy="Name the version: --rollback N --yes")
    named = table_named(config, table)
    with closing(open_destination(config)) as destination:
        versions = destination.schema_versions(named)
        if not versions:
            raise ConfigurationError(
                f"The destination has no schema of {named}", remedy="Spell it as in the source; a first run makes it"
            )
        if rollback is not None:
            _roll_back(destination, named, rollback, yes, as_json)
        elif diff is not None:
            _compare(versions, diff, as_json)
        else:
            _list(versions, as_json)


def _list(versions: list[SchemaVersion], as_json: bool) -> None:
    if as_json:
        show_json([_document(version) for version in versions])
        return
    show_table(
        ("version", "time", "change", "column", "from", "to", "reason", "run"),
        [
            (
                version.schema.version,
                version.applied_at,
                change.kind,
                change.column,
                change.before,
                change.after,
                change.reason,
                version.run_id,
            )
            for version in versions
            for change in column_changes(version)
        ],
    )


def _compare(versions: list[SchemaVersion], text: str, as_json: bool) -> None:
    first, dots, last = text.partition("..")
    if not (dots and first.isdecimal() and last.isdecimal()):
        raise ConfigurationError(f"{text!r} does not name two versions", remedy="Write them as 1..3")
    earlier, later = version_of(versions, int(first)).schema, version_of(versions, int(last)).schema
    found = difference(earlier, later)
    if as_json:
        show_json([asdict(change) for change in found])
    elif found:
        rows = [(change.column, change.before, change.after) for change in found]
        show_table(("column", f"version {first}", f"version {last}"), rows)
    else:
        note(f"Versions {first} and {last} have the same columns")


def _roll_back(destination: Destination, table: TableId, version: int, yes: bool, as_json: bool) -> None:
    if yes:
        rollback = destination.roll_back(table, version, str(uuid.uuid4()))
    else:
        rollback = destination.plan_rollback(table, version)
    if as_json:
        show_json(_rollback_document(rollback))
    else:
        _show(table, rollback)


def _show(table: TableId, rollback: Rollback) -> None:
    for step in rollback.possible:
        say(f"{step.before.stored}: from {step.before.type} to {step.after.type}; every value converts, and back")
    for step in rollback.impossible:
        say(
            f"{step.before.stored}: stays {step.before.type}, since {step.refused:,} values"
            f" do not become {step.after.type} and the same again"
        )
    for column in rollback.fixed:
        say(f"{column.stored}: stays {column.type}, since its keys are of another sort by now")
    for column in rollback.kept:
        say(f"{column.stored}: came after version {rollback.target} and stays")
    if rollback.version is not None:
        note(f"{table} has the types of version {rollback.target}, as version {rollback.version}. {_LATER}")
    elif rollback.possible:
        say(rollback.statement)
        note(f"Nothing was changed; add --yes to do it. {_LATER}")
    else:
        note("There is nothing to change")


def _document(version: SchemaVersion) -> dict[str, Any]:
    return {
        "version": version.schema.version,
        "applied_at": version.applied_at,
        "run_id": version.run_id,
        "changes": [asdict(change) for change in column_changes(version)],
    }


def _rollback_document(rollback: Rollback) -> dict[str, Any]:
    return {
        "present": rollback.present.version,
        "target": rollback.target,
        "steps": [
            {
                "column": step.before.stored,
                "before": str(step.before.type),
                "after": str(step.after.type),
                "values_in_the_way": step.refused,
            }
            for step in rollback.steps
        ],
        "kept": [column.stored for column in rollback.kept],
        "fixed": [column.stored for column in rollback.fixed],
        "statement": rollback.statement,
        "applied_version": rollback.version,
    }
