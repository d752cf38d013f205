"""The tasks of the Makefile hand over what the user wrote, whatever the shell would make of it."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "task, variable, flag",
    [
        ("example-init", "SOURCE", "--source"),
        ("example-init", "DESTINATION", "--destination"),
        ("example-validate", "EXAMPLE", "--config"),
        ("demo", "DESTINATION", "--destination"),
        ("soak", "SEED", "--seed"),
    ],
)
def test_a_variable_arrives_whole(task: str, variable: str, flag: str) -> None:
    value = 'mongodb://host/shop?replicaSet=rs0&authSource=admin;x="a b"'
    command = ["make", "--dry-run", "--no-print-directory", task, f"{variable}={value}", "PYTHON=python3"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    words = shlex.split(told.splitlines()[-1])
    assert words[words.index(flag) + 1] == value
