"""Finds a port that a local server can bind."""

from __future__ import annotations

import random
import socket

from warp_resources.errors import OperatorError

# The kernel hands out ports from 32768 on to outgoing connections, which would collide at random.
_FIRST, _LAST, _ATTEMPTS = 20_000, 31_999, 200


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether nobody listens there at this moment."""
    with socket.socket() as probe:
        # What a server that has ended leaves for a minute does not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(host: str = "127.0.0.1") -> int:
    """A port below the ephemeral range that nobody listened on a moment ago; the caller still has to retry."""
    for _ in range(_ATTEMPTS):
        port = random.randint(_FIRST, _LAST)
        if is_free(port, host):
            return port
    raise OperatorError(
        "No free port was found", remedy="Stop a server on this host", first=_FIRST, last=_LAST, host=host
    )
