"""Secrets in log lines (SPEC Z1, P3)."""

import json

import pytest
import structlog

from warp_resources.telemetry.logs import configure_logging, mask_secrets


class Settings:
    level = "INFO"
    format = "structured"
    sensitive_data_masking = True


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("postgresql://ann:s3cret@db:5432/x", "postgresql://ann:***@db:5432/x"),
        ("mongodb://u:p%40ss@a:1,b:2/?x=1 and more", "mongodb://u:***@a:1,b:2/?x=1 and more"),
        ("host=db password=s3cret user=ann", "host=db password=*** user=ann"),
        ("no secret here: a@b", "no secret here: a@b"),
        ("mongodb://127.0.0.1:27017/?replicaSet=rs0", "mongodb://127.0.0.1:27017/?replicaSet=rs0"),
    ],
)
def test_mask_secrets(text: str, masked: str) -> None:
    # SPEC: Z1
    assert mask_secrets(text) == masked


def test_a_line_is_json_without_the_secret(capsys: pytest.CaptureFixture[str]) -> None:
    # SPEC: P3 Z1
    try:
        configure_logging(Settings())
        structlog.get_logger("t").info("connected", uri="postgresql://ann:s3cret@db/x", table="shop.users")
        line = json.loads(capsys.readouterr().err)
    finally:
        structlog.reset_defaults()
    assert line["event"] == "connected"
    assert line["table"] == "shop.users"
    assert "s3cret" not in json.dumps(line)
