"""The configuration file as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ModelWrapValidatorHandler, PrivateAttr, SecretStr, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from warp_resources.config.aliases import canonical
from warp_resources.config.checks import check
from warp_resources.config.connections import DestinationConfig, SourceConfig, StateConfig
from warp_resources.config.layers import Layers
from warp_resources.config.loading import load
from warp_resources.config.messages import Origins, Problem, configuration_error, problems_of
from warp_resources.config.operations import ErrorHandling, Logging, Monitoring, Performance, Retention, Security
from warp_resources.config.scalars import Name
from warp_resources.config.settings import Settings
from warp_resources.config.tables import DeletionStrategy, SchemaConfig
from warp_resources.config.unsupported import unsupported
from warp_resources.masking import secrets_within


class WarpConfig(Settings):
    """All that a process is told.

    Whatever is wrong with it, read from a file or built in code, is one ``ConfigurationError``.
    """

    mode: Literal["single", "multi"] = Field(
        default="multi", description="single: this process serves one schema; multi: it serves all."
    )
    single_schema_name: Name | None = Field(default=None, description="The schema that mode: single serves.")
    source: SourceConfig = Field(description="Where rows and changes come from.")
    destination: DestinationConfig = Field(description="Where rows land.")
    state: StateConfig = Field(default_factory=StateConfig, description="Where leases and mandates live.")
    schemas: tuple[SchemaConfig, ...] = Field(description="What is replicated.")
    performance: Performance = Field(default_factory=Performance, description="Batch sizes, waits and memory.")
    error_handling: ErrorHandling = Field(default_factory=ErrorHandling, description="What happens on errors.")
    monitoring: Monitoring = Field(default_factory=Monitoring, description="Metrics, health and warnings.")
    retention: Retention = Field(default_factory=Retention, description="How long metadata rows are kept.")
    security: Security = Field(default_factory=Security, description="Encryption at rest.")
    logging: Logging = Field(default_factory=Logging, description="The log.")
    deletion_strategy: DeletionStrategy = Field(default="hard", description="hard: the row goes; soft: it is flagged.")
    soft_delete_column: Name = Field(default="is_deleted", description="The flag of soft deletes.")

    _origins: Origins | None = PrivateAttr(default=None)

    @classmethod
    def from_file(
        cls,
        path: str | Path | None,
        overrides: Mapping[str, Any] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> WarpConfig:
        """The configuration of a file, the environment over it and the flags over both.

        Args:
            path: a YAML or JSON file; None where environment and flags say all.
            overrides: dotted keys and their values, from the command line; None values are not given.
            environ: the variables to use, by default the process's own.

        Raises:
            ConfigurationError: with every problem in one message.
        """
        layers = load(path, cls, overrides, environ)
        config = cls.model_validate(layers.tree, context=_Context(layers, str(path) if path else None))
        config._origins = layers.origins
        return config

    @property
    def origins(self) -> Origins | None:
        """Where each value came from; None for a configuration that was built in code."""
        return self._origins

    def secrets(self) -> frozenset[str]:
        """Every secret value, and the passwords within, for ``mask``."""
        return frozenset(secret for value in _secret_values(self) for secret in secrets_within(value))

    @model_validator(mode="wrap")
    @classmethod
    def _explain(cls, value: Any, handler: ModelWrapValidatorHandler[WarpConfig], info: Any) -> WarpConfig:
        context = info.context if isinstance(info.context, _Context) else _Context(Layers(), None)
        config, problems = _validated(cls, value, handler, context.layers.origins)
        # Raised here, outside of the handlers: pydantic's error has the values, secrets included.
        if config is None or problems:
            raise configuration_error(problems, context.file or "The configuration")
        return config


class _Context:
    """What the validation is told of the layers, so that messages can name them."""

    def __init__(self, layers: Layers, file: str | None) -> None:
        self.layers = layers
        self.file = file


def _validated(
    cls: type[WarpConfig], value: Any, handler: ModelWrapValidatorHandler[WarpConfig], origins: Origins
) -> tuple[WarpConfig | None, list[Problem]]:
    try:
        value = canonical(value) if isinstance(value, Mapping) else value
        config = handler(value)
    except ValidationError as error:
        return None, problems_of(error, cls, value, origins)
    except PydanticCustomError as error:
        return None, [Problem((), error.message())]
    return config, [*check(config), *unsupported(config)]


def _secret_values(value: Any) -> list[str]:
    if isinstance(value, SecretStr):
        return [value.get_secret_value()]
    if isinstance(value, Settings):
        inner = [getattr(value, name) for name in type(value).model_fields] + list((value.model_extra or {}).values())
        return [secret for its in inner for secret in _secret_values(its)]
    if isinstance(value, Mapping):
        return [secret for its in value.values() for secret in _secret_values(its)]
    return [secret for its in value for secret in _secret_values(its)] if isinstance(value, tuple | list) else []
