"""Reads the rows of some keys, and tells which keys a table does not have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc
import structlog
from google.cloud.bigquery import ArrayQueryParameter, SchemaField

from warp_resources.arrow.keys import compound, key_text
from warp_resources.arrow.numbers import integers_are_exact
from warp_resources.connectors.bigquery.catalog import Origin
from warp_resources.connectors.bigquery.decode import decoded, key_texts
from warp_resources.connectors.bigquery.fields import column_type, named
from warp_resources.connectors.bigquery.key_values import key_columns, keys_parameter
from warp_resources.connectors.bigquery.portions import portions
from warp_resources.connectors.bigquery.session import Session, quoted
from warp_resources.connectors.bigquery.storage import Storage
from warp_resources.connectors.bigquery.tick_cost import LookUpCost
from warp_resources.connectors.interfaces import ReadLimits
from warp_resources.model.batches import RawColumn, TableBatch, Variant
from warp_resources.model.tables import ColumnType, Kind

_ALL = ReadLimits(None, 2**62)

log = structlog.get_logger(__name__)


def read_keys(
    session: Session,
    storage: Storage,
    origin: Origin,
    keys: Sequence[str],
    max_bytes: int | None,
    *,
    extended: bool = False,
) -> TableBatch:
    """The present rows of some keys, and the others as deletes.

    First only the key columns are read, which tells what is gone; all columns only where a row is left.

    Raises:
        TableFailure: the look-up would read more than ``max_bytes``.
    """
    fields = [field for name in origin.key if (field := named(origin.fields, name)) is not None]
    columns = key_columns(keys, fields)
    asked = compound([key_text(its) for its in _variants(fields, columns)])
    once = _first_of_each(asked)
    asked, columns = asked.filter(once), [column.filter(once) for column in columns]
    look_up = _LookUp(session, storage, origin, fields, _parameters(asked.to_pylist(), fields, columns), max_bytes)
    present = decoded(origin.id, origin.key, fields, look_up.rows(fields))
    found = key_texts(origin.key, present.columns)
    if present.row_count:
        present = decoded(origin.id, origin.key, origin.fields, look_up.rows(origin.fields), extended=extended)
        found = key_texts(origin.key, present.columns)
    gone = pa.array([True] * len(asked), pa.bool_())
    if found is not None and len(found):
        gone = pc.invert(pc.is_in(asked, value_set=found))
    lost = [column.filter(gone) for column in columns]
    deletes = tuple(RawColumn(field.name, (its,)) for field, its in zip(fields, _variants(fields, lost), strict=True))
    return replace(present, deletes=deletes, delete_count=len(lost[0]))


@dataclass(frozen=True, slots=True)
class _LookUp:
    """Some keys of a table, as parameters of one query each."""

    session: Session
    storage: Storage
    origin: Origin
    key: Sequence[SchemaField]
    parameters: Sequence[ArrayQueryParameter]
    max_bytes: int | None

    def rows(self, wanted: Sequence[SchemaField]) -> pa.RecordBatch | None:
        """Some columns of the rows of the keys; None where there are none."""
        script = keyed_query(self.origin, self.key, wanted)
        limit = self._permitted(script)
        found = []
        for parameter in self.parameters:
            table = self.session.result_table(script, [parameter], kind="keys", max_bytes=limit)
            found.append(self.storage.begin(table).take(_ALL))
        taken = [rows for rows in found if rows is not None]
        return pa.concat_batches(taken) if taken else None

    def _permitted(self, script: str) -> int | None:
        """What BigQuery itself is to refuse to go beyond, once the estimate is within the limit."""
        origin, first = self.origin, self.key[0].name
        # Each portion reads as much, since the keys decide what is read only where the table is clustered by them.
        each = self.session.query_bytes(script, self.parameters[:1])
        # By one that is compared with values alone: BigQuery prunes by no condition within a subquery.
        is_clustered = len(self.key) == 1 and origin.clustered_by.casefold() == first.casefold()
        look_up_bytes = each * len(self.parameters)
        cost = LookUpCost(
            origin.id,
            first,
            look_up_bytes,
            origin.bytes,
            self.max_bytes,
            is_upper_bound=is_clustered,
            is_stored=origin.is_stored,
            only=len(self.key) == 1,
        )
        log.info(
            "look-up estimated",
            table=str(origin.id),
            look_up_bytes=cost.query_bytes,
            table_bytes=cost.table_bytes,
            queries=len(self.parameters),
            pruned_by="clustering" if is_clustered else "nothing",
        )
        cost.demand()
        return cost.billing_limit


def _parameters(
    keys: Sequence[str], fields: Sequence[SchemaField], columns: Sequence[pa.Array]
) -> list[ArrayQueryParameter]:
    """The keys in portions that one request has room for each."""
    sizes = [len(portion) for portion in portions(keys)]
    starts = [sum(sizes[:number]) for number in range(len(sizes))]
    return [
        keys_parameter("keys", fields, [column.slice(start, size) for column in columns])
        for start, size in zip(starts, sizes, strict=True)
    ]


def keyed_query(origin: Origin, key: Sequence[SchemaField], wanted: Sequence[SchemaField]) -> str:
    """The query for some columns of the rows whose keys are in the parameter ``keys``."""
    if len(key) == 1:
        condition = f"T.{quoted(key[0].name)} in unnest(@keys)"
    else:
        same = " and ".join(f"T.{quoted(field.name)} = K.k{number}" for number, field in enumerate(key))
        condition = f"exists (select 1 from unnest(@keys) as K where {same})"
    columns = ", ".join(f"T.{quoted(field.name)}" for field in wanted)
    return f"select {columns} from {origin.sql} as T where {condition}"


def _variants(fields: Sequence[SchemaField], columns: Sequence[pa.Array]) -> list[Variant]:
    return [Variant(_proved(column_type(field), values), values) for field, values in zip(fields, columns, strict=True)]


def _proved(its: ColumnType, values: pa.Array) -> ColumnType:
    return replace(its, exact=integers_are_exact(values)) if its.kind is Kind.INT64 else its


def _first_of_each(texts: pa.Array) -> pa.Array:
    """A mask of the first of each text: a key may be asked for twice."""
    first: dict[str, int] = {}
    for row, text in enumerate(texts.to_pylist()):
        first.setdefault(text, row)
    kept = set(first.values())
    return pa.array([row in kept for row in range(len(texts))], pa.bool_())
