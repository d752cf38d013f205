"""The page of all keys says what the models say."""

from __future__ import annotations

from pathlib import Path

from warp_resources.cli.reference import whole_reference
from warp_resources.connectors.registry import built_in_connectors, destination_class, source_class

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"


def test_the_page_is_fresh() -> None:
    # SPEC: C4
    assert PAGE.read_text(encoding="utf-8") == whole_reference(), "run `make docs`"


def test_the_keys_of_every_built_in_connector_are_explained() -> None:
    # SPEC: C4, C7
    page = PAGE.read_text(encoding="utf-8")
    for role, name in built_in_connectors():
        section = page.partition(f"## `{role}` with `type: {name}`\n")[2].partition("\n## ")[0]
        options = (source_class if role == "source" else destination_class)(name).Options
        for key, field in options.model_fields.items():
            assert f"| `{field.alias or key}` |" in section
            assert (field.description or "").endswith("."), key
