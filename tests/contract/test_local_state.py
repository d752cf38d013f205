"""Leases in a file of this host, with real processes beside each other."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from warp_resources.connectors.local_state import LocalStateStore, default_state_file
from warp_resources.errors import LeaseHeld, OperatorError, TransientError
from warp_resources.pipeline.lease import this_process

LONG = timedelta(seconds=60)

_TAKER = """
import sys
from datetime import timedelta
from warp_resources.connectors.local_state import LocalStateStore
from warp_resources.errors import LeaseHeld
from warp_resources.pipeline.lease import this_process

store = LocalStateStore(sys.argv[1])
taken = 0
for number in range(20):
    try:
        store.take_lease(f"slice:{number}", this_process("child"), timedelta(seconds=60))
        taken += 1
    except LeaseHeld:
        pass
print(taken, flush=True)
input()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "leases.sqlite"


def test_processes_share_the_leases_and_one_that_is_killed_leaves_none(path: Path) -> None:
    # SPEC: T8 T9
    command = [sys.executable, "-c", _TAKER, str(path)]
    children = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        taken = [int(child.stdout.readline()) for child in children if child.stdout is not None]
        assert sum(taken) == 20
        store = LocalStateStore(path)
        with pytest.raises(LeaseHeld):
            store.take_lease("slice:0", this_process("me"), LONG)
    finally:
        for child in children:
            child.kill()
            child.communicate()
    store.take_lease("slice:0", this_process("me"), LONG)
    store.close()


def test_only_its_owner_may_look_into_it(path: Path) -> None:
    # SPEC: Z1
    store = LocalStateStore(path)
    store.set_mandate("shop", LONG)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    store.close()


def test_a_file_that_is_removed_is_made_anew_for_all(path: Path) -> None:
    one, other = LocalStateStore(path), LocalStateStore(path)
    lease = one.take_lease("stream:shop", this_process("me"), LONG)
    path.unlink()
    other.take_lease("stream:shop", this_process("me"), LONG)
    assert one.renew_leases([lease], LONG) == []
    one.close()
    other.close()


@pytest.mark.parametrize(
    "content", [b"this is no database, but a text of some length" * 100, b"SQLite format 3\0" + b"x" * 500]
)
def test_a_file_that_cannot_be_read_says_what_to_do(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    store = LocalStateStore(path)
    with pytest.raises(OperatorError, match="remove it"):
        store.has_mandate("shop")
    path.unlink()
    assert not store.has_mandate("shop")
    store.close()


def test_a_place_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OperatorError, match=r"state\.connection_string"):
        LocalStateStore(tmp_path / "file" / "leases.sqlite").has_mandate("shop")
    with pytest.raises(OperatorError, match=r"state\.connection_string"):
        LocalStateStore(tmp_path).has_mandate("shop")


def test_a_later_format_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("pragma user_version = 7")
    connection.close()
    with pytest.raises(OperatorError, match="format 7"):
        LocalStateStore(path).has_mandate("shop")


def test_a_file_that_another_process_keeps_busy_is_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warp_resources.connectors.local_state._BUSY_SECONDS", 0.01)
    store = LocalStateStore(path)
    store.set_mandate("shop", LONG)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin exclusive")
    with pytest.raises(TransientError, match="busy"):
        store.set_mandate("shop", LONG)
    other.close()
    assert store.has_mandate("shop")
    store.close()


def test_what_was_noted_before_the_host_began_anew_holds_nothing(path: Path) -> None:
    store = LocalStateStore(path)
    store.take_lease("stream:shop", this_process("me"), LONG)
    store.set_mandate("shop", LONG)
    with sqlite3.connect(path) as connection:
        connection.execute("update leases set host = 'elsewhere', renewed_at = 1e12, expires_at = 1e12 + 60")
        connection.execute("update mandates set given_at = 1e12, expires_at = 1e12 + 60")
    connection.close()
    assert not store.has_mandate("shop")
    assert store.lease_holder("stream:shop") is None
    store.take_lease("stream:shop", this_process("me"), LONG)
    store.close()


def test_the_file_is_in_the_users_state_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_state_file("proj/../x") == tmp_path / "cartridge-warp" / "proj_.._x.sqlite"
    monkeypatch.setenv("XDG_STATE_HOME", "not/absolute")
    assert default_state_file("p").parent == Path(os.path.expanduser("~/.local/state/cartridge-warp"))


def test_a_file_of_an_earlier_format_is_migrated_with_its_leases(path: Path) -> None:
    # SPEC: T8  FAULTS: 30
    store = LocalStateStore(path)
    lease = store.take_lease("stream:shop", this_process("me"), LONG)
    store.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("alter table leases drop column note; pragma user_version = 1")
    later = LocalStateStore(path)
    later.note(lease, "here")
    assert later.noted("stream:shop") == "here"
    later.close()
