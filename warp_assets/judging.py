"""Says of what a check has found whether it is in order."""

from __future__ import annotations

from dataclasses import dataclass, field

from warp_resources.model.verifications import Verification
from warp_resources.pipeline.engine import STREAM, Unit
from warp_resources.pipeline.hash_tick import HASH

SHOWN_KEYS = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: whether all is in order, one sentence, and the figures behind it."""

    passed: bool
    text: str
    figures: dict[str, float | int | str] = field(default_factory=dict)
    is_severe: bool = False


def judged(found: Verification, unit: Unit, under_way: str | None) -> Finding:
    """Whether a verification shows that a table is as it should be.

    A marker column shows no deletes, so that rows too many are in order in a table that is synced by one.

    Args:
        under_way: why the stream of the table may not bring what is new; None where it does.
    """
    if found.note:
        return Finding(True, f"Nothing was compared: {found.note}.")
    is_streamed = unit.mode == STREAM
    shows_deletes = is_streamed or unit.settings(found.table.name).strategy == HASH
    text = f"{found.rows:,} rows in the source, {found.matched:,} of them the same in the destination"
    figures = _figures(found)
    if found.missing or found.different or (found.surplus and shows_deletes):
        wrong = f"{found.missing:,} missing, {found.different:,} different, {found.surplus:,} too many"
        mended = f"cartridge-warp verify --table {found.table} --repair mends them"
        if not is_streamed:
            mended = "the next sync brings what is new"
        return Finding(False, f"{text}; {wrong}; {mended}.", figures, is_severe=is_streamed)
    if found.late:
        why = under_way or "the stream does not keep up"
        return Finding(False, f"{text}; {found.late:,} have changed since and are not here yet: {why}.", figures)
    return Finding(True, f"{text}.", figures)


def _figures(found: Verification) -> dict[str, float | int | str]:
    names = ("rows", "matched", "missing", "different", "surplus", "set_aside", "late", "moving")
    figures: dict[str, float | int | str] = {name: getattr(found, name) for name in names}
    if found.keys:
        figures["differing_keys"] = "\n".join(f"{its.kind}: {its.primary_key}" for its in found.keys[:SHOWN_KEYS])
    return figures
