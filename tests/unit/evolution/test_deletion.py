"""How a table comes to keep its deleted rows, and under which flag."""

from __future__ import annotations

from dataclasses import replace

import pytest

from warp_resources.errors import TableFailure
from warp_resources.evolution.deletion import is_due, reserved_names, with_deletion
from warp_resources.evolution.plan import Plan
from warp_resources.model.capabilities import Capabilities
from warp_resources.model.tables import ChangeKind, Column, ColumnType, Kind, SchemaChange, TableId, TableSchema

TARGET = Capabilities()
ID = Column("_id", "_id", ColumnType(Kind.INT64))
HARD = TableSchema(TableId("shop", "users"), "shop", "users", (ID,), ("_id",), version=3)
SOFT = replace(HARD, flag="gone", is_soft=True)
ONCE_SOFT = replace(HARD, flag="gone")


# SPEC: X1, X2
@pytest.mark.parametrize(
    ("basis", "wanted", "flag", "is_soft", "before"),
    [
        (HARD, "gone", "gone", True, None),
        (SOFT, "", "gone", False, "gone"),
        (ONCE_SOFT, "gone", "gone", True, "gone"),
        (ONCE_SOFT, "removed", "removed", True, "gone"),
        (SOFT, "removed", "removed", True, "gone"),
    ],
)
def test_another_way_to_keep_deletes_is_a_new_version(
    basis: TableSchema, wanted: str, flag: str, is_soft: bool, before: str | None
) -> None:
    assert is_due(basis, wanted)
    planned = with_deletion(Plan(basis, ()), basis, wanted, TARGET)
    [change] = planned.changes
    assert (planned.schema.flag, planned.schema.is_soft, planned.schema.version) == (flag, is_soft, 4)
    assert change.kind is ChangeKind.DELETION
    assert (change.before.stored if change.before else None, change.after and change.after.stored) == (before, flag)


@pytest.mark.parametrize(("basis", "wanted"), [(HARD, ""), (ONCE_SOFT, ""), (SOFT, "gone")])
def test_what_is_so_already_is_no_change(basis: TableSchema, wanted: str) -> None:
    assert with_deletion(Plan(basis, ()), basis, wanted, TARGET) == Plan(basis, ())


# SPEC: X2
def test_a_new_table_has_the_flag_from_the_start() -> None:
    changes = (SchemaChange(ChangeKind.CREATE_TABLE),)
    unmade = replace(HARD, columns=(), version=0)
    planned = with_deletion(Plan(replace(HARD, version=1), changes), unmade, "gone", TARGET)
    assert planned == Plan(replace(SOFT, version=1), changes)
    assert with_deletion(Plan(unmade, ()), unmade, "gone", TARGET) == Plan(unmade, ()), "there is no table yet"


# SPEC: X2, 5
@pytest.mark.parametrize("name", ["price", "_warp_gone", "ctid", "x" * 64])
def test_the_flag_never_takes_another_columns_name(name: str) -> None:
    basis = HARD.with_columns((ID, Column("price", "price", ColumnType(Kind.TEXT))))
    with pytest.raises(TableFailure, match="another soft_delete_column") as caught:
        with_deletion(Plan(basis, ()), basis, name, TARGET)
    assert caught.value.facts["table"] == basis.table


# SPEC: 5
def test_the_names_of_both_flags_are_kept_free() -> None:
    assert reserved_names(SOFT, "removed") == ("gone", "removed")
    assert reserved_names(HARD, "") == ()
