"""Collections whose contents come or go as a whole, without events of their documents (SPEC X3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pymongo.database import Database

from tests.contract.mongodb_reading import Reading, rows_of
from warp_resources.model.batches import Changes, TableEventKind

pytestmark = pytest.mark.servers


def told(cuts: list[Changes]) -> list[tuple[TableEventKind, str]]:
    return [(event.kind, event.table.name) for cut in cuts for event in cut.events]


def batches(cuts: list[Changes]) -> list[tuple[str, list[dict[str, Any]]]]:
    return [(batch.table.name, rows_of(batch)) for cut in cuts for batch in cut.tables]


def out(database: Database[dict[str, Any]]) -> None:
    database.source.aggregate([{"$out": "target"}])


def map_reduce(database: Database[dict[str, Any]]) -> None:
    mapping, reducing = "function() { emit(this._id, 1) }", "function(key, values) { return 1 }"
    database.command({"mapReduce": "source", "map": mapping, "reduce": reducing, "out": {"replace": "target"}})


def rename_across(database: Database[dict[str, Any]]) -> None:
    elsewhere = database.client[f"{database.name}_elsewhere"]
    elsewhere.new.insert_one({"_id": 9})
    database.client.admin.command(
        "renameCollection", f"{elsewhere.name}.new", to=f"{database.name}.target", dropTarget=True
    )
    database.client.drop_database(elsewhere.name)


def convert_to_capped(database: Database[dict[str, Any]]) -> None:
    database.command("convertToCapped", "target", size=10_000)


@pytest.mark.parametrize("replace", [out, map_reduce, rename_across, convert_to_capped])
@pytest.mark.parametrize("include", [(), ("target",), ("t*",)], ids=str)
def test_what_the_server_replaces_is_told_and_its_temporary_collections_are_not(
    reading: Reading, include: tuple[str, ...], replace: Callable[[Database[dict[str, Any]]], None]
) -> None:
    database, scope = reading.database, reading.narrowed(*include)
    database.source.insert_many([{"_id": number} for number in range(3)])
    database.target.insert_many([{"_id": number} for number in range(7, 9)])
    start = reading.end()
    replace(database)
    database.target.insert_one({"_id": 99})
    cuts = [cut for cut in reading.cuts(start, scope=scope) if cut.event_count]
    assert told(cuts) == [(TableEventKind.REPLACED, "target")]
    assert batches(cuts) == [("target", [{"_id": 99}])]
    assert not cuts[-1].events, "a table event ends its cut"


@pytest.mark.parametrize("is_there", [True, False])
def test_a_rename_within_the_scope_is_told_of_both_names(reading: Reading, is_there: bool) -> None:
    database = reading.database
    database.a.insert_one({"_id": 1})
    if is_there:
        database.b.insert_one({"_id": 2})
    start = reading.end()
    database.a.rename("b", dropTarget=is_there)
    cuts = reading.cuts(start)
    assert told(cuts) == [(TableEventKind.RENAMED, "a"), (TableEventKind.REPLACED, "b")]
    details = [event.detail for cut in cuts for event in cut.events]
    assert details == ["it is now called b", "a took this name, with all its rows"]


def test_a_rename_into_the_scope_is_told(reading: Reading) -> None:
    reading.database.outside.insert_one({"_id": 1})
    start, scope = reading.end(), reading.narrowed("inside")
    reading.database.outside.rename("inside")
    assert told(reading.cuts(start, scope=scope)) == [(TableEventKind.REPLACED, "inside")]


def test_a_rename_out_of_the_scope_is_told(reading: Reading) -> None:
    reading.database.inside.insert_one({"_id": 1})
    start, scope = reading.end(), reading.narrowed("inside")
    reading.database.inside.rename("outside")
    assert told(reading.cuts(start, scope=scope)) == [(TableEventKind.RENAMED, "inside")]


def test_a_collection_whose_name_merely_begins_alike_is_a_table(reading: Reading) -> None:
    names = ["tmp", "tmp.agg", "tmpABCDE.other", "tmp123.renameCollection"]
    for name in names:
        reading.database[name].insert_one({"_id": 1})
    reading.database["tmp.agg_out.x"].insert_one({"_id": 1})
    assert {table.name for table in reading.source.tables(reading.scope)} == set(names)
