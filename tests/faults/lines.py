"""A stage whose command reaches its servers through proxies only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.faults.proxy import Proxy
from tests.faults.stage import Stage, staged
from tests.fixtures.servers import MongoDatabase


@dataclass(frozen=True, slots=True)
class Lines:
    """The stage, and the proxies that its command goes through; load and judgement do not."""

    stage: Stage
    source: Proxy
    destination: Proxy

    @property
    def both(self) -> tuple[Proxy, Proxy]:
        return self.source, self.destination

    def each(self, act: Callable[[Proxy], object], what: str) -> None:
        self.stage.inject(f"{what}: both lines")
        for line in self.both:
            act(line)

    def delay(self, seconds: float) -> None:
        self.stage.inject(f"{seconds:g} s for each piece either way: both lines")
        for line in self.both:
            line.delay = seconds


@contextmanager
def wired(folder: Path, source: MongoDatabase, warehouse: str) -> Iterator[Lines]:
    """The lines between the command and these servers, for the length of a block."""
    to_source, to_destination = (urlsplit(uri).port or 0 for uri in (source.uri, warehouse))
    with Proxy(to_source) as one, Proxy(to_destination) as other:
        uri = f"mongodb://127.0.0.1:{one.port}/?directConnection=true"
        behind = warehouse.replace(f":{to_destination}/", f":{other.port}/")
        stage = staged(folder, source.client, uri, behind, source.name)
        stage.warehouse = warehouse
        yield Lines(stage, one, other)
