"""What a wrong configuration is told: where, what was found, what is allowed, what is nearest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.config.configurations import load, minimal, with_schema, with_table
from warp_resources.config import SourceConfig, WarpConfig
from warp_resources.errors import ConfigurationError


def _refusal(folder: Path, tree: Any, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(folder, tree, environ)
    assert caught.value.__context__ is None
    return str(caught.value)


# SPEC: 2
@pytest.mark.parametrize(
    ("tree", "line"),
    [
        (with_table(batch_size="abc"), "schemas.shop.tables.users.batch_size: found 'abc'; a whole number is allowed."),
        (with_table(batch_size=0), "schemas.shop.tables.users.batch_size: found 0; a number above 0 is allowed."),
        (with_table(batch_size=1.5), "schemas.shop.tables.users.batch_size: found 1.5; a whole number is allowed."),
        (with_table(columns={"ssn": None}), "users.columns.ssn: found nothing; a mapping of keys is allowed."),
        (with_table(batch_size=True), "schemas.shop.tables.users.batch_size: found true; a number is allowed."),
        (with_table(batch_size=[1]), "schemas.shop.tables.users.batch_size: found a list; a whole number is allowed."),
        (
            with_table(batchsize=1),
            "schemas.shop.tables.users.batchsize: is not a known key; did you mean 'batch_size'?",
        ),
        (
            with_table(polling_interval="5x"),
            "users.polling_interval: found '5x'; a number of seconds or a text such as",
        ),
        (with_table(polling_interval=0), "users.polling_interval: found 0; more than no time"),
        (with_table(polling_interval=-1), "users.polling_interval: found -1; a number of seconds or"),
        (with_table(mode="btach"), "users.mode: found 'btach'; 'stream' or 'batch' is allowed; did you mean 'batch'?"),
        (with_table(owners=["me"]), "users.owners.0: found 'me'; an e-mail address or team:<name> is allowed."),
        (with_table(transform="rules"), "users.transform: found 'rules'; a Python object as module:name is allowed."),
        (with_table(primary_key=[]), "users.primary_key: found a list; a list of at least 1 is allowed."),
        (with_table(primary_key=["a", "a"]), "users.primary_key: found a list; each name is allowed once."),
        (with_table(partitions={"by": "key", "every": "day"}), "by: key allows slices; every, column and start need"),
        (with_table(partitions={"by": "time", "slices": 2}), "by: time allows every, column and start; slices needs"),
        (with_table(partitions={"by": "key", "slices": 101}), "partitions.slices: found 101; a number of at most 100"),
        (with_schema(tables={"users": 5}), "schemas.shop.tables.0: found 5; a mapping of keys is allowed."),
        (with_schema(tables={2024: {}}), "table names are texts: write '2024' in quotes"),
        (with_schema(tables={"a": {"name": "b"}}), "the table 'a' also says name: 'b'"),
        (with_schema(tables=5), "schemas.shop.tables: found 5; a list is allowed."),
        (with_schema(name=7), "schemas.0.name: found 7; a text is allowed (put it in quotes)."),
        (with_schema(schedule="hourly"), "schemas.shop.schedule: found 'hourly'; a cron expression of five fields"),
        (with_schema(schedule="* * * * * *"), "schemas.shop.schedule: found '* * * * * *'; a cron expression"),
        (with_schema(batch_size=1, default_batch_size=2), "batch_size is another name for default_batch_size"),
        (minimal(schemas={}), "schemas: found a mapping; a list is allowed."),
        (minimal(schemas=[]), "schemas: at least one schema is required."),
        (minimal(source=None), "source: is required."),
        (minimal(source={"connection_string": "x"}), "source.type: is required."),
        (minimal(prometheus={}), "prometheus: is not a known key; did you mean 'monitoring.prometheus'?"),
        (
            minimal(monitoring={"metrics_prot": 1}),
            "monitoring.metrics_prot: is not a known key; did you mean 'metrics_port'",
        ),
        (minimal(monitoring={"prometheus": {"path": "metrics"}}), "path: found 'metrics'; a text that matches ^/"),
        (minimal(monitoring={"log_level": "LOUD"}), "logging.level: found 'LOUD'; 'DEBUG', 'INFO',"),
        (
            minimal(performance={"max_memory": "lots"}),
            "performance.max_memory: found 'lots'; a number of bytes or a text",
        ),
        (minimal(error_handling={"max_rejected_share": 2}), "max_rejected_share: found 2; a number of at most 1"),
        (
            minimal(error_handling={"backoff_factor": float("inf")}),
            "error_handling.backoff_factor: found inf; a finite",
        ),
    ],
)
def test_problem_is_said_in_the_words_of_the_file(tmp_path: Path, tree: Any, line: str) -> None:
    assert line in _refusal(tmp_path, tree)


@pytest.mark.parametrize("section", ["source", "table"])
def test_time_zones_are_checked_with_the_nearest_named(tmp_path: Path, section: str) -> None:
    detection = {"change_detection": {"timezone": "Europe/Berln"}}
    tree = minimal() if section == "source" else with_table(**detection)
    tree["source"] |= detection if section == "source" else {}
    assert "change_detection.timezone: found 'Europe/Berln'" in _refusal(tmp_path, tree)
    assert "did you mean 'Europe/Berlin'?" in _refusal(tmp_path, tree)


def test_all_problems_are_listed_at_once(tmp_path: Path) -> None:
    tree = {**with_table(batch_size="abc", polling_interval="x"), "mode": "both"}
    message = _refusal(tmp_path, tree)
    assert f"{tmp_path / 'warp.yaml'} has 3 problems:" in message
    assert len(message.splitlines()) == 4


# SPEC: Z1
@pytest.mark.parametrize(
    ("tree", "environ"),
    [
        (minimal(source="mongodb://app:s3cret@db/"), {}),
        (minimal(source={"type": "mongodb", "connection_string": ["s3cret"]}), {}),
        (minimal(source={"type": "mongodb", "connection_string": {"s3": "s3cret"}}), {}),
        (minimal(conection_string="mongodb://app:s3cret@db/"), {}),
        (minimal(state={"conection_string": "s3cret"}), {}),
        (minimal(security={"encryption_key": 5, "encription_key": "s3cret"}), {}),
        (minimal(mode="mongodb://app:s3cret@db/"), {}),
        (minimal(mode="${MONGO_URL}"), {"MONGO_URL": "s3cret"}),
        (with_table(owners=["${MONGO_URL}"]), {"MONGO_URL": "s3cret"}),
        (minimal(performance={"max_memory": "${PASSWORD}"}), {"PASSWORD": "s3cret"}),
        (minimal(), {"CARTRIDGE_WARP_STATE__CONNECTION_STRING": "s3cret", "CARTRIDGE_WARP_MODE": "x"}),
        (minimal(), {"CARTRIDGE_WARP_STATE__CONNECTION_STRIN": "s3cret"}),
    ],
)
def test_no_secret_is_in_a_message(tmp_path: Path, tree: Any, environ: dict[str, str]) -> None:
    assert "s3cret" not in _refusal(tmp_path, tree, environ)


def test_reference_is_named_instead_of_its_value(tmp_path: Path) -> None:
    tree = minimal(performance={"stream_batch_size": "${SIZE}"})
    assert "found the value of ${SIZE}; a whole number" in _refusal(tmp_path, tree, {"SIZE": "s3cret"})


def test_pydantic_errors_of_single_models_hide_values() -> None:
    with pytest.raises(ValueError, match="connection_string") as caught:
        SourceConfig(type="mongodb", connection_string=["s3cret"])
    assert "s3cret" not in str(caught.value)


# SPEC: Z1
def test_secrets_are_masked_however_a_configuration_is_printed(tmp_path: Path) -> None:
    tree = minimal(state={"connection_string": "postgresql://app:st4te@db/"})
    tree["source"] |= {"password": "s3cret", "hosts": "mongodb://app:s3cret@other/", "tls": {"token": "s3cret"}}
    config = load(tmp_path, tree)
    printed = [repr(config), str(config), str(config.model_dump()), config.model_dump_json(), repr(config.source)]
    for secret in ("s3cret", "hunter2", "st4te"):
        assert all(secret not in text for text in printed)
        assert secret in config.secrets()


def test_one_problem_is_called_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="The configuration has a problem:\n  mode: found 'x'"):
        WarpConfig(**minimal(mode="x"))


def test_aliases_that_contradict_are_refused_in_code() -> None:
    monitoring = {"log_level": "DEBUG"}
    with pytest.raises(ConfigurationError, match=r"monitoring\.log_level is another name for logging\.level"):
        WarpConfig(**minimal(monitoring=monitoring, logging={"level": "INFO"}))
