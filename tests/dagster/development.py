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
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import yaml
from pymongo import MongoClient

from warp_resources.connectors.ports import free_port

ROOT = Path(__file__).parents[2]
LOCATION, REPOSITORY, ASSET_JOB = "warp_assets.definitions", "__repository__", "__ASSET_JOB"
DRAINER = "warp_sensors.drain"
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


class Dagster:
    """``dagster dev`` over a configuration, as users start it; ``schema`` is the one whose drainer is asked for."""

    def __init__(self, file: Path, home: Path, warehouse: str, schema: str) -> None:
        self._port = free_port()
        self._home = home
        self._file = file
        self._schema = schema
        self._warehouse = psycopg.connect(warehouse, autocommit=True)
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
        with (self._home / "dagster.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, "CARTRIDGE_WARP_CONFIG": str(self._file), "DAGSTER_HOME": str(self._home)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        eventually(self._answers, 300)

    def stop(self, *, patiently: bool = True) -> None:
        """End it as Ctrl-C does; the drainer outlives it by its mandate, and no longer, or is told to end too."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(60)
        if not patiently and (drainer := self.drainer()):
            os.kill(drainer, signal.SIGTERM)
        eventually(lambda: not self.drainer(), 40)
        self._warehouse.close()

    def processes(self, *words: str) -> list[psutil.Process]:
        """Its own processes, the drainers apart, whose command line has these words."""
        assert self._process is not None
        try:
            whole = [psutil.Process(self._process.pid), *psutil.Process(self._process.pid).children(recursive=True)]
        except psutil.NoSuchProcess:
            return []
        lines = {process: _command_line(process) for process in whole}
        return [
            process
            for process, line in lines.items()
            if DRAINER not in line and all(any(word in part for part in line) for word in words)
        ]

    def kill(self) -> None:
        """End all of it at once, as a machine does that runs out of memory; the drainer is not of it."""
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        assert self._process is not None
        self._process.wait(30)

    def reload(self) -> None:
        """Load the code again, as the button of the UI does."""
        query = "mutation($name: String!) { reloadRepositoryLocation(repositoryLocationName: $name) { __typename } }"
        found = self.graphql(query, name=LOCATION)["reloadRepositoryLocation"]
        assert found["__typename"] == "WorkspaceLocationEntry", found

    def graphql(self, query: str, **variables: Any) -> Any:
        """The data of an answer."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._port}/graphql", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
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
        """The process that drains the schema, by its lease."""
        query = "select pid from cartridge_warp_metadata.leases where name = %s and expires_at > now()"
        found = self.rows(query, f"drain:{self._schema}")
        return int(found[0][0]) if found else None

    def reader(self) -> int | None:
        """A process that reads a slice of the schema, by its lease."""
        query = "select pid from cartridge_warp_metadata.leases where name like %s and expires_at > now()"
        found = self.rows(query, f"slice:{self._schema}.%")
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
        run = self.launch(job, config, **selection)
        return str(eventually(lambda: self.ended(run), 180))

    def launch(self, job: str, config: dict[str, Any] | None = None, **selection: Any) -> str:
        """Launch a run; its id."""
        parameters = {
            "selector": {**self._selector, "pipelineName": job, **selection},
            "mode": "default",
            "runConfigData": {"ops": {f"{job}_tables": {"config": config}}} if config else {},
        }
        query = """mutation($its: ExecutionParams!) { launchRun(executionParams: $its) {
            __typename ... on LaunchRunSuccess { run { runId } } } }"""
        launched = self.graphql(query, its=parameters)["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess"
        return str(launched["run"]["runId"])

    def retries(self, run: str) -> list[str]:
        """The statuses of the runs that Dagster itself started again after this one, newest first."""
        query = """query($its: RunsFilter!) { runsOrError(filter: $its) { ... on Runs {
            results { status tags { key value } } } } }"""
        found = self.graphql(query, its={"tags": [{"key": "dagster/root_run_id", "value": run}]})["runsOrError"]
        return [its["status"] for its in found["results"]]

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

    def ended(self, run: str) -> str | None:
        """The status of a run that has ended."""
        status = self.graphql("query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }", id=run)[
            "runOrError"
        ]
        return status["status"] if status["status"] in ENDED else None


class Development(Dagster):
    """A schema that streams (``shop``), one that is synced every minute (``crm``), and Dagster over both."""

    def __init__(self, mongo: MongoClient[dict[str, Any]], uri: str, prefix: str, warehouse: str, home: Path) -> None:
        self.shop, self.crm = mongo[f"{prefix}_shop"], mongo[f"{prefix}_crm"]
        settings = {
            "source": {"type": "mongodb", "connection_string": uri},
            "destination": {"type": "postgresql", "connection_string": warehouse},
            "schemas": [
                {"name": "shop", "database": self.shop.name, "mode": "stream"},
                {"name": "crm", "database": self.crm.name, "mode": "batch", "schedule": "* * * * *"},
            ],
        }
        file = home / "warp.yaml"
        file.write_text(yaml.safe_dump(settings))
        super().__init__(file, home, warehouse, "shop")


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []
