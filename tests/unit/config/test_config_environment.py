"""Environment variables as a layer: addressing, names of list items, reserved and unknown names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.config.configurations import load, minimal, with_schema, with_table
from warp_resources.config import WarpConfig, effective
from warp_resources.errors import ConfigurationError


def _value(config: WarpConfig, dotted: str) -> Any:
    value: Any = config
    for key in dotted.split("."):
        value = value[int(key)] if key.isdigit() else getattr(value, key)
    return value


# SPEC: C6
@pytest.mark.parametrize(
    ("variable", "text", "dotted", "value"),
    [
        ("MODE", "multi", "mode", "multi"),
        ("SOURCE__TYPE", "memory", "source.type", "memory"),
        ("SOURCE__REPLICA_SET", "rs0", "source.replica_set", "rs0"),
        ("SOURCE__CHANGE_DETECTION__COLUMN", "seen", "source.change_detection.column", "seen"),
        ("SOURCE__CHANGE_DETECTION_STRATEGY", "change_stream", "source.change_detection.strategy", "log"),
        ("DESTINATION__SCHEMA", "landing", "destination.schema_name", "landing"),
        ("MONITORING__LOG_LEVEL", "debug", "logging.level", "DEBUG"),
        ("MONITORING__STRUCTURED_LOGGING", "false", "logging.format", "plain"),
        ("MONITORING__METRICS_PORT", "9000", "monitoring.prometheus.port", 9000),
        ("MONITORING__PROMETHEUS__ENABLED", "false", "monitoring.prometheus.enabled", False),
        ("SCHEMAS__SHOP__MAX_PARALLEL_STREAMS", "7", "schemas.0.max_parallel_streams", 7),
        ("SCHEMAS__SHOP__INCLUDE", "[users, 'a*']", "schemas.0.table_whitelist", ("users", "a*")),
        ("SCHEMAS__SHOP__TABLES__USERS__BATCH_SIZE", "7", "schemas.0.tables.0.batch_size", 7),
        ("SCHEMAS__SHOP__TABLES__ORDER_LINES__BATCH_SIZE", "7", "schemas.0.tables.1.batch_size", 7),
        ("SCHEMAS__SHOP__TABLES__A__B__BATCH_SIZE", "7", "schemas.0.tables.2.batch_size", 7),
        ("SCHEMAS__SHOP__TABLES__NEW__BATCH_SIZE", "7", "schemas.0.tables.3.name", "new"),
        ("SCHEMAS__SHOP__TABLES__NeW__BATCH_SIZE", "7", "schemas.0.tables.3.name", "NeW"),
        ("SCHEMAS__CRM__DATABASE", "crm_db", "schemas.1.name", "crm"),
        ("SCHEMAS__SHOP__TABLES__USERS__TAGS__TEAM", "blue", "schemas.0.tables.0.tags", {"team": "blue"}),
        ("SCHEMAS__SHOP__TABLES__USERS", "{batch_size: 9}", "schemas.0.tables.0.batch_size", 9),
        ("SCHEMAS__SHOP__TABLES__USERS__STREAM_BATCH_SIZE", "null", "schemas.0.tables.0.stream_batch_size", None),
    ],
)
def test_variable_sets_its_key(tmp_path: Path, variable: str, text: str, dotted: str, value: object) -> None:
    tables = [{"name": "Users", "stream_batch_size": 3}, {"name": "order-lines"}, {"name": "a__b"}]
    config = load(tmp_path, with_schema(tables=tables), {f"CARTRIDGE_WARP_{variable}": text})
    assert _value(config, dotted) == value


def test_names_that_differ_in_case_are_told_apart(tmp_path: Path) -> None:
    tree = with_schema(tables=[{"name": "users"}, {"name": "Users"}])
    environ = {
        "CARTRIDGE_WARP_SCHEMAS__SHOP__TABLES__USERS__BATCH_SIZE": "1",
        "CARTRIDGE_WARP_SCHEMAS__SHOP__TABLES__Users__BATCH_SIZE": "2",
    }
    config = load(tmp_path, tree, environ)
    assert [table.batch_size for table in config.schemas[0].tables] == [1, 2]


def test_two_variables_make_one_schema(tmp_path: Path) -> None:
    environ = {
        "CARTRIDGE_WARP_SCHEMAS__CRM__SCHEDULE": "*/5 * * * *",
        "CARTRIDGE_WARP_SCHEMAS__CRM__MODE": "batch",
    }
    config = load(tmp_path, minimal(), environ)
    assert [(schema.name, schema.mode, schema.schedule) for schema in config.schemas] == [
        ("shop", "stream", None),
        ("crm", "batch", "*/5 * * * *"),
    ]


# SPEC: C1
def test_alias_in_the_environment_wins_over_the_key_in_the_file(tmp_path: Path) -> None:
    tree = with_schema(default_batch_size=5)
    config = load(tmp_path, tree, {"CARTRIDGE_WARP_SCHEMAS__SHOP__BATCH_SIZE": "6"})
    assert effective(config, "shop", "users").stream_batch_size == 6


# SPEC: C6
@pytest.mark.parametrize(
    "variable",
    [
        "CARTRIDGE_WARP_CONFIG",
        "CARTRIDGE_WARP_DRAIN",
        "CARTRIDGE_WARP_FAILPOINTS",
        "CARTRIDGE_WARP_BIGQUERY_PROJECT",
        "CARTRIDGE_WARP_DEBUG",
        "CARTRIDGE_WARP_SERVICE_HOST",
        "CARTRIDGE_WARP_PORT_8080_TCP_ADDR",
        "CARTRIDGE_WARP_METRICS_SERVICE_PORT_HTTP",
        "CARTRIDGEWARP_X",
    ],
)
def test_variables_that_are_no_settings_are_left_alone(tmp_path: Path, variable: str) -> None:
    assert load(tmp_path, minimal(), {variable: "whatever"}) == load(tmp_path, minimal(), {})


# SPEC: C6
@pytest.mark.parametrize("variable", ["CARTRIDGE_WARP_PORT", "CARTRIDGE_WARP_METRICS_PORT"])
@pytest.mark.parametrize("scheme", ["tcp", "udp", "sctp"])
def test_the_address_of_a_kubernetes_service_is_left_alone(tmp_path: Path, variable: str, scheme: str) -> None:
    assert load(tmp_path, minimal(), {variable: f"{scheme}://10.0.0.1:80"}) == load(tmp_path, minimal(), {})


def test_empty_variables_are_not_set(tmp_path: Path) -> None:
    assert load(tmp_path, minimal(), {"CARTRIDGE_WARP_MODE": ""}).mode == "multi"


@pytest.mark.parametrize(
    ("variable", "near"),
    [
        ("CARTRIDGE_WARP_METRICS_PORT", "CARTRIDGE_WARP_MONITORING__METRICS_PORT"),
        ("CARTRIDGE_WARP_MONITORING_PORT", "CARTRIDGE_WARP_MONITORING__METRICS_PORT"),
        ("CARTRIDGE_WARP_PORT", None),
        ("CARTRIDGE_WARP_MODEE", "CARTRIDGE_WARP_MODE"),
        ("CARTRIDGE_WARP_PERFORMANCE__BATCHSIZE", None),
        ("CARTRIDGE_WARP_PERFORMANCE__POLING_INTERVAL", "CARTRIDGE_WARP_PERFORMANCE__POLLING_INTERVAL"),
        (
            "CARTRIDGE_WARP_SCHEMAS__SHOP__TABLES__USERS__BACH_SIZE",
            "CARTRIDGE_WARP_SCHEMAS__SHOP__TABLES__USERS__BATCH_SIZE",
        ),
        ("CARTRIDGE_WARP_MODE__X", None),
        ("CARTRIDGE_WARP_MONITORING__METRIC_PORT", "CARTRIDGE_WARP_MONITORING__METRICS_PORT"),
    ],
)
def test_unknown_variable_is_refused_with_the_nearest(tmp_path: Path, variable: str, near: str | None) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, minimal(), {variable: "s3cret", "CARTRIDGE_WARP_OTHER": "s3cret"})
    assert variable in str(caught.value)
    assert "CARTRIDGE_WARP_OTHER" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    if near:
        assert f"did you mean {near!r}" in str(caught.value)


def test_wrong_value_names_its_variable(tmp_path: Path) -> None:
    variable = "CARTRIDGE_WARP_SCHEMAS__SHOP__TABLES__USERS__BATCH_SIZE"
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, with_table(), {variable: "many"})
    assert f"schemas.shop.tables.users.batch_size: found 'many' ({variable}); a whole number" in str(caught.value)


@pytest.mark.parametrize(
    ("schemas", "says"),
    [
        ([{"name": "shop"}, {}], "schemas.1.name: is required"),
        ([{"name": "shop"}, 5], "schemas.1: found 5; a mapping"),
        ([{"name": "shop", "tables": {"users": {"tags": 5}}}], "tables.users.tags: found 5; a mapping"),
        ([{"name": "shop", "tables": [{"name": 5}]}], "tables.0.name: found 5; a text"),
    ],
)
def test_malformed_file_is_still_reported_under_a_variable(tmp_path: Path, schemas: Any, says: str) -> None:
    environ = {"CARTRIDGE_WARP_SCHEMAS__SHOP__TABLES__OTHER__BATCH_SIZE": "7"}
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, minimal(schemas=schemas), environ)
    assert says in str(caught.value)


def test_layer_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    variable = "CARTRIDGE_WARP_SCHEMAS__SHOP"
    with pytest.raises(ConfigurationError, match=f"{variable} has a problem: both are set: include is another name"):
        load(tmp_path, minimal(), {variable: "{include: [a], table_whitelist: [b]}"})


def test_one_value_for_a_whole_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"schemas\.shop\.tables\.users is not one value"):
        load(tmp_path, with_table(), {"CARTRIDGE_WARP_SCHEMAS__SHOP__TABLES__USERS": "7"})
