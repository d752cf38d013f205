"""The bytes of a binary COPY, pinned so that another version of the encoder cannot change them unseen."""

from __future__ import annotations

import struct

import pyarrow as pa
import pytest

from warp_resources.connectors.postgresql import load
from warp_resources.connectors.postgresql.types import is_straight, staging_type, stored_type
from warp_resources.model.tables import ColumnType, Kind

HEADER = b"PGCOPY\n\xff\r\n\x00" + struct.pack(">ii", 0, 0)
END = struct.pack(">h", -1)


def field(value: bytes | None) -> bytes:
    return struct.pack(">i", -1) if value is None else struct.pack(">i", len(value)) + value


@pytest.mark.parametrize(
    ("array", "name", "value"),
    [
        (pa.array([True]), "boolean", b"\x01"),
        (pa.array([-2], pa.int16()), "smallint", struct.pack(">h", -2)),
        (pa.array([-2], pa.int32()), "integer", struct.pack(">i", -2)),
        (pa.array([-2], pa.int64()), "bigint", struct.pack(">q", -2)),
        (pa.array([0.1], pa.float32()), "real", struct.pack(">f", 0.1)),
        (pa.array([0.1], pa.float64()), "double precision", struct.pack(">d", 0.1)),
        (pa.array(["é"]), "text", "é".encode()),
        (pa.array([b"\x00\xff"]), "bytea", b"\x00\xff"),
        (pa.array([bytes(range(16))], pa.binary(16)), "uuid", bytes(range(16))),
        (pa.array(["{}"]), "jsonb", b"\x01{}"),
        (pa.array([0], pa.date32()), "date", struct.pack(">i", -10957)),
        (pa.array([1], pa.time64("us")), "time without time zone", struct.pack(">q", 1)),
        (
            pa.array([1], pa.timestamp("ms", "UTC")),
            "timestamp with time zone",
            struct.pack(">q", 1000 - 946_684_800_000_000),
        ),
        (
            pa.array([1], pa.timestamp("us")),
            "timestamp without time zone",
            struct.pack(">q", 1 - 946_684_800_000_000),
        ),
        (pa.array([None], pa.string()), "jsonb", None),
    ],
    ids=str,
)
def test_bytes(array: pa.Array, name: str, value: bytes | None) -> None:
    rows = pa.RecordBatch.from_arrays([array], names=["any"])
    assert b"".join(load.encoded(rows, [name])) == HEADER + struct.pack(">h", 1) + field(value) + END


def test_pieces_are_one_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = pa.RecordBatch.from_arrays([pa.array(range(1000), pa.int64())], names=["n"])
    whole = b"".join(load.encoded(rows, ["bigint"]))
    monkeypatch.setattr(load, "_SLICE_BYTES", 1000)
    pieces = list(load.encoded(rows, ["bigint"]))
    assert len(pieces) > 8
    assert b"".join(pieces) == whole


def test_no_rows_are_an_empty_stream() -> None:
    rows = pa.RecordBatch.from_arrays([pa.array([], pa.int64())], names=["n"])
    assert b"".join(load.encoded(rows, ["bigint"])) == HEADER + END


@pytest.mark.parametrize("kind", list(Kind))
def test_only_numeric_needs_a_cast(kind: Kind) -> None:
    column = ColumnType(kind)
    assert is_straight(column) == (kind is not Kind.NUMERIC)
    assert staging_type(column) == ("text" if kind is Kind.NUMERIC else stored_type(column))


def test_declared_limits_are_kept() -> None:
    assert stored_type(ColumnType(Kind.NUMERIC, precision=18, scale=4)) == "numeric(18,4)"
    assert stored_type(ColumnType(Kind.NUMERIC)) == "numeric"
