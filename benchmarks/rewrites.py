"""What others notice of a type change of a large table while it is replicated."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from bson import ObjectId

PATIENCE_SECONDS = 1_800
GENERATED = """
insert into {table} select
    'generated ' || n, n, n * 0.5, 'name ' || n, 'user' || n || '@example.org', n % 2 = 0, 'at', n % 1000,
    now(), now(), 0, now()
from generate_series(1, {count}) as n
"""
"""Rows that no source has, in a table of ``documents.flat``; the columns in its order."""


@dataclass
class Delays:
    """The seconds that each of some operations took."""

    seconds: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        ordered = sorted(self.seconds)
        p50, p99, most = (ordered[int((len(ordered) - 1) * share)] * 1000 for share in (0.5, 0.99, 1))
        return f"p50 {p50:,.0f}, p99 {p99:,.0f}, max {most:,.0f} ms"


def fill(warehouse: str, table: str, columns: list[str], count: int) -> None:
    """Add generated rows to a table of flat documents."""
    names = ", ".join(f'"{name}"' for name in columns)
    statement = GENERATED.format(table=f"{table} ({names})", count=count)
    with psycopg.connect(warehouse, autocommit=True) as connection:
        connection.execute(statement.encode())
        connection.execute(f"vacuum analyze {table}".encode())


def size(warehouse: str, table: str) -> int:
    """Bytes of a table with its indexes."""
    with psycopg.connect(warehouse) as connection:
        found = connection.execute("select pg_total_relation_size(%s::regclass)", [table]).fetchone()
    return int(found[0]) if found else 0


@contextmanager
def repeating(operation: Callable[[int], None], pause: float = 0.005) -> Iterator[Delays]:
    """Run an operation again and again in a thread, and time each turn."""
    delays, ended = Delays(), threading.Event()

    def run() -> None:
        turn = 0
        while not ended.wait(pause):
            started = time.perf_counter()
            operation(turn)
            delays.seconds.append(time.perf_counter() - started)
            turn += 1

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield delays
    finally:
        ended.set()
        thread.join()


@contextmanager
def statements(warehouse: str, statement: str, count: int) -> Iterator[Delays]:
    """Run a statement on one generated row after the other, each in a transaction of its own."""
    with psycopg.connect(warehouse, autocommit=True) as connection:

        def once(turn: int) -> None:
            connection.execute(statement.encode(), [f"generated {turn * 7_919 % count + 1}"])

        with repeating(once) as delays:
            yield delays


@contextmanager
def streaming(collection: Any, warehouse: str, table: str) -> Iterator[Delays]:
    """Insert one document after the other; each turn ends when its row is visible."""
    with psycopg.connect(warehouse, autocommit=True) as connection:

        def once(turn: int) -> None:
            key = ObjectId()
            collection.insert_one({"_id": key, "turn": turn})
            query = f"select from {table} where _id = %s"
            wait_for(lambda: connection.execute(query.encode(), [str(key)]).fetchone() is not None)

        with repeating(once) as delays:
            yield delays


def wait_for(condition: Callable[[], bool], pause: float = 0.001) -> float:
    """Seconds until a condition holds."""
    started = time.perf_counter()
    while not condition():
        if time.perf_counter() - started > PATIENCE_SECONDS:
            raise SystemExit("waited in vain for a rewrite; see the log")
        time.sleep(pause)
    return time.perf_counter() - started
