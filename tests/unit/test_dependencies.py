"""Every dependency has a reason, and the lock is the lock of this project."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text()
EMULATOR_LOCK = (ROOT / "warp_resources" / "connectors" / "bigquery" / "emulator.lock").read_text()


def requirements() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = project["optional-dependencies"].values()
    return [Requirement(line) for line in (*project["dependencies"], *(line for group in groups for line in group))]


def test_every_dependency_has_its_reason() -> None:
    named = re.findall(r"^\| ([A-Za-z0-9-]+) \| \S.*\|$", (ROOT / "docs" / "dependencies.md").read_text(), re.MULTILINE)
    explained = {name for name in named if name != "package"}
    wanted = {requirement.name for requirement in requirements()}
    assert sorted(wanted - explained) == [], "explain these in docs/dependencies.md"
    assert sorted(explained - wanted) == [], "docs/dependencies.md explains what pyproject.toml does not name"


def test_the_lock_holds_an_allowed_version_of_every_dependency() -> None:
    locked = {
        canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==(\S+)", LOCK, re.MULTILINE)
    }
    for requirement in requirements():
        version = locked.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not in requirements.lock: run make lock"
        assert requirement.specifier.contains(version), f"{requirement} is not met by {version}: run make lock"


@pytest.mark.parametrize("lock", [LOCK, EMULATOR_LOCK], ids=["project", "emulator"])
def test_a_lock_names_no_place_and_hashes_everything(lock: str) -> None:
    assert not re.search(r"https?://|file:|--index|--find-links|^/| /[a-z]", lock, re.MULTILINE)
    pinned = re.split(r"^(?=[\w.-]+==)", lock, flags=re.MULTILINE)
    assert all("--hash=sha256:" in block for block in pinned if "==" in block.split("\n")[0])
