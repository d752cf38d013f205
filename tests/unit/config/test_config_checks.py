"""Combinations of settings that cannot work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.config.configurations import load, minimal, with_schema, with_table
from warp_resources.errors import ConfigurationError


def _schemas(*schemas: dict[str, Any], **changes: Any) -> dict[str, Any]:
    tree = minimal(schemas=list(schemas))
    tree["destination"] |= changes
    return tree


def _source_strategy(strategy: str, **schema: Any) -> dict[str, Any]:
    tree = with_schema(**schema)
    tree["source"]["change_detection"] = {"strategy": strategy}
    return tree


# SPEC: 2, M3
@pytest.mark.parametrize(
    ("tree", "says"),
    [
        (minimal(mode="single"), "single_schema_name: is required with mode: single; one of shop"),
        (
            minimal(mode="single", single_schema_name="shpo"),
            "found 'shpo', which is no configured schema; did you mean",
        ),
        (with_schema(schedule="@daily"), "schemas.shop.schedule: a schedule needs mode: batch"),
        (_schemas({"name": "a"}, {"name": "a"}), "schemas.a: two schemas have this name"),
        (with_schema(tables=[{"name": "u"}, {"name": "u"}]), "schemas.shop.tables.u: two tables have this name"),
        (with_schema(include=["a", "b"], exclude=["b"]), "table_whitelist: 'b' is both white- and blacklisted"),
        (with_table(partitions={"by": "time"}), "partitions.by: found 'time'; by: key is allowed with mode: stream"),
        (with_table(mode="batch", partitions={"by": "key"}), "found 'key'; by: time is allowed with mode: batch"),
        (with_schema(mode="batch", partitions={"by": "key"}), "schemas.shop.partitions.by: found 'key'"),
        (with_table(change_detection={"strategy": "timestamp"}), "found 'timestamp'; log is allowed with mode: stream"),
        (with_table(mode="batch", change_detection={"strategy": "log"}), "found 'log'; timestamp or hash is allowed"),
        (_source_strategy("timestamp"), "source.change_detection.strategy: found 'timestamp', which works in batch"),
        (_source_strategy("log", mode="batch"), "source.change_detection.strategy: found 'log', which works in stream"),
        (
            with_table(columns={"a": {"type": "decimel"}}),
            "columns.a.type: found 'decimel'; one of decimal(18,4), smallint",
        ),
        (with_table(columns={"a": {"type": "decimel"}}), "did you mean 'decimal'?"),
        (with_table(columns={"a": {"type": "decimal(4,5)"}}), "decimal(p,s) with p from 1 to 1000 and s from 0 to p"),
        (with_table(columns={"a": {}}), "columns.a: found a mapping; one of action, type and rename is required"),
        (with_table(columns={"a": {"action": "type"}}), "columns.a: found a mapping; action: type needs type: as well"),
        (with_table(columns={"a": {"action": "rename"}}), "action: rename needs rename: as well"),
        (with_table(columns={"a": {"action": "drop", "rename": "b"}}), "action: drop allows neither type nor rename"),
        (with_table(columns={"a": {"action": "hash", "type": "int"}}), "action: hash makes text, so only type: text"),
        (with_table(primary_key="a", columns={"a": {"action": "hash"}}), "columns.a: action: hash is not for a column"),
        (with_table(primary_key="a", columns={"a": {"type": "int"}}), "columns.a: a type is not for a column"),
        (
            with_table(columns={"a": {"rename": "c"}, "b": {"rename": "c"}}),
            "columns.b.rename: two columns are renamed to 'c'; one is allowed",
        ),
        (with_table(columns={"a": {"rename": "_warp_x"}}), "names that begin with _warp_ are the product's own"),
        (
            with_schema(mode="batch", contract={"new_tables": "freeze"}),
            "schemas.shop.contract.new_tables: found 'freeze', which needs mode: stream",
        ),
        (
            with_table(mode="batch", on_source_change="follow"),
            "tables.users.on_source_change: found 'follow', which needs mode: stream; a batch table keeps its rows",
        ),
        (
            with_schema(mode="batch", on_source_change="fail"),
            "schemas.shop.on_source_change: found 'fail', which needs",
        ),
        (with_schema(name="cartridge_warp_metadata"), "cartridge_warp_metadata is where the metadata is"),
        (_schemas({"name": "a"}, schema="cartridge_warp_metadata"), "destination.schema: cartridge_warp_metadata is"),
    ],
)
def test_impossible_combination_is_refused(tmp_path: Path, tree: Any, says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, tree)
    assert says in str(caught.value)


# SPEC: M2
@pytest.mark.parametrize(
    "tree",
    [
        minimal(mode="single", single_schema_name="shop"),
        minimal(mode="multi", single_schema_name="shop"),
        with_schema(mode="batch"),
        with_schema(mode="batch", schedule="*/15 * * * *"),
        with_schema(schedule="0 3 * * 1-5", tables={"users": {"mode": "batch"}}),
        with_schema(mode="batch", tables={"users": {"mode": "stream", "partitions": {"by": "key", "slices": 4}}}),
        with_schema(mode="batch", tables={"users": {"partitions": {"by": "time", "start": "2024-01-01"}}}),
        with_schema(include=["a*"], exclude=["ab"], tables={"users": None}),
        _source_strategy("timestamp", tables={"users": {"mode": "batch"}}),
        with_schema(mode="batch", contract={"new_tables": "evolve"}, on_source_change="keep"),
        with_schema(on_source_change="follow", tables={"users": {"mode": "batch"}}),
        with_schema(mode="batch", contract={"new_tables": "freeze"}, tables={"users": {"mode": "stream"}}),
    ],
)
def test_possible_combination_is_accepted(tmp_path: Path, tree: Any) -> None:
    load(tmp_path, tree)


@pytest.mark.parametrize(
    ("one", "other", "is_refused"),
    [
        ({}, {}, True),
        ({"include": ["users"]}, {}, True),
        ({"include": ["users"]}, {"exclude": ["users"]}, False),
        ({"include": ["users"]}, {"include": ["users", "orders"]}, True),
        ({"include": ["users"]}, {"include": ["orders"]}, False),
        ({"include": ["users"]}, {"include": ["u*"]}, True),
        ({"include": ["users"]}, {"include": ["u*"], "exclude": ["us*"]}, False),
        ({"include": ["shop_*"]}, {"include": ["crm_*"]}, False),
        ({"include": ["shop_*"]}, {"include": ["shop_?"]}, True),
        ({"include": ["*_a"]}, {"include": ["*_b"]}, False),
        ({"include": ["a[xy]"]}, {"include": ["*"]}, True),
    ],
)
def test_two_tables_never_land_in_one(
    tmp_path: Path, one: dict[str, Any], other: dict[str, Any], is_refused: bool
) -> None:
    tree = _schemas({"name": "one", **one}, {"name": "other", **other}, schema="landing")
    if not is_refused:
        load(tmp_path, tree)
        return
    with pytest.raises(ConfigurationError, match=r"destination\.schema: the schemas one and other both land"):
        load(tmp_path, tree)


def test_schemas_that_land_apart_may_have_the_same_tables(tmp_path: Path) -> None:
    load(tmp_path, _schemas({"name": "one"}, {"name": "other"}))
