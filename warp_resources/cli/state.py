"""What the global flags say, and the configuration that they lead to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warp_resources.cli.dotenv import ENV_FILE, read_dotenv
from warp_resources.cli.naming import chosen_schemas
from warp_resources.config import WarpConfig, endpoint_from_uri, environment, find_file
from warp_resources.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class State:
    """The global flags; a connection string given here wins over the file's."""

    config: str | None = None
    debug: bool = False
    mode: str | None = None
    source: str | None = None
    destination: str | None = None
    schema: str | None = None

    def load(self) -> WarpConfig:
        """The configuration with the flags as its last layer; a global ``--schema`` that it lacks is refused."""
        environ = self._environ()
        config = WarpConfig.from_file(self._file(environ), overrides=self._overrides(), environ=environ)
        chosen_schemas(config, self.schema_names())
        return config

    def schema_names(self) -> list[str]:
        """The schema that the global flag names, if any."""
        return [self.schema] if self.schema else []

    def file_text(self) -> str:
        """What the configuration was read from, for messages."""
        file = self._file(self._environ())
        return str(file) if file else "The flags"

    def _environ(self) -> Mapping[str, str]:
        """The environment over the ``.env`` file of this folder, as ``dagster dev`` sees them."""
        return {**read_dotenv(Path(ENV_FILE)), **environment()}

    def _overrides(self) -> dict[str, Any]:
        flags: dict[str, Any] = {"mode": self.mode}
        if self.mode == "single" and self.schema:
            flags["single_schema_name"] = self.schema
        if self.source:
            flags["source"] = endpoint_from_uri(self.source)
        if self.destination:
            # The database is part of the destination's connection string, not a setting of its own.
            flags["destination"] = {k: v for k, v in endpoint_from_uri(self.destination).items() if k != "database"}
        if self._is_self_contained and self.schema:
            flags["schemas"] = [{"name": self.schema}]
        return {key: value for key, value in flags.items() if value is not None}

    def _file(self, environ: Mapping[str, str]) -> Path | None:
        if self.config is None and self._is_self_contained:
            try:
                return find_file(environ=environ)
            except ConfigurationError:
                return None
        return find_file(self.config, environ)

    @property
    def _is_self_contained(self) -> bool:
        """Whether the flags alone say what to run (L1), so that no file is needed."""
        return bool(self.source and self.destination and self.schema)
