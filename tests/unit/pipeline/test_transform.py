"""Business rules see a batch as Arrow columns and give one back; what else they do is refused by name."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from warp_resources import WarpConfig
from warp_resources.connectors.memory.columns import raw_columns
from warp_resources.errors import ConfigurationError, TableFailure
from warp_resources.model.batches import RawColumn, TableBatch
from warp_resources.model.tables import Kind, TableId
from warp_resources.pipeline.preparation import check_transforms
from warp_resources.pipeline.transform import load_transform, transformed

PATH = "business_rules:clean"
Install = Callable[[Callable[[pa.RecordBatch], Any]], None]


@pytest.fixture
def install() -> Iterator[Install]:
    module = ModuleType("business_rules")

    def put(function: Callable[[pa.RecordBatch], Any]) -> None:
        load_transform.cache_clear()
        module.clean = function  # type: ignore[attr-defined]

    sys.modules["business_rules"] = module
    yield put
    del sys.modules["business_rules"]
    load_transform.cache_clear()


def batch(*rows: dict[str, Any]) -> TableBatch:
    whole = [{"id": number, **row} for number, row in enumerate(rows)]
    return TableBatch(TableId("shop", "users"), ("id",), raw_columns(whole), len(whole), delete_count=1)


def column(found: TableBatch, name: str) -> RawColumn:
    [its] = [raw for raw in found.columns if raw.name == name]
    return its


def test_rules_change_add_rename_and_remove_columns(install: Install) -> None:
    def clean(given: pa.RecordBatch) -> pa.RecordBatch:
        names = given.column("name")
        return (
            given.set_column(given.schema.get_field_index("name"), "name", pc.utf8_upper(names))
            .append_column("length", pc.utf8_length(names))
            .drop_columns(["secret"])
            .rename_columns({"old": "new"})
        )

    install(clean)
    found = transformed(batch({"name": "Ann", "secret": 1, "old": 2.5}, {"name": None, "old": 1.0}), PATH)
    assert [raw.name for raw in found.columns] == ["id", "name", "new", "length"]
    assert column(found, "name").variants[0].values.to_pylist() == ["ANN", None]
    assert column(found, "new").variants[0].type.kind is Kind.DOUBLE
    assert column(found, "length").variants[0].type.kind is Kind.INT32
    assert found.delete_count == 1


def test_rules_are_told_what_strings_hold_and_untouched_columns_keep_their_types(install: Install) -> None:
    seen: dict[str, tuple[pa.DataType, str]] = {}

    def clean(given: pa.RecordBatch) -> pa.RecordBatch:
        seen.update(
            {field.name: (field.type, (field.metadata or {}).get(b"warp:kind", b"").decode()) for field in given.schema}
        )
        return given

    install(clean)
    rows = batch({"j": {"a": 1}, "n": Decimal("1.10"), "m": 1, "z": float("nan"), "e": None}, {"m": "one"})
    found = transformed(rows, PATH)
    assert found.columns == rows.columns
    assert all(new is old for new, old in zip(found.columns, rows.columns, strict=True))
    assert seen["j"] == (pa.string(), "json")
    assert seen["n"] == (pa.string(), "numeric")
    assert seen["m"] == (pa.string(), "text")
    assert seen["e"] == (pa.null(), "")


@pytest.mark.parametrize(
    ("array", "kind", "value"),
    [
        (pa.array([1], pa.int8()), Kind.INT16, 1),
        (pa.array([255], pa.uint8()), Kind.INT16, 255),
        (pa.array([2**64 - 1], pa.uint64()), Kind.NUMERIC, str(2**64 - 1)),
        (pa.array([1.5], pa.float32()), Kind.FLOAT32, 1.5),
        (pa.array([np.float16(0.5)]), Kind.FLOAT32, 0.5),
        (pa.array([Decimal("1.10")]), Kind.NUMERIC, "1.10"),
        (pa.array([Decimal("1.10")], pa.decimal256(50, 2)), Kind.NUMERIC, "1.10"),
        (pa.array(["x"], pa.large_string()), Kind.TEXT, "x"),
        (pa.array(["x"]).dictionary_encode(), Kind.TEXT, "x"),
        (pa.array([b"x"], pa.large_binary()), Kind.BINARY, b"x"),
        (pa.array([True]), Kind.BOOL, True),
        (pa.array([date(2024, 1, 2)], pa.date64()), Kind.DATE, date(2024, 1, 2)),
        (
            pa.array([1], pa.timestamp("s", "Europe/Berlin")),
            Kind.TIMESTAMP_TZ,
            datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
        ),
        (pa.array([1000], pa.timestamp("ns")), Kind.TIMESTAMP, datetime(1970, 1, 1, 0, 0, 0, 1)),
        (pa.array([1], pa.time32("s")), Kind.TIME, (datetime(1, 1, 1) + timedelta(seconds=1)).time()),
        (pa.array([[1, None, float("nan")]]), Kind.JSON, '[1,null,"NaN"]'),
        (pa.array([{"a": Decimal("1.0"), "b": b"x"}]), Kind.JSON, '{"a":1.0,"b":"eA=="}'),
        (pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())), Kind.JSON, '{"k":1}'),
    ],
    ids=lambda value: str(getattr(value, "type", value)),
)
def test_any_arrow_type_finds_its_column_type(install: Install, array: pa.Array, kind: Kind, value: Any) -> None:
    install(lambda given: given.append_column("made", array))
    [variant] = column(transformed(batch({}), PATH), "made").variants
    assert variant.type.kind is kind
    assert variant.values[0].as_py() == value


def test_a_column_under_another_name_keeps_the_types_that_the_source_gave_it(install: Install) -> None:
    # SPEC: E8
    rows = batch({"v": 1}, {"v": "one"}, {"v": {"a": 1}}, {"v": -0.0}, {"v": Decimal("1.10")})
    names = ["id", "w"]
    install(lambda given: pa.RecordBatch.from_arrays(given.columns, names=names))
    assert column(transformed(rows, PATH), "w").variants == column(rows, "v").variants


def _keyless(given: pa.RecordBatch) -> pa.RecordBatch:
    return given.drop_columns(["id"])


def _made(values: pa.Array, name: str = "made") -> Callable[[pa.RecordBatch], pa.RecordBatch]:
    return lambda given: given.append_column(name, values)


def _raising(given: pa.RecordBatch) -> pa.RecordBatch:
    raise KeyError("s3cr3t")


def _exiting(given: pa.RecordBatch) -> pa.RecordBatch:
    sys.exit(0)


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        (_exiting, "The transform business_rules:clean raised SystemExit"),
        (_raising, "The transform business_rules:clean raised KeyError"),
        (lambda given: None, "returned a NoneType"),
        (lambda given: pa.Table.from_batches([given]), "returned a Table"),
        (lambda given: given.slice(0, 1), "returned 1 rows for 2"),
        (_keyless, "changed the key column id"),
        (lambda given: given.take([1, 0]), "changed the key column id"),
        (lambda given: given.set_column(0, "id", given.column("id").cast(pa.string())), "changed the key column id"),
        (_made(pa.array([1, 2]), "name"), "returned two columns of one name"),
        (_made(pa.array([1, 2]), "a\0b"), "a column with a NUL in its name"),
        (_made(pa.array([b"\xff", b"\xff"]).view(pa.string())), "column made with values that its Arrow type cannot"),
        (_made(pa.array([-5, 0]).view(pa.time64("us"))), "column made with values that its Arrow type cannot have"),
        (_made(pa.array([1, 2], pa.duration("s"))), "column made of the type duration[s]"),
        (_made(pa.array([1, 2], pa.timestamp("ns"))), "finer than a microsecond"),
        (lambda given: given.set_column(2, "meta", pa.array(["{", "{}"])), "column meta with a text that is no JSON"),
        (lambda given: given.set_column(2, "meta", pa.array(["NaN", "{}"])), "column meta with a text that is no JSON"),
        (
            lambda given: given.set_column(3, "price", pa.array(["1.0", "x"])),
            "column price with a text that is no numb",
        ),
    ],
)
def test_what_rules_may_not_do(install: Install, rules: Callable[[pa.RecordBatch], Any], says: str) -> None:
    install(rules)
    rows = {"name": "s3cr3t", "meta": {"a": "s3cr3t"}, "price": Decimal("1.0")}
    with pytest.raises(TableFailure) as caught:
        transformed(batch(rows, rows), PATH)
    assert says in str(caught.value)
    assert "s3cr3t" not in str(caught.value)
    assert caught.value.facts["table"] == TableId("shop", "users")


def test_text_may_take_the_place_of_json_when_it_says_so(install: Install) -> None:
    text = pa.field("meta", pa.string(), metadata={"warp:kind": "text"})
    install(lambda given: given.set_column(1, text, pa.array(["plain"])))
    assert column(transformed(batch({"meta": {}}), PATH), "meta").variants[0].type.kind is Kind.TEXT


def test_batches_without_rows_and_tables_without_rules_pass_by(install: Install) -> None:
    install(_raising)
    rows, empty = batch({}), batch()
    assert transformed(rows, None) is rows
    assert transformed(empty, PATH) is empty


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("no_such_module_at_all:clean", "cannot be imported: ModuleNotFoundError"),
        ("json:no_such_function", "names no function"),
    ],
)
def test_rules_that_are_not_there(path: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        load_transform(path)


def test_rules_are_looked_for_when_the_configuration_is_checked() -> None:
    # SPEC: 2
    table = {"name": "users", "transform": "no_such_module_at_all:clean"}
    content = {
        "source": {"type": "memory"},
        "destination": {"type": "memory"},
        "schemas": [{"name": "shop", "tables": [table]}],
    }
    with pytest.raises(ConfigurationError, match="cannot be imported"):
        check_transforms(WarpConfig.model_validate(content), "shop")
    check_transforms(WarpConfig.model_validate(content | {"schemas": [{"name": "shop"}]}), "shop")
