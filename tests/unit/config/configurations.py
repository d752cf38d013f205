"""The smallest configuration that loads, for tests to write variations of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from warp_resources.config import WarpConfig


def minimal(**changes: Any) -> dict[str, Any]:
    """One stream schema from MongoDB to PostgreSQL, with other top-level keys over it."""
    return {
        "source": {"type": "mongodb", "connection_string": "mongodb://app:s3cret@db/"},
        "destination": {"type": "postgresql", "connection_string": "postgresql://app:hunter2@db/warehouse"},
        "schemas": [{"name": "shop"}],
        **changes,
    }


def with_schema(**settings: Any) -> dict[str, Any]:
    """The minimal configuration whose one schema has these settings."""
    return minimal(schemas=[{"name": "shop", **settings}])


def with_table(**settings: Any) -> dict[str, Any]:
    """The minimal configuration whose one table ``users`` has these settings."""
    return with_schema(tables={"users": settings})


def write(folder: Path, tree: Any, name: str = "warp.yaml") -> Path:
    """A file with a tree, or with a text as it is."""
    path = folder / name
    path.write_text(tree if isinstance(tree, str) else yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    return path


def load(
    folder: Path, tree: Any, environ: Mapping[str, str] | None = None, overrides: Mapping[str, Any] | None = None
) -> WarpConfig:
    """What a file with this tree loads as, in an environment that is empty unless given."""
    return WarpConfig.from_file(write(folder, tree), overrides, environ or {})
