"""Secrets in log lines (SPEC Z1, P3)."""

import json

import pytest
import structlog

from warp_resources.telemetry.logs import configure_logging


class Settings:
    level = "INFO"
    format = "structured"
    sensitive_data_masking = True


def test_lines_are_json_without_the_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    # SPEC: P3 Z1
    try:
        configure_logging(Settings())
        structlog.get_logger("t").info(
            "connected", at="postgresql://ann:s3cret@db/x", table="shop.users", api_token="s3cret", rows=3
        )
        first = json.loads(capsys.readouterr().err)
        error = ValueError("no answer from mongodb://ann:s3/cret@db")
        structlog.get_logger("t").info(
            "failed", error=error, given={"password": "s3cret", "tried": ["password=s3cret"]}
        )
        second = json.loads(capsys.readouterr().err)
    finally:
        structlog.reset_defaults()
    assert (first["event"], first["table"], first["rows"]) == ("connected", "shop.users", 3)
    assert "no answer" in second["error"]
    assert "cret" not in json.dumps([first, second])
