"""Hands a connector its own part of the configuration, checked by the connector's own model."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, TypeVar

from pydantic import BaseModel, SecretStr, ValidationError

from warp_resources.config.connections import Endpoint
from warp_resources.config.messages import Problem, configuration_error, problems_of, unknown_key
from warp_resources.config.models import WarpConfig
from warp_resources.config.settings import allows_extra, fields_by_key, is_set, value_of

SOURCE, DESTINATION = "source", "destination"

_SHARED = ("connection_timeout", "read_timeout")

Model = TypeVar("Model", bound=BaseModel)


def connector_options(config: WarpConfig, role: str, model: type[Model]) -> Model:
    """The options of the ``source`` or ``destination`` connector, before anything connects.

    The model gets every key of the section that it does not share, and of the common keys and the
    timeouts of ``performance`` those that it declares. Secrets are given as text, durations as seconds.

    Raises:
        ConfigurationError: a key is unknown to the connector, or a value is not allowed.
    """
    endpoint: Endpoint = config.source if role == SOURCE else config.destination
    given, declared = _given(config, endpoint, model), fields_by_key(model)
    problems = []
    if not allows_extra(model):
        known = {*declared, *fields_by_key(type(endpoint))}
        strangers = [key for key in given if key not in declared]
        problems = [Problem((role, key), unknown_key(key, known)) for key in strangers]
        given = {key: value for key, value in given.items() if key not in strangers}
    options: Model | None = None
    try:
        options = model.model_validate(given)
    except ValidationError as error:
        found = problems_of(error, model, given, {})
        problems += [Problem((role, *problem.path), problem.text) for problem in found]
    # Raised here, outside of the handler: pydantic's error has the values, secrets included.
    if options is None or problems:
        raise configuration_error(problems)
    return options


def _given(config: WarpConfig, endpoint: Endpoint, model: type[BaseModel]) -> dict[str, Any]:
    declared = fields_by_key(model)
    common = {key: value_of(endpoint, key) for key in fields_by_key(type(endpoint)) if key in declared}
    shared = {key: getattr(config.performance, key) for key in _SHARED if key in declared}
    given = {**shared, **_set_only(endpoint, common), **(endpoint.model_extra or {})}
    return {key: _revealed(value) for key, value in given.items()}


def _set_only(endpoint: Endpoint, common: dict[str, Any]) -> dict[str, Any]:
    """A connector's own default wins over the common one; None says nothing."""
    return {key: value for key, value in common.items() if is_set(endpoint, key)}


def _revealed(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, dict):
        return {key: _revealed(its) for key, its in value.items()}
    return value
