"""The JSON Schema of the configuration file, for editors."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from warp_resources.config.aliases import ALIASES, SCHEMA, SOURCE
from warp_resources.config.durations import duration_text
from warp_resources.config.models import WarpConfig
from warp_resources.config.settings import Settings, fields_by_key, nested_model
from warp_resources.config.sizes import size_text

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_DEFINITION_OF_SECTION = {SOURCE: "SourceConfig", SCHEMA: "SchemaConfig", "monitoring": "Monitoring"}


def json_schema() -> dict[str, Any]:
    """What the file may hold, aliases included, as a JSON Schema."""
    schema = WarpConfig.model_json_schema()
    definitions = schema["$defs"]
    for model in _models(WarpConfig):
        _spell_defaults(model, definitions.get(model.__name__, schema)["properties"])
    _allow_tables_by_name(definitions)
    for section, aliases in ALIASES.items():
        properties = definitions[_DEFINITION_OF_SECTION[section]]["properties"]
        for alias, target in aliases.items():
            properties[alias] = {"description": f"Another name for {'.'.join(target.path)}.", "deprecated": True}
    return {"$schema": DIALECT, **schema, "title": "cartridge-warp configuration"}


def _models(model: type[Settings]) -> set[type[Settings]]:
    nested = filter(None, (nested_model(field.annotation) for field in model.model_fields.values()))
    return {model}.union(*map(_models, nested))


def _spell_defaults(model: type[Settings], properties: dict[str, Any]) -> None:
    """Pydantic would write durations as ISO 8601 and sizes as bytes, as no file of ours does."""
    for key, field in fields_by_key(model).items():
        if isinstance(field.default, timedelta):
            properties[key]["default"] = duration_text(field.default)
        elif properties[key].get("title") == "size":
            properties[key]["default"] = size_text(field.default)


def _allow_tables_by_name(definitions: dict[str, Any]) -> None:
    table = definitions["TableConfig"]
    definitions["NamelessTable"] = {key: its for key, its in table.items() if key != "required"}
    tables = definitions["SchemaConfig"]["properties"]["tables"]
    as_list = {"type": "array", "items": tables.pop("items")}
    tables.pop("type")
    by_name = {"anyOf": [{"$ref": "#/$defs/NamelessTable"}, {"type": "null"}]}
    tables["anyOf"] = [as_list, {"type": "object", "additionalProperties": by_name}]
