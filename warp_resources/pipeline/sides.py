"""The two sides of a unit, open for comparing: nothing is written through them."""

from __future__ import annotations

import glob
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace

from warp_resources.connectors.interfaces import Destination, ReadLimits, Source, SourceScope
from warp_resources.model.batches import TableBatch
from warp_resources.model.positions import ChunkBasis, KeyRange
from warp_resources.model.tables import TableId
from warp_resources.pipeline.engine import Engine, Unit, check_source, open_writer
from warp_resources.pipeline.freshness import not_before
from warp_resources.pipeline.options import open_destination, open_source
from warp_resources.pipeline.writer import Writer


@dataclass(frozen=True, slots=True)
class Sides:
    """A source, a destination, and the way in which batches of the one are fitted to the other."""

    unit: Unit
    source: Source
    destination: Destination
    writer: Writer
    stop: threading.Event

    @property
    def scope(self) -> SourceScope:
        return self.unit.scope

    def table(self, name: str) -> TableId:
        return TableId(self.unit.schema, name)

    def limits(self, table: str) -> ReadLimits:
        """What to read at once; how much is written at once does not matter."""
        return ReadLimits(self.unit.settings(table).full_load_batch_size, self.unit.max_bytes)


def sides_of(engine: Engine) -> Sides:
    """The sides that an engine has open."""
    return Sides(engine.unit, engine.source, engine.destination, engine.writer, engine.stop)


@contextmanager
def open_sides(unit: Unit, stop: threading.Event) -> Iterator[Sides]:
    """Open a unit for reading only; closes everything at the end.

    Raises:
        OperatorError: the source has no such database: what is not there says nothing of any row.
    """
    with closing(open_source(unit.config)) as source, closing(open_destination(unit.config)) as destination:
        check_source(unit, source)
        yield between(unit, source, destination, stop)


def between(unit: Unit, source: Source, destination: Destination, stop: threading.Event) -> Sides:
    """The sides of a unit whose connections are open already."""
    writer = open_writer(unit, source, destination, run_id="", warns=False)
    return Sides(unit, source, destination, writer, stop)


def narrowed(scope: SourceScope, table: str) -> SourceScope:
    """A scope of one table only."""
    return replace(scope, include=(glob.escape(table),), exclude=())


def has_table(source: Source, scope: SourceScope, table: str) -> bool:
    """Whether the source still has a table: what was read of one that is gone proves nothing of its rows (X3)."""
    return any(found.name == table for found in source.tables(narrowed(scope, table)))


def read_range(sides: Sides, table: TableId, key_range: KeyRange) -> Iterator[tuple[TableBatch, ChunkBasis]]:
    """The chunks of a range of keys, each with what was noted before it was read."""
    resume, is_last = None, False
    while not is_last and not sides.stop.is_set():
        basis = sides.destination.chunk_basis(table)
        after = not_before(sides.source, basis)
        chunk = sides.source.read_chunk(sides.scope, table.name, key_range, resume, sides.limits(table.name), after)
        resume, is_last = chunk.resume, chunk.is_last
        yield chunk.batch, basis
