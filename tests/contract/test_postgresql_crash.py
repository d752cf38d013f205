"""What a PostgreSQL destination has and says after a connection, a server or a writer was lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import psycopg
import pytest

from tests.contract.postgresql_lab import CREATE, RUN, Lab, Reading, column, conformed, opened, schema_of
from warp_resources.connectors.postgresql import commit, table_commit
from warp_resources.connectors.postgresql.embedded import EmbeddedPostgres
from warp_resources.errors import FencedOut, TransientError
from warp_resources.model.positions import ChunkCommit
from warp_resources.model.tables import Kind

pytestmark = pytest.mark.servers

USERS = schema_of(column("_id", Kind.INT64), column("name", Kind.TEXT))
ONE, TWO = {"_id": [1], "name": ["one"]}, {"_id": [2], "name": ["two"]}


@pytest.fixture
def lab(warehouse: str) -> Iterator[Lab]:
    yield from opened(warehouse)


def _cut_connections(lab: Lab) -> None:
    lab.connection.execute(
        "select pg_terminate_backend(pid, 10000) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'"
    )


def _before(monkeypatch: pytest.MonkeyPatch, module: object, name: str, act: Callable[[], None]) -> None:
    """Call ``act`` once, before a step of the commit."""
    step = getattr(module, name)
    pending = [act]

    def interrupted(*arguments: object, **named: object) -> object:
        while pending:
            pending.pop()()
        return step(*arguments, **named)

    monkeypatch.setattr(module, name, interrupted)


STEPS = [
    (commit, "stage_rows"),
    (commit, "move_stream"),
    (commit, "lock_tables"),
    (table_commit, "apply_changes"),
    (table_commit, "merge_rows"),
    (table_commit, "count_rows"),
    (commit, "add_errors"),
]


@pytest.mark.parametrize(("module", "step"), STEPS, ids=[name for _, name in STEPS])
def test_a_connection_lost_in_the_middle_leaves_nothing(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, module: object, step: str
) -> None:
    # FAULTS: 1, SPEC: T7
    _before(monkeypatch, module, step, lambda: _cut_connections(lab))
    with pytest.raises(TransientError):
        lab.write(conformed(USERS, ONE, changes=CREATE))
    assert lab.destination.table_schemas("shop") == {}
    assert lab.destination.table_states("shop") == {}
    assert lab.metadata("count(*) from @sync_runs") == [(0,)]
    assert lab.connection.execute("select to_regclass('shop.users')").fetchall() == [(None,)]
    assert lab.destination.stream_state("shop") == lab.stream
    # The same destination goes on with the same batch.
    assert lab.receipt(conformed(USERS, ONE, changes=CREATE)).rows_written == 1
    assert lab.rows(USERS) == [("1", "one")]


def test_after_a_lost_answer_the_marker_decides(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    # FAULTS: 1
    class Lost(psycopg.Transaction):
        def _commit_gen(self):  # type: ignore[no-untyped-def]
            yield from super()._commit_gen()
            raise psycopg.OperationalError("the connection was lost")

    lab.write(conformed(USERS, ONE, changes=CREATE))
    with monkeypatch.context() as patch:
        patch.setattr("psycopg.connection.Transaction", Lost)
        with pytest.raises(TransientError):
            lab.write(conformed(USERS, TWO))
    found = lab.destination.stream_state("shop")
    assert found is not None
    assert (found.sequence, found.position) == (lab.stream.sequence + 1, {"at": lab.stream.sequence})
    with pytest.raises(FencedOut):
        lab.write(conformed(USERS, TWO))
    lab.stream = found
    lab.write(conformed(USERS, TWO))
    assert lab.rows(USERS) == [("1", "one"), ("2", "two")]


def test_a_server_that_restarts(postgres_server: EmbeddedPostgres, lab: Lab) -> None:
    # FAULTS: 18
    lab.write(conformed(USERS, ONE, changes=CREATE))
    postgres_server.restart()
    with pytest.raises(TransientError):
        lab.write(conformed(USERS, TWO))
    lab.write(conformed(USERS, TWO))
    assert lab.destination.row_count(USERS.table) == 2
    lab.connection = psycopg.connect(lab.uri, autocommit=True)


def test_a_crashed_chunk_is_copied_again(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    # FAULTS: 2
    reading = Reading.open(lab, USERS)
    reading.begin()
    _before(monkeypatch, table_commit, "count_rows", lambda: _cut_connections(lab))
    with pytest.raises(TransientError):
        reading.chunk(conformed(USERS, ONE, changes=CREATE), resume="1")
    epoch, part = lab.destination.seize_slice(USERS.table, reading.name, "slice-00")
    assert part.resume is None
    commit = ChunkCommit(USERS.table, reading.name, "slice-00", epoch, reading.basis, "1", True)
    assert lab.commit(conformed(USERS, ONE, changes=CREATE), commit).tables[USERS.table].rows_written == 1
    assert lab.destination.close_generation(USERS.table, reading.name, RUN) == 0


def test_two_writers_of_one_table_take_turns(lab: Lab) -> None:
    # DESIGN: Order
    other = Lab(lab.uri, type(lab.destination)(lab.destination._options), lab.connection)
    lab.write(conformed(USERS, ONE, changes=CREATE))
    reading = Reading.open(lab, USERS)
    failures: list[BaseException] = []

    def stream() -> None:
        try:
            other.stream = lab.stream
            for number in range(50):
                other.write(conformed(USERS, {"_id": range(number, number + 20), "name": ["stream"] * 20}))
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    writer = threading.Thread(target=stream)
    writer.start()
    for number in range(50):
        reading.begin()
        reading.chunk(conformed(USERS, {"_id": range(number, number + 30), "name": ["chunk"] * 30}))
    writer.join(60)
    assert failures == []
    state = lab.destination.table_states("shop")["users"]
    assert state.sequence == 101
    highest = lab.connection.execute("select max(_warp_sequence), count(*) from shop.users").fetchall()
    assert highest[0][0] <= 101
    assert highest[0][1] == 79
    other.destination.close()


def test_a_paused_writer_does_not_hold_its_locks_for_ever(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    # FAULTS: 3
    monkeypatch.setitem(
        __import__("warp_resources.connectors.postgresql.session", fromlist=["_SETTINGS"])._SETTINGS,
        "idle_in_transaction_session_timeout",
        "100ms",
    )
    lab.destination.close()
    lab.write(conformed(USERS, ONE, changes=CREATE))
    waited = threading.Event()

    def pause() -> None:
        with psycopg.connect(lab.uri) as waiting:
            waiting.execute("select * from cartridge_warp_metadata.sync_markers for update").fetchall()
        waited.set()

    _before(monkeypatch, table_commit, "merge_rows", pause)
    with pytest.raises(TransientError):
        lab.write(conformed(USERS, TWO))
    assert waited.is_set()
    assert lab.rows(USERS) == [("1", "one")]
