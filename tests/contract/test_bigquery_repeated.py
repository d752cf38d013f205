"""Columns of BigQuery that are REPEATED by choice hold every array, and what is none is set aside."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.fixtures.servers import BigQueryProject
from warp_resources import WarpConfig, WarpRunner
from warp_resources.connectors.bigquery.destination import BigQueryDestination
from warp_resources.connectors.bigquery.options import BigQueryDestinationOptions
from warp_resources.connectors.memory.server import MemoryServer
from warp_resources.model.differences import DifferenceKind
from warp_resources.model.letters import LetterSelection
from warp_resources.model.replays import LetterOutcome
from warp_resources.pipeline.engine import units
from warp_resources.pipeline.replay import open_replayer
from warp_resources.pipeline.sides import open_sides
from warp_resources.pipeline.verify import verify_table

pytestmark = pytest.mark.servers

ARRAYS: dict[str, list[Any]] = {
    "empty": [],
    "null": [None],
    "nested": [[], [1, [None]], {"a": [{}]}],
    "texts": ["", 'a "b" \\ \n', "null", "7", "[]", "Zoë 李雷"],
    "numbers": [0, -1, 2**63 - 1, 0.1, 1e-7, 1.5e300],
    "others": [True, False, None, {"_": None}],
}


class Shop:
    """A table in memory, the configuration that brings it to BigQuery, and what is there."""

    def __init__(self, project: BigQueryProject, folder: Path) -> None:
        self.name = uuid.uuid4().hex
        self.server = MemoryServer.named(self.name)
        self.server.create_table("shop", "users")
        self.options = {**project.endpoints, "state_file": str(folder / "state.sqlite"), "min_interval": 0}
        self.chosen: list[str] = ["tags"]
        self.destination = BigQueryDestination(BigQueryDestinationOptions.model_validate(self.options))
        self.session = self.destination._session

    def config(self, **users: Any) -> WarpConfig:
        tables = {"shop.u*": {"repeated": self.chosen}}
        return WarpConfig.model_validate(
            {
                "source": {"type": "memory", "server": self.name, "database": "shop"},
                "destination": {"type": "bigquery", **self.options, "tables": tables},
                "schemas": [
                    {
                        "name": "shop",
                        "mode": "stream",
                        "partitions": {"by": "key", "slices": 1},
                        "tables": {"users": users},
                    }
                ],
                "monitoring": {"prometheus": {"enabled": False}},
            }
        )

    def put(self, rows: dict[str, Any], **others: Any) -> None:
        self.server.put("shop", "users", *({"_id": key, "tags": value, **others} for key, value in rows.items()))

    def run(self, *, full_resync: bool = False, **users: Any) -> None:
        assert WarpRunner(self.config(**users)).run_once(full_resync=full_resync)

    def type_of(self, column: str = "tags") -> str:
        found = self.session.table(f"{self.session.project}.shop.users")
        assert found is not None
        [field] = [field for field in found.schema if field.name == column]
        return f"{field.mode} {field.field_type}"

    def stored(self, column: str = "tags") -> dict[str, Any]:
        """The values by key, as a request lists them that is no query."""
        return {row["_id"]: row[column] for row in self.session.rows(f"{self.session.project}.shop.users")}

    def letters(self) -> dict[str, str]:
        """The reasons by key."""
        found = self.destination.dead_letters(LetterSelection("shop"))
        return {json.loads(its.letter.primary_key)["_id"]: its.letter.reason for its in found}

    def differences(self) -> dict[str, DifferenceKind]:
        with open_sides(units(self.config(), "shop")[0], threading.Event()) as sides:
            return {its.primary_key: its.kind for its in verify_table(sides, "users").keys}


@pytest.fixture
def shop(bigquery: BigQueryProject, tmp_path: Path) -> Iterator[Shop]:
    made = Shop(bigquery, tmp_path)
    yield made
    made.destination.close()


def test_arrays_are_their_elements_and_what_is_none_is_set_aside(shop: Shop) -> None:
    # SPEC: E5 E6 E8 E9 R5 T5
    others: dict[str, Any] = {"absent": None, "object": {"a": [1]}, "number": 7, "wide": [2**70]}
    shop.put({**ARRAYS, **others}, n=1)
    shop.run()
    assert shop.type_of() == "REPEATED JSON"
    stored = shop.stored()
    assert {key: stored[key] for key in ARRAYS} == ARRAYS
    assert {key: stored[key] for key in others} == {"absent": [], "object": [], "number": [], "wide": [str(2**70)]}
    lost = {"object": "not_an_array", "number": "not_an_array", "wide": "json_number"}
    assert shop.letters() == lost
    found = shop.session.run(
        "select to_json_string(t) as its from shop.users, unnest(tags) as t with offset as at"
        " where _id = 'nested' order by at"
    )
    assert [row.its for row in found] == ["[]", "[1,[null]]", '{"a":[{}]}']
    assert shop.differences() == {}, "what is absent is an array without elements"

    shop.session.run("update shop.users set tags = json_query_array(json '[2]') where _id in ('null', 'absent')")
    assert set(shop.differences().values()) == {DifferenceKind.DIFFERENT}
    assert len(shop.differences()) == 2

    news: dict[str, Any] = {"empty": None, "absent": [], "number": [8], "null": [1, None], "texts": "x"}
    shop.put(news, n=1)
    shop.run()
    assert shop.stored() == stored | {"absent": [], "number": [8], "null": [1, None], "texts": []}
    assert shop.differences() == {}
    assert shop.letters() == {"object": "not_an_array", "wide": "json_number", "texts": "not_an_array"}


def test_records_are_replayed_into_arrays(shop: Shop) -> None:
    # SPEC: T5 E6
    shop.put({"a": [1], "b": [2]}, n=1)
    shop.run()
    shop.put({"a": [1, {"x": None}]}, n={"deep": 1})
    shop.put({"b": "none"}, n=2)
    shop.run()
    with open_replayer(shop.config(contract={"type_changes": "json"}), "shop") as replayer:
        outcome = replayer.replay(LetterSelection("shop")).outcome
    assert outcome == LetterOutcome(replayed=1, pending={"not_an_array": 1})
    assert shop.stored() == {"a": [1, {"x": None}], "b": []}
    assert shop.stored("n") == {"a": {"deep": 1}, "b": 2}


def test_what_the_table_has_counts_until_it_is_made_again(shop: Shop) -> None:
    # SPEC: E2 E3 E9 D6
    shop.chosen = []
    shop.put({"a": [1], "b": 7})
    shop.run()
    shop.chosen = ["tags", "more", "n"]
    shop.put({"c": [3]}, more=[3], n=1)
    with capture_logs() as logged:
        shop.run()
    assert (shop.type_of(), shop.type_of("more")) == ("NULLABLE JSON", "REPEATED JSON")
    told = {line["column"] for line in logged if line["event"] == "column is not repeated"}
    assert told == {"tags", "n"}
    assert shop.stored("more") == {"a": [], "b": [], "c": [3]}
    assert shop.letters() == {}

    shop.chosen = ["tags"]
    shop.session.client.delete_table(f"{shop.session.project}.shop.users")
    shop.run(full_resync=True)
    assert (shop.type_of(), shop.type_of("more")) == ("REPEATED JSON", "NULLABLE JSON")
    assert shop.stored() == {"a": [1], "b": [], "c": [3]}
    assert shop.stored("more") == {"a": None, "b": None, "c": [3]}
    assert shop.letters() == {"b": "not_an_array"}

    shop.put({"d": "text"})
    shop.run(columns={"tags": {"type": "text"}})
    assert shop.type_of() == "NULLABLE STRING"
    assert shop.stored() == {"a": "[1]", "b": None, "c": "[3]", "d": "text"}
