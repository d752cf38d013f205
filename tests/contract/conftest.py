"""Runs the contract of each role against every connector that is built in."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.contract.laboratories import (
    DestinationLab,
    MemoryDestinationLab,
    MemorySourceLab,
    MongoSourceLab,
    PostgresDestinationLab,
    SourceLab,
)
from tests.contract.mongodb_reading import Reading
from tests.fixtures.servers import MongoDatabase
from warp_resources.connectors.interfaces import SourceScope
from warp_resources.connectors.mongodb.options import MongoOptions
from warp_resources.connectors.mongodb.source import MongoSource


@pytest.fixture(params=["memory", pytest.param("postgresql", marks=pytest.mark.servers)])
def lab(request: pytest.FixtureRequest) -> Iterator[DestinationLab]:
    """A destination's server, empty."""
    made: DestinationLab
    if request.param == "memory":
        made = MemoryDestinationLab(f"memory-{uuid.uuid4().hex}")
    else:
        made = PostgresDestinationLab(request.getfixturevalue("warehouse"))
    yield made
    made.close()


@pytest.fixture(params=["memory", pytest.param("mongodb", marks=pytest.mark.servers)])
def source_lab(request: pytest.FixtureRequest) -> Iterator[SourceLab]:
    """A source's server with one table, ``existing``."""
    made: SourceLab
    if request.param == "memory":
        made = MemorySourceLab(f"memory-{uuid.uuid4().hex}")
    else:
        made = MongoSourceLab(*request.getfixturevalue("mongo_db"))
    yield made
    made.close()


@pytest.fixture
def reading(mongo_db: MongoDatabase) -> Iterator[Reading]:
    """A MongoDB source over a database of its own."""
    source = MongoSource(MongoOptions(connection_string=mongo_db.uri))
    yield Reading(source, SourceScope("shop", mongo_db.name), mongo_db.database)
    source.close()
