"""The command ``exporter``, and the metrics that ``run`` serves: wires measurements to the HTTP server."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
import typer

from warp_resources.cli.console import note
from warp_resources.cli.measuring import Measurements
from warp_resources.cli.state import State
from warp_resources.config import WarpConfig
from warp_resources.errors import OperatorError
from warp_resources.telemetry.exporter import Exporter
from warp_resources.telemetry.logs import configure_logging

log = structlog.get_logger(__name__)


def exporter(context: typer.Context) -> None:
    """Serve /metrics, /health and /ready until stopped, for processes that do not do so themselves."""
    state: State = context.obj
    config = state.load()
    configure_logging(config.logging)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    measurements = Measurements(config)
    try:
        with _exporter(config, measurements) as serving:
            settings = config.monitoring.prometheus
            note(f"Metrics at http://{settings.host}:{serving.port}{settings.path}")
            stop.wait()
    finally:
        measurements.close()


@contextmanager
def serving_metrics(config: WarpConfig) -> Iterator[None]:
    """Serve the metrics meanwhile, unless another process has the port (L2)."""
    measurements = Measurements(config)
    try:
        try:
            serving = _exporter(config, measurements)
        except OperatorError as error:
            log.info("metrics are not served by this process", reason=error.message)
            yield
            return
        with serving:
            log.info("metrics served", port=serving.port, path=config.monitoring.prometheus.path)
            yield
    finally:
        measurements.close()


def _exporter(config: WarpConfig, measurements: Measurements) -> Exporter:
    settings = config.monitoring.prometheus
    with_health = config.monitoring.health_check_enabled
    return Exporter(measurements, settings.host, settings.port, settings.path, with_health=with_health)
