"""What an engine process does without."""

import subprocess
import sys

SCRIPT = """
import sys
from warp_resources.pipeline.lean import keep_pandas_out
keep_pandas_out()
import pyarrow as pa
assert pa.array([1, None, 3]).to_pylist() == [1, None, 3]
assert "pandas" not in sys.modules
import pandas
assert pa.table({"a": [1]}).to_pandas().shape == (1, 1)
assert pandas.Series([1]).sum() == 1
"""


def test_pandas_stays_out_until_somebody_asks_for_it() -> None:
    subprocess.run([sys.executable, "-c", SCRIPT], check=True)
