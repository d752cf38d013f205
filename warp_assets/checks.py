"""Makes the checks of every table: rows on both sides, the stream's lag, and dead letters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import dagster as dg

from warp_assets.inspection import Inspection
from warp_assets.judging import Finding
from warp_resources.config import WarpConfig
from warp_resources.dagster_bridge import keys
from warp_resources.dagster_bridge.catalog import Table
from warp_resources.errors import WarpError
from warp_resources.masking import mask
from warp_resources.model.tables import TableId

_DESCRIPTIONS = {
    "rows_match": "The source and the destination have the same rows, by their values. The whole table is read. What"
    " changes meanwhile is read again, and what a stream has yet to bring is no difference. Of a table that is synced"
    " by a marker column, only rows that are missing or different count, since such a column shows no deletes.",
    "lag": "What the source has now arrives within monitoring.lag_warning; of a batch table: its last scheduled sync"
    " succeeded.",
    "dead_letters": "No value or row of the table is set aside. The job dead_letters_<schema> lists what is, with what"
    " to do about it, and replays or discards it.",
}
_LOOKS: Mapping[str, Callable[[Inspection, TableId], Finding]] = {
    "rows_match": Inspection.rows_match,
    "lag": Inspection.lag,
    "dead_letters": Inspection.dead_letters,
}


def table_checks(config: WarpConfig, schema: str, tables: Sequence[Table]) -> dg.AssetChecksDefinition:
    """``rows_match``, ``lag`` and ``dead_letters`` of each table of a schema, each of which can be run alone."""
    assets = {keys.dagster_name(table.name): keys.asset_key(table.settings.table) for table in tables}
    specs = {
        f"{output}__{name}": dg.AssetCheckSpec(name, asset=asset, description=description)
        for output, asset in assets.items()
        for name, description in _DESCRIPTIONS.items()
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
