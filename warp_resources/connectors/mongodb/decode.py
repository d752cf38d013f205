"""Decodes raw documents into a batch of columns: exactly, or else with a flaw that says what is not."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import bson
import numpy as np
import pyarrow.compute as pc
from bson.errors import InvalidBSON

from warp_resources.arrow.keys import key_texts
from warp_resources.connectors.mongodb.codec import CODEC
from warp_resources.connectors.mongodb.columns import (
    Field,
    column_of,
    concatenate,
    extended_column_of,
    transpose,
)
from warp_resources.connectors.mongodb.json_text import has_negative_zero
from warp_resources.connectors.mongodb.originals import original
from warp_resources.connectors.mongodb.proof import encoded_size
from warp_resources.connectors.mongodb.raw import KEY, MalformedDocument, has_duplicate_fields, key_of
from warp_resources.connectors.mongodb.uniform import decode_uniform
from warp_resources.model.batches import Flaw, Original, RawColumn, TableBatch
from warp_resources.model.tables import Kind, TableId

_LENIENT = CODEC.with_options(unicode_decode_error_handler="replace")
_NEGATIVE_ZERO = r"[\[:,] ?-0(\.0+)?[,\]}]"
_PART_ROWS, _PART_BYTES = 2_000, 250_000
# Fewer rows cost less one by one; more layouts than these are left to that way too.
_WORTHWHILE_ROWS, _LAYOUTS = 200, 12


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a document, or what it has in a column, is not exact."""

    raw: bytes
    reason: str
    column: str | None = None

    def flaw(self) -> Flaw:
        return Flaw(original(self.raw), self.reason, self.column, key_text(self.raw))


@dataclass(frozen=True, slots=True)
class Decoded:
    """Columns of the documents that are exact, those documents, and the faults found."""

    columns: tuple[RawColumn, ...]
    raw: list[bytes]
    faults: list[Fault]


def decode(
    table: TableId,
    documents: Sequence[bytes],
    deletes: tuple[RawColumn, ...] = (),
    delete_count: int = 0,
    flaws: Sequence[Flaw] = (),
    *,
    extended: bool = False,
) -> TableBatch:
    """A batch of raw documents, each of which has another key, of keys deleted and of ``flaws``.

    A document with a field name twice or with invalid UTF-8 becomes a flaw and is not among the
    rows; a negative zero within JSON is a flaw of its column, and the row stays. ``extended``: nested values
    become relaxed extended JSON.
    """
    decoded = _decode(documents, extended=extended)

    def original_of(row: int) -> Original:
        return original(decoded.raw[row])

    return TableBatch(
        table,
        (KEY,),
        decoded.columns,
        len(decoded.raw),
        deletes,
        delete_count,
        (*flaws, *(fault.flaw() for fault in decoded.faults)),
        original_of,
        sum(map(len, documents)),
    )


def decode_keys(keys: Sequence[bytes]) -> tuple[tuple[RawColumn, ...], int]:
    """Columns of keys, each given as a document ``{"_id": ...}``, and their count.

    A key that cannot be decoded is left out: its row never was in the destination.
    """
    return decode_fields(keys)


def decode_fields(documents: Sequence[bytes], *, extended: bool = False) -> tuple[tuple[RawColumn, ...], int]:
    """Columns of the documents that can be decoded, and their count."""
    decoded = _decode(documents, extended=extended)
    return decoded.columns, len(decoded.raw)


def key_text(raw: bytes) -> str | None:
    """A document's key as ``arrow.keys`` spells it, None where it cannot be read."""
    try:
        key = key_of(raw)
        columns, count = decode_keys([key.named(KEY)]) if key else ((), 0)
    except MalformedDocument:
        return None
    return key_texts(columns[0].variants, 1)[0].as_py() if count else None


def _decode(documents: Sequence[bytes], *, extended: bool = False) -> Decoded:
    with _collector_off():
        parts = list(_extended_parts(documents) if extended else _decoded_parts(documents))
    columns = concatenate([(part.columns, len(part.raw)) for part in parts]) if parts else ()
    return Decoded(
        columns, [raw for part in parts for raw in part.raw], [fault for part in parts for fault in part.faults]
    )


def _decoded_parts(documents: Sequence[bytes]) -> Iterator[Decoded]:
    """Documents that share a layout all at once, the others one by one."""
    rest, odd = documents, []
    for _ in range(_LAYOUTS):
        if len(rest) < _WORTHWHILE_ROWS:
            break
        uniform = decode_uniform(rest)
        if uniform is None:
            odd.append(rest[0])
            rest = rest[1:]
            continue
        raw = list(map(rest.__getitem__, uniform.rows.tolist()))
        yield Decoded(uniform.columns, raw, list(_negative_zeros(uniform.columns, raw)))
        others = np.ones(len(rest), np.bool_)
        others[uniform.rows] = False
        rest = list(map(rest.__getitem__, np.flatnonzero(others).tolist()))
    for part in _parts([*odd, *rest]):
        yield _decode_part(part)


def _extended_parts(documents: Sequence[bytes]) -> Iterator[Decoded]:
    for part in _parts(documents):
        yield _decode_part(part, extended_column_of)


def _decode_part(raw: list[bytes], as_column: Callable[[Field], RawColumn] = column_of) -> Decoded:
    documents, raw, faults = _readable(raw)
    transposed = transpose(documents)
    if encoded_size(transposed) != sum(map(len, raw)):
        doubled = list(map(has_duplicate_fields, raw))
        faults += [Fault(part, "duplicate_field") for part, is_doubled in zip(raw, doubled, strict=True) if is_doubled]
        documents = [document for document, is_doubled in zip(documents, doubled, strict=True) if not is_doubled]
        raw = [part for part, is_doubled in zip(raw, doubled, strict=True) if not is_doubled]
        transposed = transpose(documents)
    columns = tuple(map(as_column, transposed.fields))
    return Decoded(columns, raw, [*faults, *_negative_zeros(columns, raw)])


def _readable(raw: list[bytes]) -> tuple[list[dict[str, Any]], list[bytes], list[Fault]]:
    try:
        return bson.decode_all(b"".join(raw), CODEC), raw, []
    except (InvalidBSON, UnicodeDecodeError):
        pass
    documents, kept, faults = [], [], []
    for part in raw:
        try:
            documents.append(bson.decode(part, CODEC))
            kept.append(part)
        except (InvalidBSON, UnicodeDecodeError):
            faults.append(Fault(part, "invalid_utf8" if _is_readable_otherwise(part) else "undecodable"))
    return documents, kept, faults


def _is_readable_otherwise(raw: bytes) -> bool:
    try:
        bson.decode(raw, _LENIENT)
    except InvalidBSON:
        return False
    return True


def _negative_zeros(columns: Sequence[RawColumn], raw: list[bytes]) -> Iterator[Fault]:
    for column in columns:
        for variant in column.variants:
            if variant.type.kind is Kind.JSON:
                suspects = pc.indices_nonzero(pc.match_substring_regex(variant.values, _NEGATIVE_ZERO)).to_pylist()
                for row in suspects:
                    if has_negative_zero(variant.values[row].as_py()):
                        yield Fault(raw[row], "negative_zero", column.name)


def _parts(documents: Sequence[bytes]) -> Iterator[list[bytes]]:
    # Small parts stay in the processor's cache, and so does the garbage they leave.
    part: list[bytes] = []
    size = 0
    for raw in documents:
        part.append(raw)
        size += len(raw)
        if len(part) == _PART_ROWS or size >= _PART_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


@contextmanager
def _collector_off() -> Iterator[None]:
    # Thousands of fresh dicts make the collector run in vain, at half of the decoder's time.
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
