"""Writes single rows of a table again: a repair is a chunk, which never overwrites what is newer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial

from warp_resources.errors import LeaseHeld, WarpError
from warp_resources.failpoints import failpoint
from warp_resources.model.positions import BatchCommit, ChunkCommit, batch_lease, slice_lease
from warp_resources.model.tables import TableId
from warp_resources.pipeline.engine import BATCH, STREAM, Engine
from warp_resources.pipeline.freshness import not_before
from warp_resources.pipeline.resync import SNAPSHOT, demand_coverage
from warp_resources.pipeline.sides import has_table
from warp_resources.pipeline.snapshot import planned_slices
from warp_resources.pipeline.verify import Mend

VERIFY = "verify"
"""What a repair is called in ``deletion_log``, and the mode that its rows of a batch table count as."""


@contextmanager
def repairing(engine: Engine, name: str) -> Iterator[Mend]:
    """A ``Mend`` for a table, which takes what it needs (a lease, tombstones) only once there is something to mend.

    Raises:
        LeaseHeld: another process is at the batch table, or reads every slice of it.
    """
    table = engine.table(name)
    begin = _beside_stream if engine.unit.mode == STREAM else _as_batch_writer
    with ExitStack() as opened:
        begun: list[Mend] = []

        def mend(keys: Sequence[str]) -> None:
            if not begun:
                begun.append(opened.enter_context(begin(engine, table)))
            begun[0](keys)

        yield mend


@contextmanager
def _beside_stream(engine: Engine, table: TableId) -> Iterator[Mend]:
    """Within a generation of its own, so that the keys that the stream deletes meanwhile leave tombstones."""
    demand_coverage(engine.destination, table)
    generation, part = f"{VERIFY}-{engine.run_id}", _free_slice(engine, table)
    engine.destination.open_generation(table, generation, (part,), removes_stale=False)
    try:
        epoch, _ = engine.destination.seize_slice(table, generation, part)
        commit = partial(ChunkCommit, table, generation, part, epoch, resume=None, cause=VERIFY)

        def mend(keys: Sequence[str]) -> None:
            engine.leases.demand(slice_lease(table, part))
            basis = engine.destination.chunk_basis(table)
            batch = engine.source.read_keys(engine.scope, table.name, keys, not_before(engine.source, basis))
            if has_table(engine.source, engine.scope, table.name):
                failpoint("repair.read")
                engine.writer.write([batch], commit(basis=basis.sequence, is_done=False))

        yield mend
        engine.writer.write([], commit(basis=engine.destination.chunk_basis(table).sequence, is_done=True))
        engine.destination.close_generation(table, generation, engine.run_id)
    except BaseException:
        with suppress(WarpError):
            engine.destination.abandon_generation(table, generation, "the repair was interrupted")
        raise
    finally:
        engine.leases.release(slice_lease(table, part))
    engine.destination.record_run(engine.run_id, table, SNAPSHOT, "success")


def _free_slice(engine: Engine, table: TableId) -> str:
    """Take a slice that nobody reads just now: whoever does could not commit any more."""
    names = planned_slices(engine, table)
    for name in names[:-1]:
        with suppress(LeaseHeld):
            engine.leases.take(slice_lease(table, name))
            return name
    engine.leases.take(slice_lease(table, names[-1]))
    return names[-1]


@contextmanager
def _as_batch_writer(engine: Engine, table: TableId) -> Iterator[Mend]:
    lease = batch_lease(table)
    with engine.leases.holding(lease):
        epoch = engine.destination.seize_table(table, BATCH).epoch

        def mend(keys: Sequence[str]) -> None:
            engine.leases.demand(lease)
            batch = engine.source.read_keys(engine.scope, table.name, keys, None)
            if has_table(engine.source, engine.scope, table.name):
                failpoint("repair.read")
                engine.writer.write([batch], BatchCommit(table, epoch, None, counted_as=VERIFY, cause=VERIFY))

        yield mend
        engine.destination.record_run(engine.run_id, table, VERIFY, "success")
