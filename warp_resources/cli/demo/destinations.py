"""The destinations that the demonstration has: how each is started, looked into and read back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from warp_resources.cli.demo.reading import Reading


@dataclass(frozen=True, slots=True)
class Served:
    """A destination that runs: what a configuration says of it, who reads it, and a hint for the spectator.

    ``drain_seconds``: how long it may take for what is on its way when the changes end.
    """

    options: Mapping[str, str | int]
    reading: Reading
    hint: str
    drain_seconds: float = 60.0


Serve: TypeAlias = Callable[[Path], AbstractContextManager[Served]]


@contextmanager
def _postgresql(folder: Path) -> Iterator[Served]:
    from warp_resources.connectors.postgresql.demo import PostgresReading
    from warp_resources.connectors.postgresql.embedded import EmbeddedPostgres

    # Nothing outlives the demonstration, so nothing needs to survive a power cut.
    with EmbeddedPostgres(folder / "postgresql", settings={"fsync": "off"}) as server:
        uri = server.uri()
        hint = f"{uri}\n      psql; select count(*), max(_warp_synced_at) from {{schema}}.orders"
        yield Served({"type": "postgresql", "connection_string": uri}, PostgresReading(uri), hint)


@contextmanager
def _bigquery(folder: Path) -> Iterator[Served]:
    from warp_resources.connectors.bigquery.demo_reading import BigQueryReading
    from warp_resources.connectors.bigquery.embedded import EmbeddedBigQuery

    with EmbeddedBigQuery(folder / "bigquery") as server, BigQueryReading(server.options()) as reading:
        # Sooner than the bill of the service would like, because somebody is watching.
        options: dict[str, str | int] = {
            **server.options(),
            "min_interval": 1,
            "state_file": str(folder / "leases.sqlite"),
        }
        hint = (
            f"{server.api_endpoint} (a BigQuery of this machine, project {server.project})\n"
            f"      bq --api {server.api_endpoint} --project_id {server.project} query "
            "'select count(*), max(_warp_synced_at) from {schema}.orders'"
        )
        yield Served(options, reading, hint, drain_seconds=240.0)


DESTINATIONS: Mapping[str, tuple[str, Serve]] = MappingProxyType(
    {"postgresql": ("PostgreSQL", _postgresql), "bigquery": ("a BigQuery emulator", _bigquery)}
)
"""By the name of its connector: what it is called, and what starts it in a folder."""
