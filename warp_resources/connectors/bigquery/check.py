"""Proves that a project can be reached, and that datasets can be made and written in it."""

from __future__ import annotations

from collections.abc import Sequence

from google.api_core import exceptions as api

from warp_resources.connectors.bigquery.session import Session
from warp_resources.errors import OperatorError


def check_service(session: Session, datasets: Sequence[str]) -> None:
    """Ask for a query and for each dataset that is there, without changing anything.

    Raises:
        OperatorError: jobs are not allowed, or the datasets are not all in one location.
    """
    session.run("select 1", kind="check")
    found = {name: where for name in dict.fromkeys(datasets) if (where := _location(session, name)) is not None}
    wanted = session.location or next(iter(found.values()), None)
    for name, where in found.items():
        if wanted is not None and where.lower() != wanted.lower():
            raise OperatorError(
                f"The dataset {name} is in {where}, not in {wanted}",
                remedy="Set destination.location to where all of them are: one transaction has one location",
            )


def _location(session: Session, name: str) -> str | None:
    def found() -> str | None:
        try:
            return str(session.client.get_dataset(f"{session.project}.{name}", timeout=session.patience).location)
        except api.NotFound:
            return None

    return session.answered(found, "look at a dataset")
