"""``python -m benchmarks``: every figure of the design, ours beside the limit, on embedded real servers."""

from __future__ import annotations

import argparse
import os
import platform
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg
import yaml
from bson import ObjectId
from pymongo import MongoClient

from benchmarks import bigquery_jobs, documents, limits, rewrites
from benchmarks.measure import Cost, TreeMeter, measured
from warp_resources.connectors.mongodb.embedded import EmbeddedMongod
from warp_resources.connectors.ports import free_port
from warp_resources.connectors.postgresql.embedded import EmbeddedPostgres

WARP, DAGSTER = (str(Path(sys.executable).parent / name) for name in ("cartridge-warp", "dagster"))


@dataclass
class Bench:
    """The servers, the scale and the lines of the report."""

    mongo: EmbeddedMongod
    postgres: EmbeddedPostgres
    client: MongoClient[dict[str, Any]]
    folder: Path
    scale: float

    def count(self, full: int) -> int:
        return max(1000, int(full * self.scale))

    def config(self, database: str) -> tuple[dict[str, str], str]:
        """A warehouse of its own and the environment that points at its configuration."""
        warehouse = self.postgres.create_database(f"w_{database}")
        path = self.folder / f"{database}.yaml"
        content = {
            "source": {"type": "mongodb", "connection_string": self.mongo.uri, "database": database},
            "destination": {"type": "postgresql", "connection_string": warehouse},
            "schemas": [{"name": database, "mode": "stream"}],
            "monitoring": {"prometheus": {"enabled": False}},
        }
        path.write_text(yaml.safe_dump(content))
        return {**os.environ, "CARTRIDGE_WARP_CONFIG": str(path)}, warehouse

    def once(self, environment: dict[str, str]) -> Cost:
        return measured([WARP, "run", "--once"], environment, self.folder / "run.log")


def say(name: str, figure: str, cost: Cost | None = None) -> None:
    tail = (
        f"  {cost.seconds:6.2f} s wall, {cost.cpu_seconds:6.2f} s CPU, peak {cost.peak_bytes / 2**20:.0f} MiB"
        if cost
        else ""
    )
    print(f"{name:<48}{figure:>26}{tail}", flush=True)


def full_load(bench: Bench, name: str, make: Callable[[int], dict[str, Any]], full: int) -> None:
    database, count = f"load_{name}", bench.count(full)
    documents.fill(bench.client[database].items, make, count)
    raw = limits.raw_read(bench.mongo.uri, database, "items")
    environment, warehouse = bench.config(database)
    cost = bench.once(environment)
    rate = count / cost.seconds
    if rows(warehouse, database) != count:
        raise SystemExit(f"{database}: {rows(warehouse, database)} rows of {count} arrived")
    say(f"full load, {count:,} {name} documents", f"{rate:,.0f} rows/s", cost)
    say("  limit: raw find and getMore, discarded", f"{raw:,.0f} rows/s ({rate / raw:.0%})")
    copy = limits.binary_copy(warehouse, count)
    say("  limit: binary COPY into a table with a key", f"{copy:,.0f} rows/s ({rate / copy:.0%})")
    bench.client.drop_database(database)


def verify(bench: Bench) -> None:
    database, count = "verified", bench.count(1_000_000)
    documents.fill(bench.client[database].items, documents.flat, count)
    environment, _ = bench.config(database)
    loaded = bench.once(environment)
    cost = measured([WARP, "verify"], environment, bench.folder / "verify.log")
    say(f"verify, {count:,} flat documents", f"{count / cost.seconds:,.0f} rows/s", cost)
    say("  beside the full load of the same rows", f"{loaded.seconds / cost.seconds:.0%} of its speed")
    bench.client.drop_database(database)


def backlog(bench: Bench) -> None:
    database, count = "backlog", bench.count(300_000)
    documents.fill(bench.client[database].items, documents.flat, bench.count(300_000))
    environment, warehouse = bench.config(database)
    bench.once(environment)
    start = bench.client.admin.command("ping")["operationTime"]
    documents.change(bench.client[database].items, count)
    cost = bench.once(environment)
    rate = count / cost.seconds
    left, right = rows(warehouse, database), bench.client[database].items.count_documents({})
    if left != right:
        raise SystemExit(f"backlog: {left} rows, {right} documents")
    say(f"backlog of {count:,} changes", f"{rate:,.0f} changes/s", cost)
    raw = limits.raw_stream(bench.mongo.uri, database, start, int(count * 0.95))
    say("  limit: raw change stream, discarded", f"{raw:,.0f} changes/s ({rate / raw:.0%})")


def incremental(bench: Bench) -> None:
    database = "incremental"
    collection = bench.client[database].items
    documents.fill(collection, documents.flat, bench.count(100_000))
    environment, _ = bench.config(database)
    bench.once(environment)
    collection.update_many({"number": {"$lt": 10_000}}, {"$inc": {"score": 1}})
    documents.fill(collection, documents.flat, 1_000)
    cost = bench.once(environment)
    say("incremental, 10,000 updates and 1,000 inserts", f"{cost.seconds:.2f} s with its start", cost)


def light_load(bench: Bench) -> None:
    light(bench, "light", "headless", [WARP, "run"])


def light_load_under_dagster(bench: Bench) -> None:
    root = Path(__file__).parent.parent
    port = str(free_port())
    command = [DAGSTER, "dev", "--workspace", str(root / "workspace.yaml"), "--host", "127.0.0.1", "--port", port]
    light(bench, "light_dagster", "under dagster dev", command)


def light(bench: Bench, database: str, name: str, command: list[str]) -> None:
    """Delay of single writes while ``command`` replicates."""
    collection = bench.client[database].items
    documents.fill(collection, documents.flat, 1_000)
    environment, warehouse = bench.config(database)
    home = bench.folder / f"{database}_home"
    home.mkdir()
    with (bench.folder / f"{database}.log").open("wb") as log:
        process = subprocess.Popen(
            command, env={**environment, "DAGSTER_HOME": str(home)}, stdout=log, stderr=log, cwd=bench.folder
        )
    meter = TreeMeter(process.pid)
    try:
        wait_for(lambda: rows(warehouse, database) == 1_000, 120)
        late = latencies(collection, warehouse, database, int(500 * min(1.0, bench.scale)))
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
        meter.stop()
    cuts = statistics.quantiles(late, n=100)
    figure = f"p50 {cuts[49] * 1000:.1f} ms, p99 {cuts[98] * 1000:.1f} ms"
    say(f"light load, {len(late)} writes at 50/s, {name}", figure)
    if command[0] == WARP:
        say("  peak memory of the process tree", f"{meter.peak_bytes / 2**20:.0f} MiB")


def latencies(collection: Any, warehouse: str, schema: str, writes: int) -> list[float]:
    """Seconds from each write's acknowledgement to its row being visible."""
    late = []
    with psycopg.connect(warehouse, autocommit=True) as connection:
        for index in range(max(100, writes)):
            key = ObjectId()
            collection.insert_one({**documents.flat(index), "_id": key})
            written = time.perf_counter()
            query = f'select 1 from "{schema}".items where _id = %s'
            while connection.execute(query, (str(key),)).fetchone() is None:
                if time.perf_counter() - written > 20:
                    raise SystemExit("a write was not visible after 20 s")
            late.append(time.perf_counter() - written)
            time.sleep(random.uniform(0.0, 0.04))
    return late


def rows(warehouse: str, schema: str) -> int:
    with psycopg.connect(warehouse) as connection:
        try:
            found = connection.execute(f'select count(*) from "{schema}".items').fetchone()
        except psycopg.errors.UndefinedTable:
            return -1
    return int(found[0]) if found else -1


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("waited in vain; see the log")
        time.sleep(0.05)


def rewrite(bench: Bench) -> None:
    """A column of a large table becomes text while the table and another one are streamed and read."""
    database, count, table = "rewriting", bench.count(5_000_000), "rewriting.items"
    collection = bench.client[database].items
    documents.fill(collection, documents.flat, 1_000)
    bench.client[database].others.insert_one({"turn": 0})
    environment, warehouse = bench.config(database)
    bench.once(environment)
    columns = [*documents.flat(0), "_warp_sequence", "_warp_synced_at"]
    rewrites.fill(warehouse, table, columns, count)
    with psycopg.connect(warehouse, autocommit=True) as connection:
        connection.execute("create table direct as select * from rewriting.items")
        started = time.perf_counter()
        connection.execute("alter table direct alter score type text using score::text")
        say(f"limit: ALTER of {count:,} rows, locked", f"{time.perf_counter() - started:.2f} s")
        connection.execute("drop table direct")
    before = rewrites.size(warehouse, table)
    log_path = bench.folder / "rewrite.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen([WARP, "run"], env=environment, stdout=log, stderr=log)
    try:
        rewriting(bench, warehouse, count)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
    say(
        "  size with indexes, before and after",
        f"{before / 2**20:,.0f} and {rewrites.size(warehouse, table) / 2**20:,.0f} MiB",
    )


def rewriting(bench: Bench, warehouse: str, count: int) -> None:
    source, table = bench.client["rewriting"], "rewriting.items"
    read = f"select from {table} where _id = %s"
    with (
        psycopg.connect(warehouse, autocommit=True) as connection,
        rewrites.streaming(source.others, warehouse, "rewriting.others") as streamed,
        rewrites.statements(warehouse, read, count) as readers,
        rewrites.statements(warehouse, f"{read} for update", count) as lockers,
    ):
        wait_for(lambda: len(streamed.seconds) > 20, 60)
        for delays in (streamed, readers, lockers):
            delays.seconds.clear()
        key = ObjectId()
        source.items.insert_one({**documents.flat(1), "_id": key, "score": "high"})
        query = f"select from {table} as t where _id = %s and to_jsonb(t)::text like '%%\"high\"%%'"
        arrived = rewrites.wait_for(lambda: connection.execute(query.encode(), [str(key)]).fetchone() is not None)
        left = "select from cartridge_warp_metadata.rewrites"
        filled = rewrites.wait_for(lambda: connection.execute(left.encode()).fetchone() is None, pause=0.1)
    say(f"type change of {count:,} rows, until visible", f"{arrived * 1000:,.0f} ms")
    say("  until every row is rewritten", f"{filled:.1f} s ({count / filled:,.0f} rows/s)")
    say("  meanwhile: reads of the table by key", str(readers))
    say("  meanwhile: select for update by key", str(lockers))
    say("  meanwhile: another table's stream", str(streamed))


PARTS: dict[str, Callable[[Bench], None]] = {
    "flat": lambda bench: full_load(bench, "flat", documents.flat, 1_000_000),
    "nested": lambda bench: full_load(bench, "nested", documents.nested, 300_000),
    "verify": verify,
    "backlog": backlog,
    "incremental": incremental,
    "light": light_load,
    "dagster": light_load_under_dagster,
    "rewrite": rewrite,
    "bigquery": lambda bench: bigquery_jobs.report(bench.mongo.uri, bench.folder, WARP, say),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full number of documents")
    chosen = parser.parse_args()
    packages = ", ".join(f"{name} {version(name)}" for name in ("pyarrow", "pymongo", "psycopg", "pgpq", "orjson"))
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores; {packages}")
    with (
        tempfile.TemporaryDirectory(prefix="warp-bench-") as folder,
        EmbeddedMongod(cache_gb=1.0) as mongo,
        EmbeddedPostgres(settings={"shared_buffers": "512MB", "max_wal_size": "8GB"}) as postgres,
        MongoClient[dict[str, Any]](mongo.uri, tz_aware=True) as client,
    ):
        bench = Bench(mongo, postgres, client, Path(folder), chosen.scale)
        for name in chosen.only or PARTS:
            PARTS[name](bench)


if __name__ == "__main__":
    main()
