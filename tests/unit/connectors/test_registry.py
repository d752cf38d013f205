"""Connectors are found by name, by entry point or by path, and never by chance."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from warp_resources.connectors import registry
from warp_resources.connectors.interfaces import Destination, Source
from warp_resources.connectors.memory.destination import MemoryDestination, MemoryOptions
from warp_resources.connectors.memory.source import MemorySource, MemorySourceOptions
from warp_resources.connectors.registry import (
    destination_class,
    list_connectors,
    register_destination_connector,
    register_source_connector,
    source_class,
)
from warp_resources.errors import ConfigurationError

PLUG_IN = """
from warp_resources.connectors.memory.destination import MemoryDestination
from warp_resources.connectors.memory.source import MemorySource


class TapeSource(MemorySource):
    pass


class TapeDestination(MemoryDestination):
    pass


NOT_A_CLASS = 7
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """Puts a distribution with entry points on the path, as pip would."""

    def put(distribution: str, *entry_points: str) -> None:
        folder = tmp_path / f"{distribution}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text("\n".join(["[cartridge_warp.connectors]", *entry_points]) + "\n")

    (tmp_path / "tape_connector.py").write_text(PLUG_IN)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield put
    sys.modules.pop("tape_connector", None)


@pytest.fixture(autouse=True)
def _forget_registrations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})


# SPEC: A2
def test_a_plug_in_is_found_by_its_entry_points(install) -> None:
    install("tape", "tape.source = tape_connector:TapeSource", "tape.destination = tape_connector:TapeDestination")
    assert source_class("tape").__name__ == "TapeSource"
    assert destination_class("tape").__name__ == "TapeDestination"
    assert "tape" in list_connectors()["source"]
    assert "tape" in list_connectors()["destination"]


# SPEC: A2
def test_a_name_may_have_dots_before_its_role(install) -> None:
    install("tape", "acme.tape.source = tape_connector:TapeSource")
    assert source_class("acme.tape").__name__ == "TapeSource"


# SPEC: A2
@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        (["tape = tape_connector:TapeSource"], "does not name its role"),
        (["mongodb.source = tape_connector:TapeSource"], "Two connectors call themselves source 'mongodb'"),
    ],
)
def test_a_wrong_entry_point_is_refused(install, lines: list[str], complaint: str) -> None:
    install("tape", *lines)
    with pytest.raises(ConfigurationError, match=complaint):
        source_class("tape")


# SPEC: A2
def test_two_plug_ins_of_one_name_are_refused(install) -> None:
    install("tape", "tape.source = tape_connector:TapeSource")
    install("tape_again", "tape.source = tape_connector:TapeDestination")
    with pytest.raises(ConfigurationError, match="Two connectors call themselves source 'tape'"):
        source_class("tape")


# SPEC: A2
def test_a_class_is_found_by_its_path(install) -> None:
    assert source_class("tape_connector:TapeSource").__name__ == "TapeSource"


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        ("no_such_module:Thing", "cannot be loaded"),
        ("tape_connector:NoSuchThing", "cannot be loaded"),
        ("tape_connector:NOT_A_CLASS", "is not a class"),
        (":Class", "is not written as module:Class"),
        (".x:Y", "is not written as module:Class"),
        ("x:", "is not written as module:Class"),
        ("collections:OrderedDict", "is no source connector: it lacks .*Options, .*read_chunk"),
        ("tape_connector:TapeDestination", "is no source connector: it lacks .*stream"),
    ],
)
def test_a_wrong_path_says_what_is_wrong(install, target: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        source_class(target)


def test_a_decorated_class_is_found() -> None:
    @register_source_connector("decorated")
    class Decorated(MemorySource):
        pass

    @register_destination_connector("decorated")
    class DecoratedDestination(MemoryDestination):
        pass

    assert source_class("decorated") is Decorated
    assert destination_class("decorated") is DecoratedDestination
    assert register_source_connector("decorated")(Decorated) is Decorated


@pytest.mark.parametrize("name", ["decorated", "mongodb"])
def test_a_second_class_of_one_name_is_refused(name: str) -> None:
    register_source_connector("decorated")(MemorySource)
    with pytest.raises(ConfigurationError, match="Two connectors"):
        register_source_connector(name)(type("Other", (MemorySource,), {}))


@pytest.mark.parametrize(("typed", "meant"), [("mongo", "mongodb"), ("momgodb", "mongodb"), ("memry", "memory")])
def test_an_unknown_name_suggests_the_nearest(typed: str, meant: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        source_class(typed)
    assert f"Did you mean '{meant}'?" in str(refused.value)
    assert "module:Class" in str(refused.value)


def test_the_memory_connector_fulfils_both_protocols() -> None:
    assert source_class("memory") is MemorySource
    assert destination_class("memory") is MemoryDestination
    assert isinstance(MemorySource(MemorySourceOptions()), Source)
    assert isinstance(MemoryDestination(MemoryOptions()), Destination)


# SPEC: A2
def test_naming_the_connectors_loads_no_driver() -> None:
    code = (
        "import sys; from warp_resources.connectors.registry import list_connectors; list_connectors();"
        "sys.exit(bool({'pymongo', 'bson', 'psycopg', 'pgpq', 'dagster'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
