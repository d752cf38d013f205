"""The end of a line that is known to be dead."""

from __future__ import annotations

import socket

from warp_resources.connectors.postgresql.watched import Watch, end_line


def test_a_line_is_ended_on_this_side() -> None:
    # SPEC: R3  FAULTS: 22
    ours, theirs = socket.socketpair()
    with ours, theirs:
        end_line(ours.fileno())
        assert ours.recv(1) == b""
        assert theirs.recv(1) == b""


def test_a_line_that_has_ended_meanwhile_is_left_alone() -> None:
    # SPEC: R3  FAULTS: 22
    with socket.socket() as never_connected:
        end_line(never_connected.fileno())
        assert never_connected.fileno() >= 0


def test_a_watch_shows_no_password() -> None:
    # SPEC: Z1
    assert "geheim" not in repr(Watch("host=db password=geheim", 7, None))
