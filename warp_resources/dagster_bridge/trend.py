"""Draws how many rows a table's last materializations wrote."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import dagster as dg

LENGTH = 30
_WIDTH, _HEIGHT, _GAP = 240, 48, 2
_BAR = "#4f43dd"


def trend(counts: Sequence[int]) -> dg.MarkdownMetadataValue:
    """A bar for each count, oldest first, as an image that needs no server."""
    image = base64.b64encode(_svg(counts).encode()).decode()
    label = f"rows written, last {len(counts)}: {', '.join(map(str, counts))}"
    return dg.MetadataValue.md(f"![{label}](data:image/svg+xml;base64,{image})")


def earlier_counts(instance: dg.DagsterInstance, key: dg.AssetKey, limit: int = LENGTH - 1) -> list[int]:
    """``rows_written`` of the latest materializations, oldest first."""
    records = instance.fetch_materializations(key, limit=limit).records
    counts = [_count(record.asset_materialization) for record in records]
    return [count for count in reversed(counts) if count is not None]


def _count(materialization: dg.AssetMaterialization | None) -> int | None:
    value = materialization.metadata.get("rows_written") if materialization else None
    return value.value if isinstance(value, dg.IntMetadataValue) else None


def _svg(counts: Sequence[int]) -> str:
    highest = max(counts, default=0) or 1
    step = _WIDTH / LENGTH
    bars = "".join(
        f'<rect x="{number * step:.1f}" y="{_HEIGHT - height:.1f}" width="{step - _GAP:.1f}" height="{height:.1f}"/>'
        for number, count in enumerate(counts)
        for height in [max(1.0, _HEIGHT * count / highest)]
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}"'
        f' viewBox="0 0 {_WIDTH} {_HEIGHT}" fill="{_BAR}">{bars}</svg>'
    )
