"""Shows the latest changes of a table's schema as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import dagster as dg

from warp_resources.connectors.interfaces import Destination
from warp_resources.dagster_bridge.preview import escaped
from warp_resources.errors import TransientError
from warp_resources.evolution.history import ColumnChange, column_changes
from warp_resources.model.tables import TableId
from warp_resources.model.versions import SchemaVersion

MOST_CHANGES = 20
_HEAD = "| version | time | column | before | after | reason |\n| --- | --- | --- | --- | --- | --- |"


def history_metadata(destination: Destination, table: TableId) -> Mapping[str, dg.MetadataValue]:
    """The latest changes of a table's schema, newest first; nothing where it has none or cannot be asked."""
    try:
        versions = destination.schema_versions(table, newest=MOST_CHANGES)
    except TransientError:
        return {}
    return {"schema_versions": dg.MetadataValue.md(changes_text(versions))} if versions else {}


def changes_text(versions: Sequence[SchemaVersion]) -> str:
    """The latest changes as a table of Markdown."""
    lines = [
        _line(version, change) for version in reversed(versions) for change in reversed(list(column_changes(version)))
    ]
    return "\n".join([_HEAD, *lines[:MOST_CHANGES]])


def _line(version: SchemaVersion, change: ColumnChange) -> str:
    cells = [change.column, change.before or "", change.after or "", change.reason]
    at = version.applied_at.strftime("%Y-%m-%d %H:%M:%S")
    return f"| {version.schema.version} | {at} | " + " | ".join(map(escaped, cells)) + " |"
