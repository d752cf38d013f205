"""The exporter over HTTP, with samples from a function."""

from __future__ import annotations

import socket
import struct
import threading
import urllib.error
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from warp_resources.errors import OperatorError
from warp_resources.telemetry import metrics
from warp_resources.telemetry.exporter import Exporter
from warp_resources.telemetry.metrics import Sample

TABLE = ("db", "shop", "users")
NAMES = {
    "cartridge_warp_records_processed_total": ("database", "schema", "table", "operation"),
    "cartridge_warp_processing_rate": ("database", "schema", "table"),
    "cartridge_warp_lag_seconds": ("database", "schema", "table"),
    "cartridge_warp_sync_status": ("database", "schema", "table"),
    "cartridge_warp_last_successful_sync": ("database", "schema", "table"),
    "cartridge_warp_error_count_total": ("database", "schema", "table", "error_type"),
    "cartridge_warp_batch_processing_duration_seconds": ("database", "schema", "table"),
    "cartridge_warp_queue_size": ("database", "schema", "table"),
    "cartridge_warp_memory_usage_bytes": ("database", "schema"),
    "cartridge_warp_schema_changes_total": ("database", "schema", "table", "change_type"),
    "cartridge_warp_type_conversion_warnings_total": ("database", "schema", "table"),
    "cartridge_warp_bytes_transferred_total": ("database", "schema", "table"),
    "cartridge_warp_connection_up": ("role", "database"),
    "cartridge_warp_dead_letters": ("database", "schema", "table"),
    "cartridge_warp_log_window_seconds": ("database", "schema"),
    "cartridge_warp_history_short": ("database", "schema"),
}


def get(exporter: Exporter, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{exporter.port}{path}", timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def serving(samples: list[Sample], **options: bool) -> Exporter:
    return Exporter(lambda: samples, "127.0.0.1", 0, "/metrics", **options)


def test_names_and_labels_are_those_of_the_contract() -> None:
    # SPEC: P1
    assert {metric.name: metric.labels for metric in metrics.METRICS} == NAMES


def test_samples_are_served_under_their_exact_names() -> None:
    # SPEC: P1
    samples = [
        Sample(metrics.RECORDS_PROCESSED, (*TABLE, "write"), 7),
        Sample(metrics.LAG, TABLE, 0.5),
        Sample(metrics.CONNECTION_UP, ("source", "db"), 1),
    ]
    with serving(samples) as exporter:
        status, text = get(exporter, "/metrics")
    assert status == 200
    found = {
        sample.name: (sample.labels, sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    labels = {"database": "db", "schema": "shop", "table": "users"}
    assert found["cartridge_warp_records_processed_total"] == ({**labels, "operation": "write"}, 7)
    assert found["cartridge_warp_lag_seconds"] == (labels, 0.5)
    assert found["cartridge_warp_connection_up"] == ({"role": "source", "database": "db"}, 1)


@pytest.mark.parametrize(("up", "status"), [(1, 200), (0, 503)])
def test_ready_means_that_every_database_answers(up: int, status: int) -> None:
    # SPEC: P1
    with serving([Sample(metrics.CONNECTION_UP, ("destination", "db"), up)]) as exporter:
        assert get(exporter, "/ready")[0] == status
        assert get(exporter, "/health") == (200, "live\n")


def test_health_can_be_switched_off() -> None:
    with serving([], with_health=False) as exporter:
        assert get(exporter, "/health")[0] == 404


def test_a_scraper_that_gives_up_is_no_error_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    # SPEC: P1
    asked, gone = threading.Event(), threading.Event()
    large = [Sample(metrics.DEAD_LETTERS, ("db", "shop", f"table {n}"), n) for n in range(100_000)]

    def collect() -> list[Sample]:
        asked.set()
        assert gone.wait(20)
        return large

    with Exporter(collect, "127.0.0.1", 0, "/metrics") as exporter:
        with socket.create_connection(("127.0.0.1", exporter.port)) as scraper:
            scraper.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            assert asked.wait(20)
            scraper.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        gone.set()
        assert get(exporter, "/health") == (200, "live\n")
        assert get(exporter, "/metrics")[0] == 200
    assert "Traceback" not in capsys.readouterr().err


def test_a_port_that_is_taken_is_told() -> None:
    with serving([]) as exporter, pytest.raises(OperatorError, match=str(exporter.port)):
        Exporter(list, "127.0.0.1", exporter.port, "/metrics")
