"""Does to a batch what the configuration says of its columns, before anything else sees it."""

from __future__ import annotations

from collections.abc import Callable

from warp_resources.config import TableSettings, WarpConfig, effective, schema_settings
from warp_resources.config.column_checks import VALUE_ACTIONS
from warp_resources.errors import ConfigurationError
from warp_resources.model.batches import TableBatch
from warp_resources.model.tables import TableId
from warp_resources.pipeline.shape import Redact, shaped, withhold
from warp_resources.pipeline.transform import load_transform, transformed


def prepared(
    batch: TableBatch, settings: TableSettings, redact: Redact = withhold, *, restored: bool = False
) -> TableBatch:
    """The batch with its fields dropped, hashed and masked, and then as the business rules leave it.

    Args:
        restored: the rows come from dead letters; see ``shaped``.

    Raises:
        TableFailure: an action is on a key, or the rules fail.
    """
    actions = {name: its.action for name, its in settings.columns.items() if its.action}
    return transformed(shaped(batch, actions, redact, restored=restored), settings.transform)


def check_transforms(config: WarpConfig, schema: str) -> None:
    """Refuse business rules that cannot be imported, without reaching any server.

    Raises:
        ConfigurationError: a table's rules name no function.
    """
    for table in schema_settings(config, schema).tables:
        path = effective(config, schema, table).transform
        if path is not None:
            load_transform(path)


def check_preparation(settings: TableSettings, key: Callable[[], tuple[str, ...] | None]) -> None:
    """Refuse what cannot be done to a table's columns, and rules that cannot be imported, before any row is read.

    Args:
        key: gives the table's key columns, None where they are not known yet.

    Raises:
        ConfigurationError: an action is on a key or marker column, or there is no such function.
    """
    if settings.transform is not None:
        load_transform(settings.transform)
    hidden = {name: str(its.action) for name, its in settings.columns.items() if its.action in VALUE_ACTIONS}
    typed = {name: "type" for name, its in settings.columns.items() if its.type}
    if not hidden and not typed:
        return
    for name in settings.primary_key or key() or ():
        if name in hidden or name in typed:
            raise _refusal(settings.table, name, (typed | hidden)[name], "the key, by which rows are found again")
    if settings.strategy == "timestamp" and settings.marker_column in hidden:
        name = settings.marker_column
        raise _refusal(settings.table, name, hidden[name], "the marker, whose latest value is stored")


def _refusal(table: TableId, column: str, action: str, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"columns.{column} of {table} asks for {action}, but the column is {what}",
        remedy="Remove that entry; only rename is allowed there",
    )
