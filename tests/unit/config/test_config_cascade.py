"""Which setting wins, and where it came from."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.unit.config.configurations import load, minimal, with_schema
from warp_resources.config import PartitionSettings, effective, explain, schema_settings, served_schemas
from warp_resources.errors import ConfigurationError
from warp_resources.model.tables import TableId


def _config(root: dict[str, Any], schema: dict[str, Any], table: dict[str, Any]) -> dict[str, Any]:
    return {**with_schema(**schema, tables={"users": table}), **root}


# SPEC: C1, C3
@pytest.mark.parametrize(
    ("root", "schema", "table", "stream", "write", "full"),
    [
        ({}, {}, {}, None, None, None),
        ({"performance": {"stream_batch_size": 1000, "write_batch_size": 7}}, {}, {}, 1000, 7, None),
        ({"performance": {"full_load_batch_size": 9}}, {}, {}, None, None, 9),
        ({}, {"default_batch_size": 5}, {}, 5, 5, None),
        ({}, {"batch_size": 5}, {}, 5, 5, None),
        ({"performance": {"write_batch_size": 7}}, {"default_batch_size": 5}, {}, 5, 5, None),
        ({}, {"default_batch_size": 5, "write_batch_size": 6}, {}, 5, 6, None),
        ({}, {"write_batch_size": 6}, {"batch_size": 4}, 4, 4, None),
        ({}, {}, {"batch_size": 4, "write_batch_size": 3}, 4, 3, None),
        ({}, {"full_load_batch_size": 2}, {"full_load_batch_size": 1}, None, None, 1),
        ({}, {"default_batch_size": 5}, {"batch_size": None}, 5, 5, None),
    ],
)
def test_nearest_batch_size_wins(
    tmp_path: Path, root: Any, schema: Any, table: Any, stream: int | None, write: int | None, full: int | None
) -> None:
    found = effective(load(tmp_path, _config(root, schema, table)), "shop", "users")
    assert (found.stream_batch_size, found.write_batch_size, found.full_load_batch_size) == (stream, write, full)


def test_destination_batch_size_bounds_writes_below_performance(tmp_path: Path) -> None:
    tree = minimal()
    tree["destination"]["batch_size"] = 8
    assert effective(load(tmp_path, tree), "shop", "users").write_batch_size == 8
    tree["performance"] = {"write_batch_size": 9}
    assert effective(load(tmp_path, tree), "shop", "users").write_batch_size == 9


@pytest.mark.parametrize(
    ("setting", "root", "schema", "table"),
    [
        (
            "polling_interval",
            {"performance": {"polling_interval": "1s"}},
            {"polling_interval": 2},
            {"polling_interval": 3},
        ),
        ("soft_delete_column", {"soft_delete_column": "1"}, {"soft_delete_column": "2"}, {"soft_delete_column": "3"}),
    ],
)
def test_nearest_level_wins(tmp_path: Path, setting: str, root: Any, schema: Any, table: Any) -> None:
    expected = [timedelta(seconds=count) for count in (3, 2, 1)] if setting == "polling_interval" else ["3", "2", "1"]
    for levels, value in zip([(root, schema, table), (root, schema, {}), (root, {}, {})], expected, strict=True):
        assert getattr(effective(load(tmp_path, _config(*levels)), "shop", "users"), setting) == value


def test_change_detection_cascades_key_by_key(tmp_path: Path) -> None:
    tree = _config(
        {
            "source": {
                "type": "mongodb",
                "timezone": "Asia/Tokyo",
                "change_detection": {"column": "a", "lookback": "1m"},
            }
        },
        {"mode": "batch", "change_detection": {"column": "b"}},
        {"change_detection": {"lookback": "2m"}},
    )
    found = effective(load(tmp_path, tree), "shop", "users")
    assert (found.strategy, found.marker_column, found.lookback) == ("timestamp", "b", timedelta(minutes=2))
    assert found.marker_timezone == "Asia/Tokyo"


# SPEC: M2, D7
@pytest.mark.parametrize(
    ("schema", "table", "mode", "strategy", "partitions"),
    [
        ({}, {}, "stream", "log", PartitionSettings("key", slices=8)),
        ({"mode": "batch"}, {}, "batch", "timestamp", PartitionSettings("time", "day", "updated_at")),
        ({"mode": "batch"}, {"mode": "stream"}, "stream", "log", PartitionSettings("key", slices=8)),
        ({"partitions": {"by": "key", "slices": 4}}, {}, "stream", "log", PartitionSettings("key", slices=4)),
        (
            {"partitions": {"by": "key", "slices": 4}},
            {"mode": "batch", "change_detection": {"column": "seen"}},
            "batch",
            "timestamp",
            PartitionSettings("time", "day", "seen"),
        ),
        (
            {"mode": "batch"},
            {"partitions": {"by": "time", "every": "month", "column": "made", "start": "2024-01-01"}},
            "batch",
            "timestamp",
            PartitionSettings("time", "month", "made", date(2024, 1, 1)),
        ),
    ],
)
def test_mode_decides_strategy_and_partitions(
    tmp_path: Path, schema: Any, table: Any, mode: str, strategy: str, partitions: PartitionSettings
) -> None:
    found = effective(load(tmp_path, _config({}, schema, table)), "shop", "users")
    assert (found.mode, found.strategy, found.partitions) == (mode, strategy, partitions)


def test_strategy_of_the_source_holds_where_it_fits(tmp_path: Path) -> None:
    tree = with_schema(tables={"users": {"mode": "batch"}})
    tree["source"]["change_detection_strategy"] = "change_stream"
    config = load(tmp_path, tree)
    assert effective(config, "shop", "users").strategy == "timestamp"
    assert effective(config, "shop", "orders").strategy == "log"


def test_table_that_is_not_configured_has_its_schemas_settings(tmp_path: Path) -> None:
    tree = _config({"error_handling": {"dead_letter_queue": False}}, {"owners": ["team:a"]}, {"primary_key": "id"})
    config = load(tmp_path, tree)
    found = effective(config, "shop", "later")
    assert found.table == TableId("shop", "later")
    assert (found.primary_key, found.owners, found.dead_letter_queue) == (None, ("team:a",), False)
    assert found.destination_schema == "shop"
    assert effective(config, "shop", "users").primary_key == ("id",)


def test_unknown_schema_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"No schema is called 'x'\. Configured: shop"):
        effective(load(tmp_path, minimal()), "x", "users")


def test_schema_settings(tmp_path: Path) -> None:
    tree = with_schema(include="u*", exclude=["uv"], tables={"users": {}, "orders": {}})
    tree["source"]["database"] = "db"
    tree["destination"]["schema"] = "landing"
    found = schema_settings(load(tmp_path, tree), "shop")
    assert (found.database, found.include, found.exclude) == ("db", ("u*",), ("uv",))
    assert (found.destination_schema, found.tables) == ("landing", ("users", "orders"))
    assert schema_settings(load(tmp_path, minimal()), "shop").database == "shop"


# SPEC: M3
def test_single_mode_serves_one_schema(tmp_path: Path) -> None:
    schemas = [{"name": "a"}, {"name": "b"}]
    assert served_schemas(load(tmp_path, minimal(schemas=schemas))) == ("a", "b")
    tree = minimal(schemas=schemas, mode="single", single_schema_name="b")
    assert served_schemas(load(tmp_path, tree)) == ("b",)


# SPEC: C1
def test_explain_names_layer_and_level(tmp_path: Path) -> None:
    tree = _config({"performance": {"polling_interval": 9}}, {"default_batch_size": 5}, {})
    environ = {"CARTRIDGE_WARP_SCHEMAS__SHOP__TABLES__USERS__WRITE_BATCH_SIZE": "6"}
    config = load(tmp_path, tree, environ, {"source.timezone": "Asia/Tokyo"})
    lines = {line.key: (line.value, line.layer) for line in explain(config, "shop", "users")}
    assert lines["write_batch_size"] == ("6", "environment (table)")
    assert lines["stream_batch_size"] == ("5", "file (schema)")
    assert lines["full_load_batch_size"] == ("10000", "default")
    assert lines["polling_interval"] == ("9s", "file (global)")
    assert lines["marker_timezone"] == ("Asia/Tokyo", "flag (global)")
    assert lines["partitions"] == ("{by: key, slices: 8}", "default")


# SPEC: C1, Z1
def test_explain_the_whole_hides_secrets(tmp_path: Path) -> None:
    tree = minimal(mode="multi")
    tree["source"] |= {"password": "s3cret", "replica_set": "rs0"}
    lines = {line.key: line for line in explain(load(tmp_path, tree))}
    assert lines["source.replica_set"][1:] == ("rs0", "file")
    assert lines["source.connection_string"][1:] == ("***", "file")
    assert lines["state.connection_string"][1:] == ("null", "default")
    assert lines["performance.max_memory"][1:] == ("384MB", "default")
    assert not any(secret in str(lines) for secret in ("s3cret", "hunter2"))


def test_explain_a_schema(tmp_path: Path) -> None:
    tree = with_schema(include=["a", "b"])
    tree["source"]["database"] = "db"
    lines = {line.key: line[1:] for line in explain(load(tmp_path, tree), "shop")}
    assert lines["include"] == ("[a, b]", "file (schema)")
    assert lines["database"] == ("db", "file (global)")
    assert lines["mode"] == ("stream", "default")


# SPEC: C1
def test_columns_are_explained_as_the_file_spells_them(tmp_path: Path) -> None:
    columns = {"ssn": {"action": "hash"}, "price": {"type": "decimal(18,4)", "rename": "amount"}}
    tree = with_schema(tables={"users": {"columns": columns}})
    [line] = [line for line in explain(load(tmp_path, tree), "shop", "users") if line.key == "columns"]
    assert line.value == "{ssn: {action: hash}, price: {type: decimal(18,4), rename: amount}}"
