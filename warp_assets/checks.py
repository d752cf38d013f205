"""Makes the checks of every table: rows on both sides, the stream's lag and history, and dead letters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import dagster as dg

from warp_assets.generations import backfill_generation
from warp_assets.inspection import Inspection
from warp_assets.judging import Finding
from warp_resources.config import WarpConfig
from warp_resources.dagster_bridge import keys
from warp_resources.dagster_bridge.catalog import Table
from warp_resources.errors import WarpError
from warp_resources.masking import mask
from warp_resources.model.tables import TableId
from warp_resources.pipeline.engine import STREAM

HISTORY = "history"
"""Only of tables that are streamed: the others need no log."""
WHOLE_TABLE = "rows_match"
_DESCRIPTIONS = {
    WHOLE_TABLE: "The source and the destination have the same rows, by their values. The whole table is read. What"
    " changes meanwhile is read again, and what a stream has yet to bring is no difference. Of a table that is synced"
    " by a marker column, only rows that are missing or different count, since such a column shows no deletes.",
    "lag": "What the source has now arrives within monitoring.lag_warning; of a batch table: its last scheduled sync"
    " succeeded.",
    HISTORY: "The source's log goes far enough back for what the table has yet to get from it: an hour, and three times"
    " what its stream, or the table itself where it is set aside, is behind. Else changes are lost soon, and the table"
    " has to be read again.",
    "dead_letters": "No value or row of the table is set aside. The job `dead_letters_<schema>` lists what is, with"
    " what to do about it, and replays or discards it.",
}
_LOOKS: Mapping[str, Callable[[Inspection, TableId], Finding]] = {
    WHOLE_TABLE: Inspection.rows_match,
    "lag": Inspection.lag,
    HISTORY: Inspection.history,
    "dead_letters": Inspection.dead_letters,
}


def table_checks(config: WarpConfig, schema: str, tables: Sequence[Table]) -> dg.AssetChecksDefinition:
    """``rows_match``, ``lag`` and ``dead_letters`` of each table of a schema, ``history`` of its streamed ones.

    Each can be run alone.
    """
    by_output = {keys.dagster_name(table.name): table for table in tables}
    assets = {output: keys.asset_key(table.settings.table) for output, table in by_output.items()}
    specs = {
        f"{output}__{name}": dg.AssetCheckSpec(name, asset=assets[output], description=description)
        for output, table in by_output.items()
        for name, description in _DESCRIPTIONS.items()
        if name != HISTORY or table.settings.mode == STREAM
    }
    op = dg.OpDefinition(
        name=f"checks_{keys.dagster_name(schema)}",
        compute_fn=_compute(config, schema),
        ins={name: dg.In(dg.Nothing) for name in assets},
        outs={name: dg.Out(dg.Nothing, is_required=False) for name in specs},
        description="Looks at both sides of tables.",
    )
    checks: dg.AssetChecksDefinition = dg.AssetChecksDefinition.create(
        keys_by_input_name=assets, node_def=op, check_specs_by_output_name=specs, can_subset=True
    )
    return checks


def _compute(config: WarpConfig, schema: str) -> Callable[..., Iterator[dg.AssetCheckResult]]:
    # Called `step`, since Dagster wants the annotation of a `context` to be a class, not its name.
    def check(step: dg.AssetCheckExecutionContext, inputs: Mapping[str, object]) -> Iterator[dg.AssetCheckResult]:
        with Inspection.opened(config, schema) as inspection:
            for selected in sorted(step.selected_asset_check_keys):
                if selected.name == WHOLE_TABLE and inspection.is_being_read(
                    keys.table_of(selected.asset_key), backfill_generation(step.run)
                ):
                    # Each slice of a backfill is a run, and all of them would read the whole table.
                    step.log.info(f"{WHOLE_TABLE} is left to the run that reads the last slice of this backfill.")
                    continue
                found = _look(inspection, selected)
                yield dg.AssetCheckResult(
                    asset_key=selected.asset_key,
                    check_name=selected.name,
                    passed=found.passed,
                    severity=dg.AssetCheckSeverity.ERROR if found.is_severe else dg.AssetCheckSeverity.WARN,
                    description=found.text,
                    metadata=found.figures,
                )

    return check


def _look(inspection: Inspection, selected: dg.AssetCheckKey) -> Finding:
    """What cannot be looked at is not in order, and does not keep the other checks from being made."""
    try:
        return _LOOKS[selected.name](inspection, keys.table_of(selected.asset_key))
    except WarpError as error:
        return Finding(passed=False, text=mask(str(error)))
