"""Serves samples to Prometheus over HTTP, with the health of the process beside them."""

from __future__ import annotations

import errno
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from warp_resources.errors import OperatorError
from warp_resources.telemetry.metrics import CONNECTION_UP, COUNTER, METRICS, Sample

Collect = Callable[[], Iterable[Sample]]
HEALTH, READY = "/health", "/ready"


class Exporter(Collector):
    """An HTTP server in a thread of its own; a context manager that starts and stops it.

    Args:
        collect: gives the samples of now; called by one thread at a time.
        path: of the metrics; ``/health`` and ``/ready`` stand beside it where ``with_health``.
    """

    def __init__(self, collect: Collect, host: str, port: int, path: str, *, with_health: bool = True) -> None:
        self._collect = collect
        self._guard = threading.Lock()
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        self._server = _server(host, port, _handler(self, path, with_health))
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)

    @property
    def port(self) -> int:
        """The port that was bound; the one asked for, unless that was 0."""
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def collect(self) -> Iterator[Metric]:
        """The samples as metric families, in the order of ``METRICS``."""
        with self._guard:
            samples = list(self._collect())
        for metric in METRICS:
            found = [sample for sample in samples if sample.metric is metric]
            if not found:
                continue
            cls = CounterMetricFamily if metric.kind == COUNTER else GaugeMetricFamily
            family = cls(metric.name, metric.text, labels=metric.labels)
            for sample in found:
                family.add_metric(list(sample.labels), sample.value)
            yield family

    def metrics(self, accept: str) -> tuple[bytes, str]:
        """The exposition that a scraper accepts, and its content type."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def is_ready(self) -> bool:
        """Whether every database answers."""
        with self._guard:
            return all(sample.value for sample in self._collect() if sample.metric is CONNECTION_UP)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A scraper that did not wait for its answer is no error of ours."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _server(host: str, port: int, handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    try:
        return _Server((host, port), handler)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        raise OperatorError(
            f"The metrics cannot be served at {host}:{port}: {error.strerror}",
            remedy="Another process may serve them already; else set monitoring.prometheus.port"
            if taken
            else "Correct monitoring.prometheus.host and port",
        ) from error


def _handler(exporter: Exporter, path: str, with_health: bool) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Answers GET only."""

        def do_GET(self) -> None:
            asked = self.path.partition("?")[0]
            if asked == path:
                body, content_type = exporter.metrics(self.headers.get("Accept") or "")
                self._answer(200, body, content_type)
            elif with_health and asked == HEALTH:
                self._answer(200, b"live\n")
            elif with_health and asked == READY:
                ready = exporter.is_ready()
                self._answer(200 if ready else 503, b"ready\n" if ready else b"a database does not answer\n")
            else:
                self._answer(404, f"metrics are at {path}\n".encode())

        def _answer(self, status: int, body: bytes, content_type: str = "text/plain; charset=utf-8") -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """A scrape is no event."""

    return Handler
