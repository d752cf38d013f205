"""Ports are given below the range that the kernel uses for itself."""

from __future__ import annotations

import socket

import pytest

from warp_resources.connectors.ports import free_port
from warp_resources.errors import OperatorError


def test_a_port_can_be_bound_and_is_below_the_ephemeral_range() -> None:
    port = free_port()
    assert 1024 < port < 32_768
    with socket.socket() as server:
        server.bind(("127.0.0.1", port))


def test_a_host_without_ports_is_an_error() -> None:
    with pytest.raises(OperatorError, match="No free port"):
        free_port("192.0.2.1")
