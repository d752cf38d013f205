"""Runs the contract of each role against every connector that is built in."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.bigquery_source_lab import BigQuerySourceLab
from tests.contract.laboratories import (
    BigQueryDestinationLab,
    DestinationLab,
    MemoryDestinationLab,
    MemorySourceLab,
    MongoSourceLab,
    PostgresDestinationLab,
    SourceLab,
)
from tests.contract.mongodb_reading import Reading
from tests.fixtures.servers import BigQueryProject, MongoDatabase
from warp_resources.connectors.interfaces import SourceScope
from warp_resources.connectors.mongodb.options import MongoOptions
from warp_resources.connectors.mongodb.source import MongoSource
from warp_resources.connectors.registry import source_class


@pytest.fixture(
    params=["memory", *(pytest.param(name, marks=pytest.mark.servers) for name in ("postgresql", "bigquery"))]
)
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DestinationLab]:
    """A destination's server, empty."""
    made: DestinationLab
    if request.param == "memory":
        made = MemoryDestinationLab(f"memory-{uuid.uuid4().hex}")
    elif request.param == "postgresql":
        made = PostgresDestinationLab(request.getfixturevalue("warehouse"))
    else:
        options = request.getfixturevalue("bigquery").endpoints
        made = BigQueryDestinationLab(options, str(tmp_path / "state.sqlite"))
    yield made
    made.close()


SOURCES = ("memory", "mongodb", "bigquery")
LOGGED = [name for name in SOURCES if "log" in source_class(name).capabilities.strategies]


def _params(names: Iterable[str]) -> list[Any]:
    return [name if name == "memory" else pytest.param(name, marks=pytest.mark.servers) for name in names]


@pytest.fixture(params=_params(SOURCES))
def source_lab(request: pytest.FixtureRequest) -> Iterator[SourceLab]:
    """A source's server with one table, ``existing``."""
    yield from _source_lab(request)


@pytest.fixture(params=_params(LOGGED))
def logged_lab(request: pytest.FixtureRequest) -> Iterator[SourceLab]:
    """The same of the sources whose capabilities say that they have a log of changes."""
    yield from _source_lab(request)


def _source_lab(request: pytest.FixtureRequest) -> Iterator[SourceLab]:
    made: SourceLab
    if request.param == "memory":
        made = MemorySourceLab(f"memory-{uuid.uuid4().hex}")
    elif request.param == "bigquery":
        made = BigQuerySourceLab(request.getfixturevalue("bigquery"))
    else:
        made = MongoSourceLab(*request.getfixturevalue("mongo_db"))
    yield made
    made.close()


@pytest.fixture
def bigquery_lab(bigquery: BigQueryProject) -> Iterator[BigQuerySourceLab]:
    """A BigQuery project with one dataset and one table, ``existing``."""
    made = BigQuerySourceLab(bigquery)
    yield made
    made.close()


@pytest.fixture
def reading(mongo_db: MongoDatabase) -> Iterator[Reading]:
    """A MongoDB source over a database of its own."""
    source = MongoSource(MongoOptions(connection_string=mongo_db.uri))
    yield Reading(source, SourceScope("shop", mongo_db.name), mongo_db.database)
    source.close()
