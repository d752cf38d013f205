"""The files that ``init`` writes as they are; the copies at the root of the repository say the same."""

from __future__ import annotations

from importlib.resources import files

DAGSTER, WORKSPACE = "dagster.yaml", "workspace.yaml"


def text_of(name: str) -> str:
    """The text of one of the files."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
