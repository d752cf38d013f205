"""Business rules as a user writes them."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc


def total(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Adds ``total`` and leaves ``price`` out."""
    priced = batch.append_column("total", pc.multiply(batch.column("price"), batch.column("count")))
    return priced.drop_columns(["price"])


def fail(batch: pa.RecordBatch) -> pa.RecordBatch:
    raise KeyError(batch.column("name")[0].as_py())
