"""Says how fresh a reading of the source must be, so that it is not older than what is written."""

from __future__ import annotations

from warp_resources.connectors.interfaces import Source
from warp_resources.model.positions import ChunkBasis, Position


def not_before(source: Source, basis: ChunkBasis) -> Position | None:
    """The place in the log up to which the table was written by the time its basis was noted, or a later one.

    A table that is set aside may be ahead of its stream, since it catches up through a stream of its own.
    """
    stream, aside = basis.stream_position, basis.aside_position
    if stream is None or aside is None:
        return stream
    return stream if source.has_delivered(stream, aside) else aside
