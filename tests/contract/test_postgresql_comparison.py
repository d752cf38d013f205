"""What PostgreSQL owes a comparison beyond the others: numbers that are equal and not the same, altered columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.contract.postgresql_lab import CREATE, USERS, Lab, Rows, column, conformed, opened, schema_of
from warp_resources.errors import OperatorError
from warp_resources.model.differences import DifferenceKind
from warp_resources.model.tables import Kind, TableSchema

pytestmark = pytest.mark.servers

COUNTED = schema_of(column("_id", Kind.INT64), column("n", Kind.INT64))
KEYED = schema_of(column("_id", Kind.NUMERIC, family="decimal"), column("n", Kind.INT64))


@pytest.fixture
def lab(warehouse: str) -> Iterator[Lab]:
    yield from opened(warehouse)


def load(lab: Lab, schema: TableSchema, rows: Rows) -> None:
    lab.write(replace(conformed(schema, rows, changes=CREATE), based_on=0))


def compare(lab: Lab, schema: TableSchema, rows: Rows) -> list[tuple[int, DifferenceKind]]:
    with lab.destination.comparison(USERS) as comparison:
        return [(its.row, its.kind) for its in comparison.compare(conformed(schema, rows))]


def spelled(*keys: str) -> Rows:
    return {"_id": list(keys), "n": [1] * len(keys)}


@pytest.mark.parametrize("is_batch", [False, True], ids=["stream", "batch"])
def test_keys_that_are_equal_and_not_the_same_differ_and_are_written(lab: Lab, is_batch: bool) -> None:
    # SPEC: R5 E8 E11
    load(lab, KEYED, spelled("1.10", "2.0"))
    assert compare(lab, KEYED, spelled("1.10", "2.0")) == []
    assert compare(lab, KEYED, spelled("1.1", "2.0")) == [(0, DifferenceKind.DIFFERENT)]
    again = conformed(KEYED, spelled("1.1", "2.0"))
    lab.batch_commit(again) if is_batch else lab.write(again)
    assert lab.rows(KEYED) == [("1.1", "1"), ("2.0", "1")]
    assert compare(lab, KEYED, spelled("1.1", "2.0")) == []


def test_a_column_of_a_domain_is_compared(lab: Lab) -> None:
    # SPEC: R5
    load(lab, COUNTED, {"_id": [1, 2], "n": [1, 2]})
    lab.connection.execute("create domain small as bigint check (value < 9)")
    lab.connection.execute("alter table shop.users alter n type small")
    assert compare(lab, COUNTED, {"_id": [1, 2], "n": [1, 3]}) == [(1, DifferenceKind.DIFFERENT)]


@pytest.mark.parametrize("statement", ["drop column n", "alter n type text", "rename n to m"])
def test_a_column_that_was_altered_by_hand_is_named(lab: Lab, statement: str) -> None:
    # SPEC: R5
    load(lab, COUNTED, {"_id": [1], "n": [1]})
    lab.connection.execute(f"alter table shop.users {statement}".encode())
    with pytest.raises(OperatorError, match="not of the type") as raised:
        compare(lab, COUNTED, {"_id": [1], "n": [1]})
    assert raised.value.facts["column"] == "n"
