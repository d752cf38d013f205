"""The examples of docs/columns.md do what the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from warp_resources import WarpConfig
from warp_resources.config import effective
from warp_resources.pipeline.rules import rules_of

PAGE = (Path(__file__).parents[3] / "docs" / "columns.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    [found] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def test_the_configuration_is_one() -> None:
    # SPEC: 2
    content = {"source": {"type": "memory"}, "destination": {"type": "memory"}, **yaml.safe_load(block("yaml"))}
    rules = rules_of(effective(WarpConfig.model_validate(content), "shop", "users"))
    assert {name: str(its) for name, its in rules.types.items()} == {
        "price": "numeric(18,4)",
        "ssn": "text",
        "pin": "text",
    }
    assert rules.names == {"_id": "user_id"}


def test_the_rules_run() -> None:
    scope: dict[str, Any] = {}
    exec(block("python"), scope)
    made = scope["clean_users"](
        pa.RecordBatch.from_pydict({"mail": [" A@B.C ", None], "price": [1.5, 2.0], "count": [2, None]})
    )
    assert made.to_pydict()["mail"] == ["a@b.c", None]
    assert made.to_pydict()["total"] == [3.0, None]
    assert scope["clean_users"](pa.RecordBatch.from_pydict({"x": [1]})).schema.names == ["x"]
