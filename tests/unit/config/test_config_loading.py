"""Files, references and layers: what a configuration is made of."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.unit.config.configurations import load, minimal, with_schema, with_table, write
from warp_resources.config import (
    DestinationConfig,
    SchemaConfig,
    SourceConfig,
    TableConfig,
    WarpConfig,
    effective,
    find_file,
)
from warp_resources.errors import ConfigurationError

WHOLE_FILE = """
mode: multi
single_schema_name: null
source:
  type: mongodb
  connection_string: ${MONGO_URL}
  database: ecommerce_db
  timezone: UTC
  change_detection: {strategy: null, column: updated_at, timezone: UTC, lookback: 5m}
destination:
  type: postgresql
  connection_string: ${PG_URL}
  schema: null
  pool_size: 10
  max_overflow: 20
  batch_size: null
  transaction_timeout: 300
  min_interval: 0s
state: {connection_string: null}
schemas:
  - name: ecommerce
    database: null
    mode: stream
    schedule: null
    default_batch_size: 1000
    table_whitelist: [users, orders]
    table_blacklist: []
    max_parallel_streams: 3
    tables:
      users:
        mode: null
        primary_key: null
        batch_size: null
        stream_batch_size: 1000
        full_load_batch_size: 10000
        write_batch_size: 500
        polling_interval: 5s
        full_load_enabled: true
        deletion_strategy: hard
        soft_delete_column: is_deleted
        columns: {}
        partitions: {by: key, slices: 8}
        contract: {new_columns: evolve, type_changes: evolve, new_tables: evolve}
        transform: null
        change_detection: {}
        json_format: plain
        on_source_change: keep
        owners: []
performance: {stream_batch_size: 1000, full_load_batch_size: 10000, write_batch_size: 500, polling_interval: 5,
              connection_timeout: 30, read_timeout: 60, max_memory: 384MB}
error_handling: {max_retries: 3, backoff_factor: 2.0, max_backoff_seconds: 300, dead_letter_queue: true,
                 ignore_type_conversion_errors: true, log_conversion_warnings: true, on_history_lost: resync,
                 max_rejected_share: 0.1}
monitoring: {prometheus: {enabled: true, host: 127.0.0.1, port: 8080, path: /metrics}, health_check_enabled: true,
             lag_warning: 60s}
retention: {error_log: 90d, sync_runs: 90d, resolved_dead_letters: 30d, deletion_log: 365d}
security: {encryption_key: null}
logging: {level: INFO, format: structured, correlation_id_enabled: true, sensitive_data_masking: true}
deletion_strategy: hard
soft_delete_column: is_deleted
"""
DATABASES = {"MONGO_URL": "mongodb://db/", "PG_URL": "postgresql://db/warehouse"}

SINGLE_FILE = """
mode: "single"
single_schema_name: "ecommerce"
source:
  type: "mongodb"
  connection_string: "mongodb://admin:password@mongodb.example.com:27017"
  database: "ecommerce_db"
  change_detection_strategy: "change_stream"
  timezone: "UTC"
  replica_set: "rs0"
  auth_source: "admin"
  ssl_enabled: true
  read_preference: "secondaryPreferred"
destination: {type: "postgresql", connection_string: "postgresql://u:p@db/warehouse", schema: "ecommerce",
              pool_size: 10, max_overflow: 20, batch_size: 1000, transaction_timeout: 300}
schemas:
  - name: "ecommerce"
    table_whitelist: ["users", "orders", "products", "categories"]
    max_parallel_streams: 3
    tables:
      users: {batch_size: 500, polling_interval: 10, full_load_enabled: true}
      products: {batch_size: 2000, polling_interval: 15, full_load_enabled: false}
performance: {stream_batch_size: 1000, write_batch_size: 500, polling_interval: 5, connection_timeout: 30}
monitoring: {metrics_enabled: true, metrics_port: 8080, health_check_enabled: true, prometheus_endpoint: "/metrics"}
logging: {level: "INFO", format: "structured"}
"""


# SPEC: 2
def test_whole_file_loads_and_equals_the_defaults(tmp_path: Path) -> None:
    config = load(tmp_path, WHOLE_FILE, DATABASES)
    tree = yaml.safe_load(WHOLE_FILE)
    bare = load(tmp_path, {key: tree[key] for key in ("source", "destination", "schemas")}, DATABASES)
    for section in ("performance", "error_handling", "monitoring", "retention", "security", "logging", "state"):
        assert getattr(config, section) == getattr(bare, section)
    assert config.source.connection_string is not None
    assert config.source.connection_string.get_secret_value() == "mongodb://db/"


# SPEC: C2, C7
def test_file_of_single_mode_with_aliases_and_connector_keys(tmp_path: Path) -> None:
    config = load(tmp_path, SINGLE_FILE)
    assert config.source.change_detection.strategy == "log"
    assert config.source.model_extra == {
        "replica_set": "rs0",
        "auth_source": "admin",
        "ssl_enabled": True,
        "read_preference": "secondaryPreferred",
    }
    assert config.destination.schema_name == "ecommerce"
    assert effective(config, "ecommerce", "products").write_batch_size == 2000


def test_json_and_yaml_say_the_same(tmp_path: Path) -> None:
    tree = with_table(batch_size=5)
    as_json = WarpConfig.from_file(write(tmp_path, json.dumps(tree), "warp.json"), environ={})
    assert as_json == load(tmp_path, tree)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("warp.yaml", "source: [unclosed\nsecret: s3cret", "no valid YAML at line 2, column 7"),
        ("warp.yaml", "secret: *s3cret", "no valid YAML at line 1"),
        ("warp.yaml", "password: 2024-13-45", "no valid YAML"),
        ("warp.yaml", "a: s3cret\nb: 1\na: 2", "the key 'a' twice"),
        ("warp.yaml", "- s3cret", "no mapping of keys at its top"),
        ("warp.json", '{"a": "s3cret",}', "no valid JSON at line 1"),
        ("warp.json", '{"a": "s3cret", "a": 1}', "the key 'a' twice"),
        ("warp.yaml", "", "source: is required"),
    ],
)
def test_unreadable_files_are_refused_without_their_text(tmp_path: Path, name: str, text: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        WarpConfig.from_file(write(tmp_path, text, name), environ={})
    assert says in str(caught.value)
    assert name in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__context__ is None


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"name: \xe9")
    for name, says in [("gone.yaml", "cartridge-warp init"), (".", "no readable text"), ("latin.yaml", "not UTF-8")]:
        with pytest.raises(ConfigurationError, match=says):
            WarpConfig.from_file(tmp_path / name, environ={})


# SPEC: 2
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${DB}", "shop"),
        ("a-${DB}-b", "a-shop-b"),
        ("${DB:-other}", "shop"),
        ("${NONE:-other}", "other"),
        ("${EMPTY:-other}", "other"),
        ("${EMPTY}x", "x"),
        ("$${DB}", "${DB}"),
        ("$DB", "$DB"),
        ("${PASSWORD}", "${DB}"),
    ],
)
def test_references_are_replaced_once(tmp_path: Path, text: str, value: str) -> None:
    environ = {"DB": "shop", "EMPTY": "", "PASSWORD": "${DB}"}
    config = load(tmp_path, with_schema(database=text), environ)
    assert config.schemas[0].database == value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("${NOWHERE}", "NOWHERE is not set"),
        ("${1}", "no reference"),
        ("${A-b}", "no reference"),
        ("${", "no reference"),
    ],
)
def test_missing_references_are_refused_by_name_and_key(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, with_table(transform=text))
    assert "schemas.shop.tables.users.transform" in str(caught.value)
    assert says in str(caught.value)


def test_reference_that_a_higher_layer_replaces_may_be_missing(tmp_path: Path) -> None:
    tree = minimal()
    tree["source"]["connection_string"] = "${NOWHERE}"
    config = load(tmp_path, tree, {"CARTRIDGE_WARP_SOURCE__CONNECTION_STRING": "mongodb://other/"})
    assert config.secrets() >= {"mongodb://other/"}


# SPEC: Z1
def test_secrets_may_come_from_files(tmp_path: Path) -> None:
    secret = write(tmp_path, "mongodb://app:fr0m-file@db/\n", "secret")
    tree = minimal()
    tree["source"]["connection_string"] = "${MONGO_URL}"
    environ = {"MONGO_URL_FILE": str(secret), "CARTRIDGE_WARP_DESTINATION__CONNECTION_STRING_FILE": str(secret)}
    config = load(tmp_path, tree, environ)
    for endpoint in (config.source, config.destination):
        assert endpoint.connection_string is not None
        assert endpoint.connection_string.get_secret_value() == "mongodb://app:fr0m-file@db/"


@pytest.mark.parametrize("variable", ["MONGO_URL_FILE", "CARTRIDGE_WARP_SOURCE__CONNECTION_STRING_FILE"])
def test_secret_file_that_is_missing_is_refused_by_its_variable(tmp_path: Path, variable: str) -> None:
    tree = minimal(state={"connection_string": "${MONGO_URL:-sqlite:///state}"})
    with pytest.raises(ConfigurationError, match=f"The file that {variable} names cannot be read"):
        load(tmp_path, tree, {variable: str(tmp_path / "gone")})


def test_references_may_stand_for_values_of_any_type(tmp_path: Path) -> None:
    tree = {**with_table(mode="${M}", polling_interval="${I}", full_load_enabled="${F}"), "mode": "${ALL:-multi}"}
    tree["schemas"][0]["tables"]["users"]["partitions"] = {"by": "${BY:-time}", "start": "${DAY}"}
    config = load(tmp_path, tree, {"M": "batch", "I": "5s", "F": "false", "DAY": "2024-01-01"})
    table = config.schemas[0].tables[0]
    assert (table.mode, table.polling_interval.total_seconds(), table.full_load_enabled) == ("batch", 5, False)
    assert type(config.mode) is str
    assert table.partitions.start.isoformat() == "2024-01-01"


def test_layers_each_win_over_the_one_below(tmp_path: Path) -> None:
    tree = minimal(performance={"stream_batch_size": 1, "write_batch_size": 1, "full_load_batch_size": 1})
    environ = {
        "CARTRIDGE_WARP_PERFORMANCE__WRITE_BATCH_SIZE": "2",
        "CARTRIDGE_WARP_PERFORMANCE__FULL_LOAD_BATCH_SIZE": "2",
    }
    config = load(tmp_path, tree, environ, {"performance.full_load_batch_size": 3, "mode": None})
    found = config.performance
    assert (found.stream_batch_size, found.write_batch_size, found.full_load_batch_size) == (1, 2, 3)


# SPEC: L1
def test_flags_alone_can_say_all() -> None:
    overrides = {
        "mode": "single",
        "single_schema_name": "products",
        "source": {"type": "mongodb", "connection_string": "mongodb://db/"},
        "destination": {"type": "postgresql", "connection_string": "postgresql://db/"},
        "schemas.products.mode": "stream",
    }
    config = WarpConfig.from_file(None, overrides, environ={})
    assert [schema.name for schema in config.schemas] == ["products"]


def test_unknown_flag_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="'mod'; did you mean 'mode'"):
        load(tmp_path, minimal(), {}, {"mod": "single"})


# SPEC: A1
def test_configuration_can_be_built_in_code(tmp_path: Path) -> None:
    built = WarpConfig(
        source=SourceConfig(type="mongodb", connection_string="mongodb://app:s3cret@db/"),
        destination=DestinationConfig(type="postgresql", connection_string="postgresql://app:hunter2@db/warehouse"),
        schemas=[SchemaConfig(name="shop", tables=[TableConfig(name="users", stream_batch_size=500)])],
    )
    loaded = load(tmp_path, with_table(stream_batch_size=500))
    assert built.model_dump() == loaded.model_dump()
    assert effective(built, "shop", "users") == effective(loaded, "shop", "users")


def test_configuration_built_in_code_is_checked_like_a_file() -> None:
    with pytest.raises(ConfigurationError, match="single_schema_name: is required"):
        WarpConfig(**minimal(mode="single"))


def test_find_file_asks_flag_then_environment_then_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("warp.yaml", "flag.yaml", "environment.yaml"):
        write(tmp_path, "{}", name)
    environ = {"CARTRIDGE_WARP_CONFIG": "environment.yaml"}
    assert find_file("flag.yaml", environ) == Path("flag.yaml")
    assert find_file(None, environ) == Path("environment.yaml")
    assert find_file(None, {}) == Path("warp.yaml")


@pytest.mark.parametrize(
    ("explicit", "environ", "says"),
    [
        ("gone.yaml", {}, "gone.yaml, which --config names"),
        (None, {"CARTRIDGE_WARP_CONFIG": "gone.yaml"}, "gone.yaml, which CARTRIDGE_WARP_CONFIG names"),
        (None, {}, "warp.yaml here"),
    ],
)
def test_find_file_says_how_to_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, explicit: str | None, environ: dict[str, str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError) as caught:
        find_file(explicit, environ)
    assert says in str(caught.value)
    assert "cartridge-warp init" in str(caught.value)
