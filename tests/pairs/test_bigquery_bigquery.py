"""BigQuery to BigQuery, run as a user runs it: every type, nested and repeated fields, by hash and by marker."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.servers import BigQueryProject
from tests.pairs.test_bigquery_postgresql import same
from tests.type_tables.bigquery_types import BIGQUERY_TYPES
from warp_resources import WarpConfig, WarpRunner
from warp_resources.connectors.bigquery.options import BigQueryOptions
from warp_resources.connectors.bigquery.session import Session

pytestmark = pytest.mark.servers

_FILL = """
insert into shop.users (id, price, nested, tags, updated_at)
select n, numeric '1.10' * n, struct(n as deep, [numeric '0.50', cast(n as numeric)] as list),
  if(mod(n, 3) = 0, [], ['a', cast(n as string)]),
  timestamp_add(timestamp '2024-01-01 00:00:00+00', interval n second)
from unnest(generate_array({first}, {last})) as n
"""


class Shop:
    """A dataset, and another one of the same project that it is replicated into."""

    def __init__(self, project: BigQueryProject, folder: Path) -> None:
        self.session = Session(BigQueryOptions(**project.endpoints))  # type: ignore[arg-type]
        self._options = project.options
        self._state = str(folder / "state.sqlite")
        self.session.run("create schema shop")

    def once(self, repeated: Mapping[str, list[str]], **schema: Any) -> None:
        destination = {
            "schema": "warehouse",
            "state_file": self._state,
            "min_interval": 0,
            "tables": {f"shop.{name}": {"repeated": columns} for name, columns in repeated.items()},
        }
        config = {
            "source": {**self._options, "database": "shop"},
            "destination": {**self._options, **destination},
            "schemas": [{"name": "shop", "mode": "batch", **schema}],
            "monitoring": {"prometheus": {"enabled": False}},
        }
        assert WarpRunner(WarpConfig.model_validate(config)).run_once()

    def types(self, table: str) -> dict[str, str]:
        """What the columns of the copy are."""
        found = self.session.table(f"{self.session.project}.warehouse.{table}")
        assert found is not None
        return {
            field.name: f"{field.mode} {field.field_type}" if field.mode == "REPEATED" else field.field_type
            for field in found.schema
        }

    def rows(self, dataset: str, table: str) -> dict[int, Any]:
        return {row["id"]: row for row in self.session.rows(f"{self.session.project}.{dataset}.{table}")}

    def differences(self, table: str) -> list[str]:
        stored = self.rows("warehouse", table)
        here = self.rows("shop", table)
        found = [] if here.keys() == stored.keys() else [f"keys: {here.keys() ^ stored.keys()}"]
        for key in here.keys() & stored.keys():
            found += [
                f"{key}.{name}: {value!r} is {stored[key][name]!r}"
                for name, value in here[key].items()
                if not same(value, stored[key][name])
            ]
        return found[:10]


@pytest.fixture
def shop(bigquery: BigQueryProject, tmp_path: Path) -> Iterator[Shop]:
    made = Shop(bigquery, tmp_path)
    yield made
    made.session.close()


def test_every_type_arrives_by_hash(shop: Shop) -> None:
    # SPEC: M1 X4 E1 E2 E8 E9
    columns = {f"v{number}": row for number, row in enumerate(BIGQUERY_TYPES)}
    arrays = [name for name, row in columns.items() if row.name.startswith("ARRAY")]
    listed = ", ".join(f"{name} {row.name}" for name, row in columns.items())
    shop.session.run(f"create table shop.things (id int64, {listed}, primary key (id) not enforced)")
    for key in range(max(len(row.samples) for row in BIGQUERY_TYPES)):
        here = {name: row.samples[key].value for name, row in columns.items() if key < len(row.samples)}
        shop.session.run(f"insert into shop.things (id, {', '.join(here)}) values ({key}, {', '.join(here.values())})")
    shop.once({"things": arrays[:1]}, change_detection={"strategy": "hash"})
    types, stored = shop.types("things"), shop.rows("warehouse", "things")
    assert [types[name] for name in arrays] == ["REPEATED JSON", "JSON"]
    alike = [name for name in columns if types[name] not in ("JSON", "REPEATED JSON")]
    source = {row["id"]: row for row in shop.session.run(f"select id, {', '.join(alike)} from shop.things")}
    for name, row in columns.items():
        for key, sample in enumerate(row.samples):
            its = stored[key][name]
            if types[name] in ("JSON", "REPEATED JSON"):
                assert its == json.loads(sample.stored or "null"), (row.name, sample.shown)
            elif row.name == "BIGNUMERIC":
                # Canonical text, as NUMERIC would round it.
                assert (types[name], Decimal(its)) == ("STRING", Decimal(sample.stored or 0)), sample.shown
            elif types[name] == "STRING" and row.name != "STRING":
                assert its == sample.stored, (row.name, sample.shown)
            else:
                assert same(source[key][name], its), (row.name, sample.shown)


def test_ticks_bring_what_is_new_by_the_marker(shop: Shop) -> None:
    # SPEC: M1 M2 E4 D7 E9
    shop.session.run(
        "create table shop.users (id int64, price numeric, nested struct<deep int64, list array<numeric>>,"
        " tags array<string>, updated_at timestamp, primary key (id) not enforced)"
    )
    shop.session.run(_FILL.format(first=1, last=500))
    shop.once({"users": ["tags"]}, full_load_batch_size=300)
    assert shop.differences("users") == []
    before = {key: row["_warp_sequence"] for key, row in shop.rows("warehouse", "users").items()}

    shop.session.run(_FILL.format(first=501, last=503))
    shop.session.run(
        "update shop.users set tags = split('x,y'), updated_at = timestamp '2024-02-01 00:00:00+00' where id in (4, 6)"
    )
    shop.once({})
    assert shop.differences("users") == []
    after = {key: row["_warp_sequence"] for key, row in shop.rows("warehouse", "users").items()}
    assert {key for key, _ in after.items() - before.items()} == {4, 6, 501, 502, 503}
    assert shop.types("users")["tags"] == "REPEATED JSON", "as it was made, whatever is chosen by now"
