"""What every configuration model has in common, with the means to walk from model to model by key."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic.fields import FieldInfo


class Settings(BaseModel):
    """A part of the configuration file: unknown keys are refused, and ``null`` means not set."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, serialize_by_alias=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_unset(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: its for key, its in value.items() if its is not None}
        return value


def fields_by_key(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of a model by the key that the file has for them."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def is_set(settings: BaseModel, key: str) -> bool:
    """Whether the user has set a key to something else than ``null``."""
    return any(
        name in settings.model_fields_set and getattr(settings, name) is not None
        for name, field in type(settings).model_fields.items()
        if (field.alias or name) == key
    )


def value_of(settings: BaseModel, key: str) -> Any:
    """The value that a model has under a key of the file."""
    name = next(name for name, field in type(settings).model_fields.items() if (field.alias or name) == key)
    return getattr(settings, name)


def nested_model(annotation: Any) -> type[Settings] | None:
    """The model within ``Model``, ``Model | None``, ``tuple[Model, ...]`` or ``dict[str, Model]``."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return annotation
    return next(filter(None, map(nested_model, get_args(annotation))), None)


def is_named_list(annotation: Any) -> bool:
    """Whether a field is a list whose items go by their ``name``."""
    return get_origin(annotation) is tuple and nested_model(annotation) is not None


def is_mapping(annotation: Any) -> bool:
    """Whether a field is a mapping with keys of the user's own."""
    if get_origin(annotation) in (Union, types.UnionType):
        return any(map(is_mapping, get_args(annotation)))
    return get_origin(annotation) is dict


def allows_extra(model: type[BaseModel]) -> bool:
    """Whether keys that the model does not know are kept rather than refused."""
    return model.model_config.get("extra") == "allow"
