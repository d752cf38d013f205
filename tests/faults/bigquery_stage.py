"""A stage whose warehouse is a BigQuery project, looked at without a query."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.stage import Stage
from tests.fixtures.servers import BigQueryProject, MongoDatabase
from tests.pairs.oracle import same
from tests.pairs.process import Command
from warp_resources.connectors.bigquery.options import BigQueryOptions
from warp_resources.connectors.bigquery.session import Session
from warp_resources.errors import OperatorError


@dataclass
class BigQueryStage(Stage):
    """``project`` is the emulator's own; the command may go through a proxy."""

    project: BigQueryProject | None = None

    def differences(self, *tables: str) -> list[str]:
        names = tables or sorted(self.database.list_collection_names())
        with closing(self.session()) as session:
            return [f"{name}: {one}" for name in names for one in self._differences(session, name)]

    def query(self, statement: str, *parameters: object) -> list[Any]:
        """The first column of a query; ``%s`` is the schema's name."""
        return [row[0] for row in self.run(statement.replace("%s", f"'{self.schema}'"))]

    def run(self, statement: str) -> list[Any]:
        with closing(self.session()) as session:
            return session.run(statement)

    def session(self) -> Session:
        assert self.project is not None
        return Session(BigQueryOptions(**self.project.endpoints))  # type: ignore[arg-type]

    def _differences(self, session: Session, name: str) -> list[str]:
        try:
            stored = session.rows(f"{session.project}.{self.schema}.{name}")
        except OperatorError as error:
            return [f"the table's columns changed between two looks: {error}"]
        by_key = {row["_id"]: row for row in stored}
        keys = {row["_warp_key"] for row in stored}
        found = [] if len(by_key) == len(keys) == len(stored) else [f"{len(stored) - len(keys)} keys twice"]
        for document in self.database[name].find():
            row = by_key.pop(document["_id"], None)
            if row is None:
                found.append(f"{document['_id']} is missing")
                continue
            columns = {key for key, _ in row.items() if not key.startswith("_warp")}
            found += [
                f"{document['_id']}.{column}: {document.get(column)!r} is {row.get(column)!r}"
                for column in {*document, *columns} - {"_id"}
                if not _same(document.get(column), row.get(column))
            ]
        return (found + [f"{key} is too many" for key in by_key])[:10]


def _same(value: Any, stored: Any) -> bool:
    """The same by value and type; in a column that has had several types, by its text."""
    return same(value, stored) or (isinstance(stored, str) and stored in (str(value), json.dumps(value, default=str)))


def bigquery_stage(
    folder: Path, source: MongoDatabase, project: BigQueryProject, endpoint: str | None = None, **schema: Any
) -> BigQueryStage:
    """A stage whose command reaches the project at an endpoint of its own, if one is given."""
    destination = {**project.options, "min_interval": 0.1, "state_file": str(folder / "state")}
    if endpoint is not None:
        destination["api_endpoint"] = endpoint
    uri = f"bigquery://{destination.pop('project')}"
    top = {"destination": destination, "error_handling": {"max_backoff_seconds": 2}}
    return BigQueryStage(
        Command(folder, source.uri, uri, source.name, top=top, **schema), source.client, uri, project=project
    )
