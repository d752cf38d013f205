"""Proves that a project can be reached, and that datasets can be made and written in it."""

from __future__ import annotations

from collections.abc import Sequence

from google.api_core import exceptions as api

from warp_resources.connectors.bigquery.session import Session
from warp_resources.errors import OperatorError


def check_service(session: Session, schemas: Sequence[str]) -> None:
    """Ask for a query and for each dataset that is there, without changing anything.

    Raises:
        OperatorError: jobs are not allowed, or a dataset is in another location.
    """
    session.run("select 1", kind="check")
    for schema in dict.fromkeys(schemas):
        _check_location(session, schema)


def _check_location(session: Session, schema: str) -> None:
    def location() -> str | None:
        try:
            return str(session.client.get_dataset(f"{session.project}.{schema}", timeout=session.patience).location)
        except api.NotFound:
            return None

    found = session.answered(location, "look at a dataset")
    if found is not None and session.location is not None and found.lower() != session.location.lower():
        raise OperatorError(
            f"The dataset {schema} is in {found}, not in {session.location}",
            remedy="Set destination.location to where the dataset is: one transaction has one location",
        )
