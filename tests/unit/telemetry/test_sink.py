"""Log lines whose reader is gone."""

from __future__ import annotations

import io
import os

import pytest
import structlog

from warp_resources.telemetry.logs import configure_logging


class Settings:
    level = "INFO"
    format = "structured"
    sensitive_data_masking = True


def test_a_log_without_a_reader_harms_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    # SPEC: M6
    reading, writing = os.pipe()
    os.close(reading)
    # Without a buffer, so that each line meets the broken pipe.
    stream = io.TextIOWrapper(io.FileIO(writing, "w"), write_through=True)
    monkeypatch.setattr("sys.stderr", stream)
    try:
        configure_logging(Settings())
        for _ in range(2):
            structlog.get_logger("t").info("drainer stops")
        stream.close()
        structlog.get_logger("t").info("drainer stopped")
    finally:
        structlog.reset_defaults()
