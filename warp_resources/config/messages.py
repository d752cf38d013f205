"""Turns what is wrong with a configuration into one message that says where, what and what else."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from warp_resources.config.aliases import ALIASES
from warp_resources.config.layers import Origin, Path
from warp_resources.config.settings import fields_by_key, is_mapping, is_named_list, nested_model
from warp_resources.errors import ConfigurationError
from warp_resources.masking import is_secret_name, mask

Origins: TypeAlias = Mapping[Path, Origin]

_LONGEST = 60

# What pydantic's error types mean to someone who edits a file; the rest, our own included, bring their words.
_ALLOWED = {
    "missing": "is required",
    "string_type": "a text is allowed (put it in quotes)",
    "string_too_short": "a text that is not empty is allowed",
    "string_pattern_mismatch": "a text that matches {pattern} is allowed",
    "int_type": "a whole number is allowed",
    "int_parsing": "a whole number is allowed",
    "int_from_float": "a whole number is allowed",
    "float_type": "a number is allowed",
    "float_parsing": "a number is allowed",
    "bool_type": "true or false is allowed",
    "bool_parsing": "true or false is allowed",
    "greater_than": "a number above {gt} is allowed",
    "greater_than_equal": "a number of at least {ge} is allowed",
    "less_than_equal": "a number of at most {le} is allowed",
    "finite_number": "a finite number is allowed",
    "literal_error": "{expected} is allowed",
    "model_type": "a mapping of keys is allowed",
    "model_attributes_type": "a mapping of keys is allowed",
    "dict_type": "a mapping of keys is allowed",
    "tuple_type": "a list is allowed",
    "list_type": "a list is allowed",
    "too_short": "a list of at least {min_length} is allowed",
    "date_from_datetime_parsing": 'a date such as "2024-01-01" is allowed',
    "date_type": 'a date such as "2024-01-01" is allowed',
    "invalid_key": "keys must be texts: put it in quotes",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: the key, and what is to be said of it."""

    path: Path
    text: str

    def __str__(self) -> str:
        return f"{'.'.join(self.path) or 'the configuration'}: {self.text}."


def configuration_error(problems: Sequence[Problem], where: str = "The configuration") -> ConfigurationError:
    """All problems as one error, a line each."""
    lines = "".join(f"\n  {problem}" for problem in dict.fromkeys(problems))
    count = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
    return ConfigurationError(f"{where} has {count}:{lines}")


def problems_of(error: ValidationError, root: type[BaseModel], data: Any, origins: Origins) -> list[Problem]:
    """What pydantic found, in the words of the file; no secret is in it.

    Args:
        error: what validating ``data`` as ``root`` gave.
        root: the model of the whole.
        data: what was validated, from which the names of list items are taken.
        origins: where values came from, so that a referenced variable is named instead of its value.
    """
    return [_problem(entry, root, data, origins) for entry in error.errors(include_url=False)]


def nearest(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` or nothing."""
    by_spelling = {one.lower(): one for one in known}
    near = difflib.get_close_matches(word.lower(), by_spelling, n=1)
    return f"; did you mean {by_spelling[near[0]]!r}?" if near else ""


def unknown_key(key: str, known: Iterable[str], elsewhere: Iterable[Path] = ()) -> str:
    """What to say of a key that nobody knows: the nearest one, here or in another section."""
    names = sorted(known)
    near = nearest(key, names)
    if not near:
        places = [".".join(path) for path in elsewhere if path[-1] == key]
        near = f"; did you mean {places[0]!r}?" if places else "."
    return f"is not a known key{near} Known here: {', '.join(names)}"


def found(value: object, path: Path, origin: Origin | None = None) -> str:
    """A value as a message may show it."""
    if isinstance(value, SecretStr) or (path and is_secret_name(path[-1])):
        return "a value that is not shown"
    if value is None:
        return "nothing"
    if isinstance(value, Mapping | BaseModel):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if origin is not None and origin.is_reference:
        return f"the value of {origin.detail}"
    if isinstance(value, bool):
        return str(value).lower()
    text = mask(str(value))
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    return repr(text) if isinstance(value, str) else text


def key_paths(model: type[BaseModel], prefix: Path = ()) -> list[Path]:
    """Every key that the file may have, names of list items as ``*``."""
    paths: list[Path] = []
    for key, field in fields_by_key(model).items():
        nested = nested_model(field.annotation)
        path = (*prefix, key)
        paths.append(path)
        if nested is not None:
            is_named = is_named_list(field.annotation) or is_mapping(field.annotation)
            paths.extend(key_paths(nested, (*path, "*") if is_named else path))
    return paths


def _problem(entry: ErrorDetails, root: type[BaseModel], data: Any, origins: Origins) -> Problem:
    path = _spelled(entry["loc"], data)
    if entry["type"] == "extra_forbidden":
        return Problem(path, unknown_key(path[-1], _known_keys(root, entry["loc"][:-1]), key_paths(root)))
    allowed = _allowed(entry)
    if entry["type"] == "missing":
        return Problem(path, allowed)
    origin = origins.get(path)
    shown = found(entry["input"], path, origin)
    by = f" ({origin.detail})" if origin is not None and origin.detail and not origin.is_reference else ""
    return Problem(path, f"found {shown}{by}; {allowed}{_nearest_value(entry, path)}")


def _allowed(entry: ErrorDetails) -> str:
    if entry["type"] == "value_error":
        return str(entry["ctx"]["error"])
    template = _ALLOWED.get(entry["type"])
    return template.format(**entry.get("ctx", {})) if template else entry["msg"]


def _nearest_value(entry: ErrorDetails, path: Path) -> str:
    context, value = entry.get("ctx", {}), entry["input"]
    if not isinstance(value, str) or is_secret_name(path[-1] if path else ""):
        return ""
    if entry["type"] == "literal_error":
        return nearest(value, [part.strip("' ") for part in context["expected"].replace(" or ", ",").split(",")])
    return nearest(value, context.get("known", ()))


def _spelled(location: Sequence[int | str], data: Any) -> Path:
    path: list[str] = []
    for step in location:
        data = _step_into(data, step)
        name = _step_into(data, "name") if isinstance(step, int) else None
        path.append(name if isinstance(name, str) else str(step))
    return tuple(path)


def _step_into(data: Any, step: int | str) -> Any:
    if isinstance(data, Mapping):
        return data.get(step)
    if isinstance(data, list | tuple) and isinstance(step, int) and step < len(data):
        return data[step]
    return getattr(data, step, None) if isinstance(data, BaseModel) and isinstance(step, str) else None


def _known_keys(root: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    model: type[BaseModel] = root
    section = ""
    for step in location:
        field = fields_by_key(model).get(str(step))
        nested = nested_model(field.annotation) if field else None
        if nested is not None:
            model, section = nested, str(step)
    return [*fields_by_key(model), *ALIASES.get(section, ())]
