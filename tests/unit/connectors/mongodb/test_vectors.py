"""The proof that documents share a layout: every byte of every name is compared."""

from __future__ import annotations

import bson
import numpy as np
import pytest

from warp_resources.connectors.mongodb.uniform import decode_uniform
from warp_resources.connectors.mongodb.vectors import walk_documents


@pytest.mark.parametrize("length", range(1, 26))
def test_each_byte_counts_and_none_beyond(length: int) -> None:
    expected = bytes(range(65, 65 + length))
    others = [expected[:at] + bytes([expected[at] ^ 1]) + expected[at + 1 :] for at in range(length)]
    walk = walk_documents([expected + b"x", expected + b"y", *(other + b"x" for other in others)])
    starts = np.cumsum([0] + [length + 1] * (length + 1))
    assert walk.is_at(starts, expected).tolist() == [True, True, *[False] * length]


@pytest.mark.parametrize("name", ["a", "number", "numbers", "numbered", "numberings", "a" * 15, "a" * 16, "b" * 40])
@pytest.mark.parametrize("change", [lambda its: its[:-1] + "z", lambda its: "z" + its[1:], lambda its: its + "z"])
def test_a_document_with_nearly_the_same_names_has_another_layout(name: str, change: object) -> None:
    assert callable(change)
    documents = [bson.encode({"_id": 1, its: 2, "last": 3}) for its in (name, change(name), name, name[:-1] + "y")]
    found = decode_uniform(documents)
    assert found is not None
    assert found.rows.tolist() == [0, 2]
    assert [column.name for column in found.columns] == ["_id", name, "last"]


def test_nothing_is_read_behind_the_last_document() -> None:
    walk = walk_documents([b"ab"])
    assert walk.is_at(np.array([2, 1_000]), b"ab").tolist() == [False, False]
