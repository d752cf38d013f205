"""Questions that take long, asked of a function that waits for a sign."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from warp_resources.telemetry.probe import Probe

LONG = 20.0


class Server:
    """Answers with the number of the question, once it is let."""

    def __init__(self) -> None:
        self.is_let = threading.Event()
        self.asked = 0
        self.closed = threading.Event()

    def ask(self) -> int:
        self.asked += 1
        assert self.is_let.wait(LONG)
        return self.asked


def test_each_question_gets_a_new_answer() -> None:
    # SPEC: P1
    server = Server()
    server.is_let.set()
    probe = Probe(server.ask, server.closed.set, patience=LONG, overdue=LONG)
    assert [probe.latest(), probe.latest()] == [1, 2]
    probe.close()
    assert server.closed.wait(LONG)


def test_what_does_not_come_in_time_is_as_before_until_it_is_overdue() -> None:
    # SPEC: P1
    server = Server()
    server.is_let.set()
    probe = Probe(server.ask, server.closed.set, patience=0.05, overdue=0.2)
    eventually(lambda: probe.latest() is not None)
    server.is_let.clear()
    asked = server.asked
    eventually(lambda: probe.latest() is None)
    assert asked <= server.asked <= asked + 1
    server.is_let.set()
    eventually(lambda: probe.latest() is not None)
    probe.close()


def test_a_server_that_never_answered_is_down_at_once() -> None:
    # SPEC: P1
    server = Server()
    probe = Probe(server.ask, server.closed.set, patience=0.05, overdue=LONG)
    assert probe.latest() is None
    server.is_let.set()
    probe.close()


def test_what_goes_wrong_is_raised_by_the_one_who_wants_to_know() -> None:
    def fail() -> int:
        raise ZeroDivisionError

    probe = Probe(fail, lambda: None, patience=LONG)
    with pytest.raises(ZeroDivisionError):
        probe.latest()
    probe.close()


def eventually(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONG
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)
