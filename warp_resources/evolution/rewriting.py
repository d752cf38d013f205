"""Turns a type change that would rewrite a table into one that goes on beside the table's use."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import replace

from warp_resources.evolution.names import OWN_PREFIX
from warp_resources.model.batches import ConformedTable
from warp_resources.model.tables import ChangeKind, Column, Former, Rewrite, SchemaChange, TableSchema

_DIGEST_DIGITS = 12


def begin_rewrites(table: ConformedTable, columns: Collection[str]) -> ConformedTable:
    """The same part of a commit, with the type changes of these columns (source names) begun and not made.

    The rows stay as they are: in the new types, under the columns' stored names.
    """
    begun: dict[str, Column] = {}
    changes = []
    for change in table.changes:
        before, after = change.before, change.after
        if change.kind is ChangeKind.ALTER_TYPE and before and after and after.name in columns:
            after = replace(after, rewrite=_rewrite(before, table.schema.version))
            begun[after.name] = after
            change = replace(change, kind=ChangeKind.BEGIN_REWRITE, after=after)
        changes.append(change)
    schema = table.schema.with_columns(tuple(begun.get(its.name, its) for its in table.schema.columns))
    return replace(table, schema=schema, changes=tuple(changes))


def end_rewrites(schema: TableSchema) -> tuple[TableSchema, tuple[SchemaChange, ...]]:
    """The next version, in which every rewritten column is what it was to become."""
    columns = tuple(replace(column, rewrite=None) for column in schema.columns)
    changes = tuple(
        SchemaChange(ChangeKind.END_REWRITE, after=after, before=before, reason="every row is rewritten")
        for before, after in zip(schema.columns, columns, strict=True)
        if before.rewrite is not None
    )
    return replace(schema, columns=columns, version=schema.version + 1), changes


def _rewrite(before: Column, version: int) -> Rewrite:
    known = before.rewrite
    former = Former(before.stored if known is None else known.stored, before.type)
    seed = f"{before.stored}\0{version}"
    digest = hashlib.sha256(seed.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_DIGITS]
    return Rewrite(f"{OWN_PREFIX}new_{digest}", (former, *(known.formers if known else ())))
