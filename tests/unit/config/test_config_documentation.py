"""The JSON Schema and the reference that are made from the models."""

from __future__ import annotations

import json
from typing import Any

import pytest

from warp_resources.config import WarpConfig, configuration_reference, json_schema
from warp_resources.config.messages import key_paths
from warp_resources.config.settings import Settings, fields_by_key, nested_model


def _models(model: type[Settings]) -> set[type[Settings]]:
    nested = [nested_model(field.annotation) for field in model.model_fields.values()]
    return {model}.union(*(_models(one) for one in nested if one is not None))


@pytest.mark.parametrize(
    "model", sorted(_models(WarpConfig), key=lambda model: model.__name__), ids=lambda m: m.__name__
)
def test_every_field_has_a_description(model: type[Settings]) -> None:
    for key, field in fields_by_key(model).items():
        assert (field.description or "").endswith("."), key


# SPEC: C4
def test_json_schema_knows_keys_aliases_and_both_shapes_of_tables() -> None:
    schema = json_schema()
    json.dumps(schema)
    definitions: dict[str, Any] = schema["$defs"]
    assert definitions["SchemaConfig"]["additionalProperties"] is False
    assert definitions["SchemaConfig"]["properties"]["batch_size"]["deprecated"] is True
    assert definitions["SourceConfig"]["additionalProperties"] is True
    assert [one["type"] for one in definitions["SchemaConfig"]["properties"]["tables"]["anyOf"]] == ["array", "object"]
    assert "required" not in definitions["NamelessTable"]
    assert definitions["Performance"]["properties"]["polling_interval"]["default"] == "5s"
    assert definitions["Performance"]["properties"]["max_memory"]["default"] == "384MB"
    assert definitions["DestinationConfig"]["properties"]["schema"]


def test_reference_has_every_key_with_a_description() -> None:
    rows = [line for line in configuration_reference().splitlines() if line.startswith("| `")]
    for path in key_paths(WarpConfig):
        assert path[-1] == "*" or any(row.startswith(f"| `{path[-1]}` |") for row in rows)
    assert not any(row.replace("\\|", "").split("|")[-2].strip() == "" for row in rows)
    assert not any("{" in row for row in rows)
