"""Loads the configuration in layers: defaults, file, environment, flags; the only reader of the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from warp_resources.config.environment import PREFIX, lookup_in, with_environment, with_flags
from warp_resources.config.files import read_tree
from warp_resources.config.layers import FILE, Layers, Origin
from warp_resources.config.messages import configuration_error
from warp_resources.config.references import resolved, unresolved
from warp_resources.errors import ConfigurationError

DEFAULT_FILE = "warp.yaml"
FILE_VARIABLE = f"{PREFIX}CONFIG"
DEBUG_VARIABLE = f"{PREFIX}DEBUG"


def environment() -> Mapping[str, str]:
    """The environment of this process."""
    return os.environ


def is_debugging(environ: Mapping[str, str] | None = None) -> bool:
    """Whether ``CARTRIDGE_WARP_DEBUG`` asks for tracebacks; read as every boolean of the configuration.

    Raises:
        ConfigurationError: it is neither true nor false.
    """
    text = (environment() if environ is None else environ).get(DEBUG_VARIABLE)
    try:
        return TypeAdapter(bool).validate_python(text) if text else False
    except ValidationError:
        pass
    raise ConfigurationError(f"{DEBUG_VARIABLE} is neither true nor false", remedy="Set it to true, or unset it")


def find_file(explicit: str | Path | None = None, environ: Mapping[str, str] | None = None) -> Path:
    """The configuration file: the one named, else ``CARTRIDGE_WARP_CONFIG``, else ``warp.yaml``.

    Raises:
        ConfigurationError: there is no such file.
    """
    named = (environment() if environ is None else environ).get(FILE_VARIABLE)
    path = Path(explicit or named or DEFAULT_FILE).expanduser()
    if path.is_file():
        return path
    by = "--config" if explicit else FILE_VARIABLE if named else None
    raise ConfigurationError(
        f"There is no configuration file {path}" + (f", which {by} names" if by else " here"),
        remedy="Make one with `cartridge-warp init`, or name yours with --config or CARTRIDGE_WARP_CONFIG",
    )


def load(
    path: str | Path | None,
    model: type[BaseModel],
    overrides: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Layers:
    """The file, what the environment says over it, and what the flags say over both; not validated yet.

    Raises:
        ConfigurationError: a layer cannot be read, addresses what does not exist, or misses a variable.
    """
    variables = environment() if environ is None else environ
    tree = read_tree(Path(path)) if path is not None else {}
    where = str(path) if path is not None else "The configuration"
    layers = Layers().over(resolved(tree, lookup_in(variables)), Origin(FILE), where)
    layers = with_environment(layers, model, variables)
    layers = with_flags(layers, model, overrides or {})
    problems = unresolved(layers.tree)
    if problems:
        raise configuration_error(problems, where)
    return layers
