"""Names that a destination cannot hold get a hash."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warp_resources.evolution.names import schema_refusal, stored_name, stored_names
from warp_resources.model.capabilities import Capabilities

POSTGRES = Capabilities()
CASELESS = replace(POSTGRES, case_sensitive=False)


def digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:8]


@pytest.mark.parametrize("name", ["a", "A b", 'x"; drop table x; --', "a.b", "$x", "😀", "select", "é" * 31, "_warpx"])
def test_names_are_kept(name: str) -> None:
    assert stored_name(name, (), POSTGRES) == name


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("", f"_{digest('')}"),
        ("a" * 64, "a" * 54 + "_" + digest("a" * 64)),
        ("é" * 32, "é" * 27 + "_" + digest("é" * 32)),
        ("x" + "😀" * 20, "x" + "😀" * 13 + "_" + digest("x" + "😀" * 20)),
        ("a\0b", f"ab_{digest(chr(97) + chr(0) + 'b')}"),
        ("_warp_sequence", f"warp_sequence_{digest('_warp_sequence')}"),
        ("taken", f"taken_{digest('taken')}"),
    ],
)
def test_names_that_must_change(name: str, stored: str) -> None:
    assert stored_name(name, ("taken",), POSTGRES) == stored


STRICT = replace(
    CASELESS,
    refused_in_names=".",
    name_categories=("L", "M", "N", "Pc", "Pd", "Zs"),
    column_symbols="%:",
    reserved_name_prefixes=("_TABLE_", "__ROOT__"),
    schema_pattern="[A-Za-z0-9_]+",
)


@pytest.mark.parametrize(
    ("name", "column", "table"),
    [
        ("größe 1-a_b", "größe 1-a_b", "größe 1-a_b"),
        ("a:b%", "a:b%", f"ab_{digest('a:b%')}"),
        ("a.b😀c", f"abc_{digest('a.b😀c')}", f"abc_{digest('a.b😀c')}"),
        ("_table_x", f"table_x_{digest('_table_x')}", f"table_x_{digest('_table_x')}"),
        ("__root__", f"_root___{digest('__root__')}", f"_root___{digest('__root__')}"),
        ("$", f"_{digest('$')}", f"_{digest('$')}"),
    ],
)
def test_characters_and_prefixes_that_a_destination_refuses(name: str, column: str, table: str) -> None:
    # SPEC: E9
    assert stored_names([name], (), STRICT) == {name: column}
    assert stored_name(name, (), STRICT) == table


def test_a_schema_whose_name_the_destination_refuses() -> None:
    assert schema_refusal("shop_1", STRICT) is None
    assert schema_refusal("shop-1", STRICT) == "which has a character that the destination refuses"
    assert schema_refusal("shop-1", POSTGRES) is None


def test_case_counts_where_the_destination_ignores_it() -> None:
    assert stored_names(["Name", "name"], (), POSTGRES) == {"Name": "Name", "name": "name"}
    assert stored_names(["name", "Name"], (), CASELESS) == {"Name": "Name", "name": f"name_{digest('name')}"}
    assert stored_name("_WARP_x", (), POSTGRES) == "_WARP_x"
    assert stored_name("_WARP_x", (), CASELESS) == f"WARP_x_{digest('_WARP_x')}"


def test_system_columns_are_not_ours() -> None:
    assert stored_names(["xmin", "XMIN"], (), POSTGRES) == {"XMIN": "XMIN", "xmin": f"xmin_{digest('xmin')}"}


NAMES = st.text(max_size=80) | st.sampled_from(["a" * 70, "a" * 71, "A", "a", f"_{digest('')}", ""])


@given(st.lists(NAMES, unique=True, max_size=12), st.randoms(), st.sampled_from([POSTGRES, CASELESS]))
def test_the_mapping_is_injective_and_blind_to_order(names: list[str], random: object, target: Capabilities) -> None:
    found = stored_names(names, ("is_deleted",), target)
    shuffled = list(names)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert stored_names(shuffled, ("is_deleted",), target) == found
    folded = {name if target.case_sensitive else name.lower() for name in found.values()}
    assert len(folded) == len(names)
    assert all(0 < len(stored.encode()) <= target.max_name_bytes for stored in found.values())
    assert not any(stored.startswith("_warp_") or "\0" in stored for stored in found.values())
    assert "is_deleted" not in folded


def test_a_hash_that_is_taken_gives_way() -> None:
    first = stored_name("", (), POSTGRES)
    second = stored_name("", (first,), POSTGRES)
    assert second != first
    assert second.startswith("_")
