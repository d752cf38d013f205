"""How far the type changes of large tables have come."""

from __future__ import annotations

from dataclasses import dataclass

from warp_resources.model.tables import TableId


@dataclass(frozen=True, slots=True)
class RewriteState:
    """The columns of a table that are being rewritten, by source name, and the share of it that is done.

    ``is_waiting``: others hold locks that the next step needs; it is tried again later.
    """

    table: TableId
    columns: tuple[str, ...]
    share: float
    is_waiting: bool = False
