"""``dagster dev`` over real servers, driven from outside: by GraphQL and by looking into the databases."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import yaml
from pymongo import MongoClient

from warp_resources.connectors.ports import free_port

ROOT = Path(__file__).parents[2]
LOCATION, REPOSITORY, ASSET_JOB = "warp_assets.definitions", "__repository__", "__ASSET_JOB"
ENDED = ("SUCCESS", "FAILURE", "CANCELED")


def eventually(holds: Callable[[], Any], seconds: float = 60.0) -> Any:
    """What ``holds`` returns, once it is something."""
    deadline = time.monotonic() + seconds
    while True:
        found = holds()
        if found:
            return found
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.1)


class Development:
    """A schema that streams (``shop``), one that is synced every minute (``crm``), and Dagster over both."""

    def __init__(self, mongo: MongoClient[dict[str, Any]], uri: str, prefix: str, warehouse: str, home: Path) -> None:
        self.shop, self.crm = mongo[f"{prefix}_shop"], mongo[f"{prefix}_crm"]
        self._port = free_port()
        self._home = home
        self._file = home / "warp.yaml"
        self._warehouse = psycopg.connect(warehouse, autocommit=True)
        settings = {
            "source": {"type": "mongodb", "connection_string": uri},
            "destination": {"type": "postgresql", "connection_string": warehouse},
            "schemas": [
                {"name": "shop", "database": self.shop.name, "mode": "stream"},
                {"name": "crm", "database": self.crm.name, "mode": "batch", "schedule": "* * * * *"},
            ],
        }
        self._file.write_text(yaml.safe_dump(settings))
        shutil.copy(ROOT / "dagster.yaml", home)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until the webserver answers."""
        command = [
            ROOT / ".venv/bin/dagster",
            "dev",
            "-w",
            ROOT / "workspace.yaml",
            "-h",
            "127.0.0.1",
            "-p",
            str(self._port),
        ]
        if not command[0].exists():
            command[0] = Path(shutil.which("dagster") or "dagster")
        with (self._home / "dagster.log").open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, "CARTRIDGE_WARP_CONFIG": str(self._file), "DAGSTER_HOME": str(self._home)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        eventually(self._answers, 90)

    def stop(self) -> None:
        """End it as Ctrl-C does; the drainer outlives it by its mandate, and no longer."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(60)
        eventually(lambda: not self.drainer(), 40)
        self._warehouse.close()

    def graphql(self, query: str, **variables: Any) -> Any:
        """The data of an answer."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._port}/graphql", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            found = json.load(answer)
        assert "errors" not in found, found["errors"]
        return found["data"]

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """What the warehouse answers; nothing while the table is not there."""
        try:
            return self._warehouse.execute(query, parameters or None).fetchall()
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            return []

    def drainer(self) -> int | None:
        """The process that drains the shop, by its lease."""
        found = self.rows(
            "select pid from cartridge_warp_metadata.leases where name = 'drain:shop' and expires_at > now()"
        )
        return int(found[0][0]) if found else None

    def assets(self) -> dict[tuple[str, ...], dict[str, Any]]:
        nodes = self.graphql("{assetNodes{assetKey{path} isPartitioned groupName kinds partitionKeys}}")["assetNodes"]
        return {tuple(node["assetKey"]["path"]): node for node in nodes}

    def events(self, *path: str) -> list[dict[str, Any]]:
        """The materializations of an asset, newest first, with whole numbers as metadata."""
        query = """query($key: AssetKeyInput!) { assetOrError(assetKey: $key) { ... on Asset {
            assetMaterializations(limit: 200) { partition runId metadataEntries {
                label ... on IntMetadataEntry { intValue } } } } } }"""
        found = self.graphql(query, key={"path": path})["assetOrError"].get("assetMaterializations", [])
        return [{**its, "metadata": {m["label"]: m.get("intValue") for m in its["metadataEntries"]}} for its in found]

    def run(self, job: str, config: dict[str, Any] | None = None, **selection: Any) -> str:
        """Launch a run and wait for its end; its status."""
        parameters = {
            "selector": {**self._selector, "pipelineName": job, **selection},
            "mode": "default",
            "runConfigData": {"ops": {f"{job}_tables": {"config": config}}} if config else {},
        }
        query = """mutation($its: ExecutionParams!) { launchRun(executionParams: $its) {
            __typename ... on LaunchRunSuccess { run { runId } } } }"""
        launched = self.graphql(query, its=parameters)["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess"
        return str(eventually(lambda: self._ended(launched["run"]["runId"]), 180))

    def backfill(self, path: tuple[str, ...], keys: list[str]) -> str:
        """Launch a backfill; its id."""
        query = """mutation($its: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $its) {
            __typename ... on LaunchBackfillSuccess { backfillId } } }"""
        found = self.graphql(query, its={"assetSelection": [{"path": path}], "partitionNames": keys})
        return str(found["launchPartitionBackfill"]["backfillId"])

    def backfill_runs(self, backfill: str) -> list[str] | None:
        """The statuses of a backfill's runs, once it has ended."""
        query = """query($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill {
            status runs(limit: 50) { status } } } }"""
        found = self.graphql(query, id=backfill)["partitionBackfillOrError"]
        return [run["status"] for run in found["runs"]] if found["status"].startswith(("COMPLETED", "FAILED")) else None

    def switch(self, sensor: str, *, on: bool) -> None:
        """Switch a sensor on or off, as its page does."""
        selector = {**self._selector, "sensorName": sensor}
        if on:
            self.graphql("mutation($s: SensorSelector!) { startSensor(sensorSelector: $s) { __typename } }", s=selector)
            return
        query = (
            "query($s: SensorSelector!) { sensorOrError(sensorSelector: $s) { ... on Sensor { sensorState { id } } } }"
        )
        state = self.graphql(query, s=selector)["sensorOrError"]["sensorState"]["id"]
        self.graphql("mutation($id: String!) { stopSensor(id: $id) { __typename } }", id=state)

    @property
    def _selector(self) -> dict[str, str]:
        return {"repositoryLocationName": LOCATION, "repositoryName": REPOSITORY}

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._home / "dagster.log").read_text()
        try:
            return bool(self.assets())
        except (OSError, urllib.error.URLError):
            return False

    def _ended(self, run: str) -> str | None:
        status = self.graphql("query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }", id=run)[
            "runOrError"
        ]
        return status["status"] if status["status"] in ENDED else None
