"""Renders the configuration reference in Markdown from the models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel

from warp_resources.config.aliases import ALIASES
from warp_resources.config.editor_schema import json_schema

_HEAD = "| key | type | default | description |\n|---|---|---|---|"
_TYPES = {"string": "text", "integer": "whole number", "boolean": "true or false"}


def configuration_reference(options: Iterable[tuple[str, type[BaseModel]]] = ()) -> str:
    """Every key with its type, default and description, a section for each part of the file.

    Args:
        options: the models of connectors, each with the heading of its section.
    """
    schema = json_schema()
    parts = ["# Configuration reference", *_sections(schema, schema, "")]
    for title, model in options:
        own = model.model_json_schema()
        parts.append(_section(own, own, title))
    parts.append(_aliases())
    return "\n\n".join(parts) + "\n"


def _sections(root: dict[str, Any], schema: dict[str, Any], path: str) -> Iterator[str]:
    yield _section(root, schema, f"`{path}`" if path else "The file")
    for key, its in _properties(schema).items():
        inner = _inner(root, its)
        if inner is not None:
            definition, suffix = inner
            yield from _sections(root, definition, f"{path}.{key}{suffix}".lstrip("."))


def _section(root: dict[str, Any], schema: dict[str, Any], title: str) -> str:
    required = schema.get("required", [])
    in_order = sorted(_properties(schema).items(), key=lambda item: item[0] not in required)
    rows = [_row(root, key, its, key in required) for key, its in in_order]
    return "\n\n".join([f"## {title}", _summary(schema), "\n".join([_HEAD, *rows])])


def _properties(schema: dict[str, Any]) -> dict[str, Any]:
    return {key: its for key, its in schema["properties"].items() if not its.get("deprecated")}


def _row(root: dict[str, Any], key: str, schema: dict[str, Any], is_required: bool) -> str:
    default = "required" if is_required else _default(schema)
    inner = _inner(root, schema)
    description = schema.get("description") or (_summary(inner[0]) if inner else "")
    cells = (f"`{key}`", _type(root, schema), default, description)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _summary(schema: dict[str, Any]) -> str:
    return str(schema.get("description", "")).split("\n\n")[0]


def _default(schema: dict[str, Any]) -> str:
    default = schema.get("default")
    if default in (None, [], {}, ""):
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _type(root: dict[str, Any], schema: dict[str, Any]) -> str:
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return " | ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_type(root, one) for one in schema["anyOf"] if one.get("type") != "null")
    if schema.get("title") in ("duration", "size"):
        return str(schema["title"])
    if schema.get("format") == "password":
        return "secret text"
    if "$ref" in schema:
        return "section"
    if schema.get("type") == "array":
        return f"list of {_type(root, schema['items'])}"
    if schema.get("type") == "object":
        return f"mapping of names to {_type(root, schema['additionalProperties'])}"
    return _TYPES.get(schema["type"], str(schema["type"]))


def _inner(root: dict[str, Any], schema: dict[str, Any]) -> tuple[dict[str, Any], str] | None:
    """The definition that a key leads to, and what stands between the key and its keys."""
    if "$ref" in schema:
        return root["$defs"][schema["$ref"].rsplit("/", 1)[-1]], ""
    for one in schema.get("anyOf", ()):
        found = _inner(root, one)
        if found is not None:
            return found
    for key in ("items", "additionalProperties"):
        found = _inner(root, schema[key]) if isinstance(schema.get(key), dict) else None
        if found is not None:
            return found[0], ".<name>"
    return None


def _aliases() -> str:
    rows = [
        f"| `{section}.{alias}` | `{'' if target.from_root else section + '.'}{'.'.join(target.path)}` |"
        for section, aliases in ALIASES.items()
        for alias, target in aliases.items()
    ]
    return "\n\n".join(["## Other names", "\n".join(["| also accepted | means |", "|---|---|", *rows])])
