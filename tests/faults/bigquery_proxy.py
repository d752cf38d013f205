"""An HTTP proxy before a BigQuery emulator that answers chosen requests with faults, before or after it did them."""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

_JOB = re.compile(rb'"jobId":\s*"([^"]+)"')
_HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}

COMMIT = r"POST \S+/jobs\S* cartridge_warp_commit_"
LOAD = r"PUT \S*/upload/"
RESULTS = r"GET \S+/queries/\S*cartridge_warp_commit_"


@dataclass(slots=True)
class Fault:
    """What becomes of the requests whose line ``METHOD /path job-id`` a pattern is found in.

    ``status`` and ``reason``: the answer, as BigQuery spells it; status 0 cuts the connection. ``is_done``: the
    emulator carries the request out before. ``seconds``: how long there is no answer at all. ``times``: how often.
    """

    pattern: str
    status: int = 0
    reason: str = ""
    message: str = "scripted"
    is_done: bool = False
    seconds: float = 0.0
    times: int = 1
    met: int = 0

    def body(self) -> bytes:
        errors = [{"message": self.message, "domain": "global", "reason": self.reason}]
        return json.dumps({"error": {"code": self.status, "message": self.message, "errors": errors}}).encode()


@dataclass
class BigQueryProxy:
    """Passes requests on to the emulator at ``target``; a context manager. ``lines`` are all requests so far."""

    target: str
    faults: list[Fault] = field(default_factory=list)
    lines: list[tuple[float, str]] = field(default_factory=list)
    is_closed: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.is_closed.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def fail(self, *faults: Fault) -> None:
        self.faults.extend(faults)

    def count(self, pattern: str) -> int:
        """How many requests there were of a kind."""
        return sum(1 for _, line in self.lines if re.search(pattern, line))

    def fault_of(self, line: str) -> Fault | None:
        self.lines.append((time.monotonic(), line))
        for fault in self.faults:
            if fault.met < fault.times and re.search(fault.pattern, line):
                fault.met += 1
                return fault
        return None


def _handler(proxy: BigQueryProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            job = _JOB.search(body)
            fault = proxy.fault_of(f"{self.command} {self.path} {job[1].decode() if job else ''}")
            if fault is None or fault.is_done:
                status, headers, answer = self._ask(body)
                if fault is None:
                    self._answer(status, headers, answer)
                    return
            if fault.seconds:
                proxy.is_closed.wait(fault.seconds)
            if fault.status:
                self._answer(fault.status, {"Content-Type": "application/json"}, fault.body())
                return
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

        def _ask(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
            target = urlsplit(proxy.target)
            connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=60)
            try:
                connection.request(self.command, self.path, body, dict(self.headers.items()))
                found = connection.getresponse()
                headers = {name: value for name, value in found.getheaders() if name.lower() not in _HOP_BY_HOP}
                for name, value in headers.items():
                    headers[name] = value.replace(proxy.target, proxy.endpoint)
                return found.status, headers, found.read()
            except (OSError, http.client.HTTPException):
                return 503, {}, b"{}"
            finally:
                connection.close()

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler
