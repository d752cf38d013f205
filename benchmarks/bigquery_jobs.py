"""Counts the jobs that a stream costs in BigQuery: a steady load on ten tables, against the emulator."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from pymongo import MongoClient

from warp_resources.connectors.bigquery.embedded import EmbeddedBigQuery
from warp_resources.connectors.bigquery.options import BigQueryOptions
from warp_resources.connectors.bigquery.session import Session

TABLES, WRITES_PER_SECOND, SECONDS = 10, 50, 180
LOAD_JOBS_PER_HOUR = 100_000 / 24
"""Source: https://cloud.google.com/bigquery/quotas#load_jobs"""


def report(mongo_uri: str, folder: Path, warp: str, say: Callable[[str, str], None]) -> None:
    """Print jobs by kind and hour; they are counted from when the first loads are done."""
    with EmbeddedBigQuery(folder / "bigquery") as server, MongoClient[dict[str, Any]](mongo_uri) as client:
        for number in range(TABLES):
            client.jobs[f"t{number}"].insert_many([{"_id": at, "n": 0} for at in range(100)])
        options = server.options("bench")
        environment = _configured(folder, mongo_uri, options)
        subprocess.run([warp, "run", "--once"], env=environment, check=True, capture_output=True)
        session = Session(BigQueryOptions(**{key: value for key, value in options.items() if key != "type"}))
        before, done = _jobs(session), threading.Event()
        running = subprocess.Popen([warp, "run"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        writer = threading.Thread(target=_write, args=(client, done))
        writer.start()
        time.sleep(SECONDS)
        counted = _jobs(session) - before
        done.set()
        writer.join()
        running.send_signal(signal.SIGTERM)
        running.wait(30)
        session.close()
    for kind, count in sorted(counted.items()):
        say(
            f"BigQuery: {kind} jobs per hour, {TABLES} tables, {WRITES_PER_SECOND} writes/s",
            f"{count * 3600 / SECONDS:,.0f}",
        )
    loads = counted["load"] * 3600 / SECONDS
    say("  load jobs: share of the quota of a project", f"1/{LOAD_JOBS_PER_HOUR / max(loads, 1):,.0f}")


def _configured(folder: Path, mongo_uri: str, options: dict[str, str]) -> dict[str, str]:
    path = folder / "bigquery.yaml"
    content = {
        "source": {"type": "mongodb", "connection_string": mongo_uri, "database": "jobs"},
        "destination": {**options, "state_file": str(folder / "bigquery.sqlite")},
        "schemas": [{"name": "jobs", "mode": "stream"}],
        "monitoring": {"prometheus": {"enabled": False}},
    }
    path.write_text(yaml.safe_dump(content))
    return {**os.environ, "CARTRIDGE_WARP_CONFIG": str(path)}


def _write(client: MongoClient[dict[str, Any]], done: threading.Event) -> None:
    number = 0
    while not done.wait(1 / WRITES_PER_SECOND):
        number += 1
        client.jobs[f"t{number % TABLES}"].update_one({"_id": number % 100}, {"$inc": {"n": 1}})


def _jobs(session: Session) -> Counter[str]:
    """All jobs of the project by kind: ``load``, or the word that a query's name has."""
    names = [str(job.job_id) for job in session.client.list_jobs(max_results=100_000)]
    ours = [name.removeprefix("cartridge_warp_").split("_")[0] for name in names if name.startswith("cartridge_warp_")]
    return Counter(ours)
