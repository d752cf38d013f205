"""What is replicated in a soak: five schemas in one configuration, and how each table is judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import yaml

SOFT_COLUMN = "is_deleted"
STREAMS = ("shop", "soft", "family")
FOREIGN_KEY = """
alter table family.children add constraint of_parent foreign key (parent) references family.parents;
create index on family.children (parent);
"""


def configuration(source: str, warehouse: str, schedule: str | None) -> dict[str, Any]:
    """The content of ``warp.yaml``; each schema reads a database of its own name.

    Args:
        schedule: of the batch schemas; None means every polling interval.
    """
    return {
        "source": {"type": "mongodb", "connection_string": source},
        "destination": {"type": "postgresql", "connection_string": warehouse},
        "performance": {"polling_interval": 2},
        "monitoring": {"prometheus": {"enabled": False}},
        "schemas": [
            {"name": "shop", "mode": "stream", "tables": {"churned": {"on_source_change": "follow"}}},
            {
                "name": "soft",
                "mode": "stream",
                "deletion_strategy": "soft",
                "soft_delete_column": SOFT_COLUMN,
                "tables": {
                    "members": {
                        "stream_batch_size": 7,
                        "write_batch_size": 5,
                        "full_load_batch_size": 20,
                        "on_source_change": "follow",
                    }
                },
            },
            {"name": "family", "mode": "stream", "tables": {"children": {"full_load_batch_size": 50}}},
            {"name": "crm", "mode": "batch", "schedule": schedule, "default_batch_size": 50},
            {"name": "ledger", "mode": "batch", "schedule": schedule, "change_detection": {"strategy": "hash"}},
        ],
    }


def write_configuration(path: Path, source: str, warehouse: str, schedule: str | None = None) -> None:
    path.write_text(yaml.safe_dump(configuration(source, warehouse, schedule)))


def add_foreign_key(warehouse: str) -> None:
    """A constraint of the user's own; added once both tables are there."""
    with psycopg.connect(warehouse) as connection:
        connection.execute(FOREIGN_KEY.encode())
