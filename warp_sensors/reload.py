"""Asks for a reload of this code location, where it is served by something that can reload it."""

from __future__ import annotations

import threading
from itertools import pairwise

import psutil
import structlog
from dagster._grpc.client import DagsterGrpcClient

DELAY_SECONDS = 1.0
TIMEOUT_SECONDS = 120

log = structlog.get_logger(__name__)


def request_reload() -> bool:
    """Have the code server that this process belongs to load the code again, shortly after this tick.

    ``dagster dev`` and ``dagster code-server start`` keep the code in a child process that they replace; the
    webserver and the daemon notice by themselves. A plain ``dagster api grpc`` cannot do that.

    Returns:
        Whether there is a server to ask.
    """
    client = _server_above()
    if client is None:
        return False
    # Later and from elsewhere: the reload ends the process that this tick runs in.
    timer = threading.Timer(DELAY_SECONDS, _reload, [client])
    timer.daemon = True
    timer.start()
    return True


def _reload(client: DagsterGrpcClient) -> None:
    try:
        client.reload_code(timeout=TIMEOUT_SECONDS)
    except Exception as error:  # noqa: BLE001 - a reload that fails leaves all as it was; the next one may succeed.
        log.warning("reload failed", error=str(error))


def _server_above() -> DagsterGrpcClient | None:
    """The code server whose child this process is, by its command line: nothing else tells its address."""
    try:
        parent = psutil.Process().parent()
        command = parent.cmdline() if parent is not None else []
    except psutil.Error:
        return None
    if "code-server" not in command:
        return None
    options = dict(pairwise(command))
    socket, port = options.get("--socket"), options.get("--port") or options.get("-p")
    if socket:
        return DagsterGrpcClient(socket=socket)
    return DagsterGrpcClient(port=int(port), host=options.get("--host", "localhost")) if port else None
