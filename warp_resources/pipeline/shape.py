"""Drops, hashes and masks fields of a batch, and of the records kept for it, before anything else sees them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from warp_resources.arrow.canonical import canonical_text
from warp_resources.arrow.lattice import NUMBERS, TEXT
from warp_resources.arrow.numbers import numbers_as_values
from warp_resources.arrow.rows import claims, first_valid
from warp_resources.errors import TableFailure
from warp_resources.model.batches import Discard, Flaw, Original, RawColumn, Replacements, TableBatch, Variant

DROP, HASH, MASK = "drop", "hash", "mask"
MASKED = "***"
_DIGEST = "^[0-9a-f]{64}$"

Redact: TypeAlias = Callable[[str, Original, Replacements], Original]
"""``Source.redact`` of a scope: takes the table's name, a record and what becomes of its fields."""


def withhold(table: str, original: Original, replacements: Replacements) -> Original:
    """A ``Redact`` for where no source is at hand: keeps the key of a record and nothing else."""
    return original.withheld()


def shaped(
    batch: TableBatch, actions: Mapping[str, str], redact: Redact = withhold, *, restored: bool = False
) -> TableBatch:
    """The batch with its fields dropped, hashed (SHA-256 of the canonical text) or masked, and that counted.

    The records that it gives for dead letters have the same done to them.

    Args:
        actions: ``drop``, ``hash`` or ``mask`` by field; others are passed over.
        restored: the rows come from dead letters, which are kept as they were shaped: what looks like a hash is
            not hashed again, and nothing is counted a second time.

    Raises:
        TableFailure: an action is on a key column.
    """
    wanted = {name: action for name, action in actions.items() if action in (DROP, HASH, MASK)}
    if not wanted:
        return batch
    _refuse_keys(batch, wanted)
    replacements = {name: _replacement(action, restored=restored) for name, action in wanted.items()}

    def redacted(original: Original) -> Original:
        return redact(batch.table.name, original, replacements)

    touched = [raw for raw in batch.columns if raw.name in wanted]
    return replace(
        batch,
        columns=tuple(
            _changed(raw, wanted.get(raw.name), restored=restored)
            for raw in batch.columns
            if wanted.get(raw.name) != DROP
        ),
        flaws=tuple(_without_values(flaw, redacted) for flaw in batch.flaws if flaw.column not in wanted),
        original=lambda row: redacted(batch.original(row)),
        discards=batch.discards if restored else (*batch.discards, *_counted(touched, wanted)),
    )


def _refuse_keys(batch: TableBatch, actions: Mapping[str, str]) -> None:
    for name in batch.key:
        if name in actions:
            raise TableFailure(
                f"A key column is to be changed by columns.{name}.action: {actions[name]}",
                remedy="Remove that action: rows, deletes and dead letters are found by their key",
                table=batch.table,
                column=name,
            )


def _changed(raw: RawColumn, action: str | None, *, restored: bool) -> RawColumn:
    if action is None or not raw.variants:
        return raw
    texts = first_valid([_text(variant) for variant in raw.variants])
    values = _masked(texts) if action == MASK else _hashed(texts, keeps_digests=restored)
    return RawColumn(raw.name, (Variant(TEXT, values),))


def _replacement(action: str, *, restored: bool) -> Callable[[RawColumn], str] | None:
    return None if action == DROP else partial(_one, action, restored)


def _one(action: str, restored: bool, column: RawColumn) -> str:
    text: str = _changed(column, action, restored=restored).variants[0].values[0].as_py()
    return text


def _text(variant: Variant) -> pa.Array:
    """Canonical text, the same for equal numbers of whatever type."""
    text = canonical_text(variant.values, variant.type)
    return numbers_as_values(text) if variant.type.kind in NUMBERS else text


def _hashed(texts: pa.Array, *, keeps_digests: bool) -> pa.Array:
    digests = [None if text is None else hashlib.sha256(text.encode()).hexdigest() for text in texts.to_pylist()]
    hashed = pa.array(digests, pa.string())
    return pc.if_else(claims(pc.match_substring_regex(texts, _DIGEST)), texts, hashed) if keeps_digests else hashed


def _masked(texts: pa.Array) -> pa.Array:
    return pc.if_else(texts.is_valid(), MASKED, None).cast(pa.string())


def _without_values(flaw: Flaw, redacted: Callable[[Original], Original]) -> Flaw:
    return replace(flaw, original=redacted(flaw.original))


def _counted(columns: list[RawColumn], actions: Mapping[str, str]) -> list[Discard]:
    counts = {
        raw.name: sum(len(variant.values) - variant.values.null_count for variant in raw.variants) for raw in columns
    }
    return [Discard(name, actions[name], count) for name, count in counts.items() if count]
