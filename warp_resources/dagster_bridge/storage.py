"""Chooses where Dagster keeps its own records: PostgreSQL where the environment names one, else sqlite."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dagster import Field, String
from dagster._core.storage.base_storage import DagsterStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClass, ConfigurableClassData

URL_VARIABLE = "DAGSTER_POSTGRES_URL"
HOME_VARIABLE = "DAGSTER_HOME"


class EnvironmentStorage(DagsterStorage, ConfigurableClass):
    """Named in ``dagster.yaml``; becomes the storage that it chooses.

    Dagster's own ``{env: X}`` cannot do this: where the variable is not set, nothing starts.
    """

    @classmethod
    def config_type(cls) -> Mapping[str, Any]:
        return {
            "postgres_url": Field(String, is_required=False, description=f"Default: {URL_VARIABLE}, if set."),
            "base_dir": Field(String, is_required=False, description=f"Of sqlite. Default: {HOME_VARIABLE}."),
        }

    # Dagster asks for a storage here, not for one of this very class, whatever its signature says.
    @classmethod
    def from_config_value(  # type: ignore[override]
        cls, inst_data: ConfigurableClassData | None, config_value: Any
    ) -> DagsterStorage:
        url = config_value.get("postgres_url") or os.environ.get(URL_VARIABLE)
        if url:
            # Loaded only where it is used: it brings another driver and its 30 MB.
            from dagster_postgres import DagsterPostgresStorage

            return DagsterPostgresStorage(postgres_url=url, inst_data=inst_data)
        return DagsterSqliteStorage.from_local(config_value.get("base_dir") or _home(), inst_data=inst_data)


def _home() -> str:
    """DAGSTER_HOME, as for Dagster's own default; without one a folder here, so that nothing is forgotten."""
    home = Path(os.environ.get(HOME_VARIABLE) or ".dagster")
    return str(home.expanduser().absolute())
