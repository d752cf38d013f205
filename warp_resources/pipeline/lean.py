"""Keeps an engine process small and quick to start."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType

import pyarrow as pa


class _NoPandas(MetaPathFinder):
    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if fullname == "pandas":
            raise ImportError("pandas is kept out of this process for a moment")


def keep_pandas_out() -> None:
    """Stop pyarrow from importing pandas at its first list: 40 MB and 0.3 s that no engine needs.

    pyarrow looks for pandas once; whoever imports it later, pyarrow's ``to_pandas`` included, still can.
    """
    if "pandas" in sys.modules:
        return
    blocker = _NoPandas()
    sys.meta_path.insert(0, blocker)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(blocker)
