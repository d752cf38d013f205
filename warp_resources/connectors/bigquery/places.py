"""Writes down how far a slice is read, and reads that back in another process."""

from __future__ import annotations

import json
from dataclasses import dataclass

from warp_resources.model.positions import KeyRange


@dataclass(frozen=True, slots=True)
class Place:
    """How far a slice is read.

    ``stream``: of the Storage Read API, of whose rows ``offset`` are taken; empty where the part is yet to be begun.
    ``lower``: where the part of the slice begins that the stream is of. ``cuts``: where it ends and the parts after it
    do, but for the last one; a slice that was not cut since has none. ``expired``: how many snapshots of the part are
    gone.
    """

    stream: str = ""
    offset: int = 0
    expired: int = 0
    lower: str | None = None
    cuts: tuple[str, ...] = ()

    def part(self, whole: KeyRange) -> KeyRange:
        """The keys that the stream is of."""
        lower = whole.lower if self.lower is None else self.lower
        return KeyRange(lower, self.cuts[0] if self.cuts else whole.upper)

    def next_part(self) -> Place:
        """The beginning of the part that follows."""
        return Place(lower=self.cuts[0], cuts=self.cuts[1:])

    def text(self) -> str:
        """The place as ``Chunk.resume`` has it; of most slices, in the form that knows the stream alone."""
        its: dict[str, object] = {"stream": self.stream, "offset": self.offset}
        if self.expired:
            its["expired"] = self.expired
        if self.lower is not None or self.cuts:
            its |= {"lower": self.lower, "cuts": list(self.cuts)}
        return json.dumps(its)


def place_in(resume: str) -> Place | None:
    """The place that a text names; None where it names none."""
    try:
        its = json.loads(resume)
        stream, offset, expired = its["stream"], its["offset"], its.get("expired", 0)
        lower, cuts = its.get("lower"), its.get("cuts", [])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    counts = [type(count) is int and count >= 0 for count in (offset, expired)]
    texts = [isinstance(text, str) for text in (stream, *(cuts if isinstance(cuts, list) else [None]))]
    if not all(counts) or not all(texts) or not isinstance(lower, str | None):
        return None
    return Place(stream, offset, expired, lower, tuple(cuts))
