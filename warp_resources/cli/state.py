"""What the global flags say, and the configuration that they lead to."""

from __future__ import annotations

from dataclasses import dataclass

from warp_resources.config import WarpConfig, find_file


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
        """The configuration with the flags as its last layer."""
        flags = {
            "mode": self.mode,
            "single_schema_name": self.schema if self.mode == "single" else None,
            "source.connection_string": self.source,
            "destination.connection_string": self.destination,
        }
        given = {key: value for key, value in flags.items() if value is not None}
        return WarpConfig.from_file(find_file(self.config), overrides=given)
