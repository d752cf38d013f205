"""What every command has in common: exit codes, masked messages, and the global flags."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from warp_resources.cli.app import main

Command = Callable[..., tuple[int, str]]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs the command in a folder with a configuration of two schemas over the in-memory connectors."""
    tree = {
        "source": {"type": "memory"},
        "destination": {"type": "memory"},
        "schemas": [{"name": "shop"}, {"name": "crm", "mode": "batch"}],
    }
    (tmp_path / "warp.yaml").write_text(yaml.safe_dump(tree), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    for name in ("CARTRIDGE_WARP_CONFIG", "CARTRIDGE_WARP_DEBUG"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["cartridge-warp", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        assert isinstance(end.value.code, int)
        return end.value.code, said.out + said.err

    return run


# SPEC: Z1, L3
@pytest.mark.parametrize(
    "arguments",
    [
        ["init", "mongodb://me:s3cret@h/d", "postgresql://me:s3cret@h/w"],
        ["init", "mongodb://me:s3cret/d"],
        ["init", "mongodb://me:s3/cret@h/d"],
        ["init", "me:s3cret@h/d"],
        ["init", "host=h password=s3cret"],
        ["run", "--once=mongodb://me:s3cret@h/d"],
        ["--source", "mongodb://me:s3/cret@h/d", "--destination", "memory://", "--schema", "shop", "config", "show"],
        ["--source", "mongodb://me:1/s3cret@h/d", "config", "show"],
        ["init", "--source", "mongodb://me:s3cret/d", "--destination", "postgresql://h/d"],
    ],
)
def test_no_password_of_the_command_line_is_echoed(command: Command, arguments: list[str]) -> None:
    code, said = command(*arguments)
    assert code == 2
    assert "cret" not in said
    assert "Error: " in said


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--version"], 0, "."),
        (["--help"], 0, "Usage:"),
        ([], 2, "Usage:"),
        (["config"], 2, "Usage:"),
        (["validate"], 0, "valid"),
        (["validate", "--conect"], 2, "--connect"),
        (["no-such-command"], 2, "no-such-command"),
    ],
)
def test_exit_codes(command: Command, arguments: list[str], code: int, words: str) -> None:
    # SPEC: L3
    found, said = command(*arguments)
    assert found == code
    assert words in said
    assert "Traceback" not in said


# SPEC: L3
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["dead-letters", "discard", "--reason", "check", "--table", "", "--yes"], "--table is empty"),
        (["dead-letters", "replay", "--all", "--schema="], "--schema is empty"),
        (["dead-letters", "list", "--reason="], "--reason is empty"),
        (["errors", "--type", ""], "--type is empty"),
        (["dead-letters", "show", str(2**63)], "ID"),
        (["dead-letters", "replay", "1", str(2**63)], "ID"),
        (["dead-letters", "discard", "0"], "ID"),
        (["dead-letters", "list", "--limit", str(2**63)], "--limit"),
        (["errors", "--limit", str(2**63)], "--limit"),
    ],
)
def test_what_chooses_letters_is_never_taken_for_more_than_was_meant(
    command: Command, arguments: list[str], words: str
) -> None:
    code, said = command(*arguments)
    assert code == 2
    assert words in said
    assert "Traceback" not in said


# SPEC: C6, L5
@pytest.mark.parametrize(
    ("value", "traceback"),
    [("0", False), ("false", False), ("no", False), ("", False), ("1", True), ("true", True), ("on", True)],
)
def test_debug_is_read_as_a_boolean(
    command: Command, monkeypatch: pytest.MonkeyPatch, value: str, traceback: bool
) -> None:
    monkeypatch.setenv("CARTRIDGE_WARP_DEBUG", value)
    code, said = command("--config", "absent.yaml", "validate")
    assert code == 2
    assert ("Traceback" in said) is traceback


def test_debug_that_is_no_boolean_is_refused(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARTRIDGE_WARP_DEBUG", "perhaps")
    code, said = command("validate")
    assert code == 2
    assert "CARTRIDGE_WARP_DEBUG is neither true nor false" in said


# SPEC: L3
@pytest.mark.parametrize("rest", [["validate"], ["markers", "list"], ["config", "show"], ["status"], ["discover"]])
def test_a_global_schema_that_does_not_exist_is_refused(command: Command, rest: list[str]) -> None:
    code, said = command("--schema", "shp", *rest)
    assert code == 2
    assert "Did you mean 'shop'?" in said


def test_a_global_schema_narrows_what_is_looked_at(command: Command) -> None:
    assert "1 schema(s): crm (batch)" in command("--schema", "crm", "validate")[1]
    assert "crm" in command("--schema", "crm", "config", "show")[1]


def test_a_batch_schema_without_a_schedule_is_noted(command: Command) -> None:
    # SPEC: D3, L2
    code, said = command("validate")
    assert code == 0
    assert "schema 'crm' has batch tables and no schedule" in said
    assert "schema 'shop' has batch" not in said
