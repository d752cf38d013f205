"""Turns environment variables and command-line flags into layers of configuration."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any

import yaml
from pydantic import BaseModel

from warp_resources.config.addresses import Address, UnknownAddress, Walk
from warp_resources.config.aliases import ALIASES
from warp_resources.config.layers import ENVIRONMENT, FLAG, Layers, Origin
from warp_resources.config.messages import Problem, key_paths, nearest
from warp_resources.errors import ConfigurationError

PREFIX = "CARTRIDGE_WARP_"
RESERVED = frozenset(PREFIX + name for name in ("CONFIG", "DRAIN", "FAILPOINTS", "BIGQUERY_PROJECT", "DEBUG"))
FILE_SUFFIX = "_FILE"

# Kubernetes gives every pod such variables for each service, also for one named cartridge-warp.
_SERVICE_LINK = re.compile(r"(?!.*__)(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)")
_PORT_NAME, _PORT_VALUE = re.compile(r"(?!.*__)(\w+_)?PORT"), re.compile(r"(tcp|udp|sctp)://.*")


def with_environment(layers: Layers, model: type[BaseModel], environ: Mapping[str, str]) -> Layers:
    """The layers with what ``CARTRIDGE_WARP_`` variables say on top.

    Raises:
        ConfigurationError: a variable addresses no key; all such are listed.
    """
    problems: list[Problem] = []
    for name, text in sorted(_settings(environ)):
        try:
            address, value = _addressed(name, text, model, layers)
        except UnknownAddress as error:
            problems.append(Problem((name,), _unknown(name, error, model)))
            continue
        layers = layers.over(address.tree(value), Origin(ENVIRONMENT, name), name)
    if problems:
        raise ConfigurationError("The environment is not understood:" + "".join(f"\n  {one}" for one in problems))
    return layers


def with_flags(layers: Layers, model: type[BaseModel], overrides: Mapping[str, Any]) -> Layers:
    """The layers with dotted keys and their values on top; a value of None counts as not given.

    Raises:
        ConfigurationError: a key is unknown.
    """
    for key, value in overrides.items():
        if value is None:
            continue
        try:
            address = Walk(key.split("."), ".", is_folded=False).to(model, layers.tree)
        except UnknownAddress as error:
            segment = key.split(".")[error.index]
            raise ConfigurationError(f"There is no key {key!r}{nearest(segment, error.known)}") from None
        layers = layers.over(address.tree(value), Origin(FLAG), f"The flag for {key}")
    return layers


def lookup_in(environ: Mapping[str, str]) -> Callable[[str], str | None]:
    """Gives a variable, or the content of the file that ``<NAME>_FILE`` names, as mounted secrets are."""

    def lookup(name: str) -> str | None:
        if name in environ:
            return environ[name]
        path = environ.get(name + FILE_SUFFIX)
        return _secret_file(name + FILE_SUFFIX, path) if path else None

    return lookup


def _settings(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, text in environ.items():
        is_ours = name.startswith(PREFIX) and name not in RESERVED
        # Compose files pass on variables that are not set as empty ones.
        if is_ours and text and not _is_service_link(name.removeprefix(PREFIX), text):
            yield name, text


def _is_service_link(name: str, text: str) -> bool:
    # Of `..._PORT` only the value tells a service's from a setting that is spelt wrongly.
    is_address = _PORT_NAME.fullmatch(name) and _PORT_VALUE.fullmatch(text)
    return bool(is_address or _SERVICE_LINK.fullmatch(name))


def _addressed(name: str, text: str, model: type[BaseModel], layers: Layers) -> tuple[Address, Any]:
    if name.endswith(FILE_SUFFIX):
        address = _walk(name.removesuffix(FILE_SUFFIX), model, layers)
        if address.is_secret:
            return address, _secret_file(name, text)
    address = _walk(name, model, layers)
    return address, text if address.is_secret else _value(text)


def _walk(name: str, model: type[BaseModel], layers: Layers) -> Address:
    return Walk(name.removeprefix(PREFIX).split("__"), "__", is_folded=True).to(model, layers.tree)


def _value(text: str) -> Any:
    if text.strip().lower() == "null":
        return None
    if not text.lstrip().startswith(("[", "{")):
        return text
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, TypeError):
        return text


def _secret_file(variable: str, path: str) -> str:
    try:
        return FilePath(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        pass
    raise ConfigurationError(f"The file that {variable} names cannot be read", remedy="Mount it, or unset the variable")


def _unknown(name: str, error: UnknownAddress, model: type[BaseModel]) -> str:
    segments = name.removeprefix(PREFIX).split("__")
    candidates = ["__".join([*segments[: error.index], key.upper()]) for key in error.known]
    # A name in one piece may be a key whose section was left out or joined by a single underscore.
    near = nearest(segments[0], _settable(model)) if len(segments) == 1 else ""
    near = near or nearest("__".join(segments[: error.index + 1]), candidates)
    near = near.replace("mean '", f"mean '{PREFIX}")
    return f"addresses no known key{near or '; unset it'}"


def _settable(model: type[BaseModel]) -> list[str]:
    """The variables, without their prefix, of every key that has one name only and is no section."""
    paths = [path for path in key_paths(model) if "*" not in path]
    sections = {path[:-1] for path in paths}
    aliases = [(section, alias) for section, names in ALIASES.items() if (section,) in sections for alias in names]
    return ["__".join(path).upper() for path in (*paths, *aliases) if path not in sections]
