"""BigQuery refuses, fails, or its answers are lost: each job happens once, and is asked for in time."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.cloud.bigquery import SchemaField

from tests.faults.bigquery_proxy import BigQueryProxy, Fault
from tests.fixtures.servers import BigQueryProject
from warp_resources.connectors.bigquery.options import BigQueryOptions
from warp_resources.connectors.bigquery.session import Session
from warp_resources.connectors.registry import destination_class
from warp_resources.errors import TransientError, WarpError
from warp_resources.model.batches import ErrorEntry
from warp_resources.model.tables import TableId

pytestmark = pytest.mark.servers

INSERT, RESULTS = r"POST \S+/jobs\b", r"GET \S+/queries/"
UPLOADED = r"PUT /upload/"
LATER = [
    (403, "rateLimitExceeded", "Exceeded rate limits: too many api requests per user per method"),
    (429, "rateLimitExceeded", "Too many requests"),
    (503, "backendError", "Visibility check was unavailable. Please retry the request"),
    (500, "internalError", "An internal error occurred and the request could not be completed"),
    (0, "", "cut"),
]


@pytest.fixture
def session(bigquery: BigQueryProject, proxy: BigQueryProxy) -> Iterator[Session]:
    options = {**bigquery.endpoints, "api_endpoint": proxy.endpoint, "connection_timeout": 1}
    with closing(Session(BigQueryOptions(**options))) as made:  # type: ignore[arg-type]
        made.run("create schema shop; create table shop.t (id int64)")
        yield made


def load(session: Session) -> int:
    written = io.BytesIO()
    pq.write_table(pa.table({"id": pa.array([1, 2, 3], pa.int64())}), written)
    name = session.next_name("load")
    full = f"{session.project}.shop.{name}"
    count = session.load(lambda: io.BytesIO(written.getvalue()), full, [SchemaField("id", "INT64")], name)
    assert len(session.rows(full)) == 3
    return count


# SPEC: T7  FAULTS: 1, 22, 23
@pytest.mark.parametrize("where", [INSERT, RESULTS, UPLOADED])
def test_what_is_done_is_done_once_whatever_the_answer(session: Session, proxy: BigQueryProxy, where: str) -> None:
    faults = [
        Fault(where, *answer, is_done)
        for answer in LATER[:: 2 if where == UPLOADED else 1]
        for is_done in (False, True)
    ]
    for number, fault in enumerate(faults):
        proxy.fail(fault)
        before = len(proxy.lines)
        if where == UPLOADED:
            assert load(session) == 3
        else:
            session.run(
                "begin transaction; insert into shop.t values (@n); commit transaction;".replace("@n", str(number))
            )
        assert fault.met == 1, fault
        # Asked again a few times, and not as fast as it goes.
        assert len(proxy.lines) - before < 25
    if where != UPLOADED:
        assert sorted(row.id for row in session.rows(f"{session.project}.shop.t")) == list(range(len(faults)))


# SPEC: R3, M6  FAULTS: 22
def test_no_answer_at_all_is_waited_for_so_long_and_no_longer(session: Session, proxy: BigQueryProxy) -> None:
    for number, is_done in enumerate((False, True)):
        fault = Fault(INSERT, seconds=60, is_done=is_done)
        proxy.fail(fault)
        session.run(f"insert into shop.t values ({number})")
        assert fault.met == 1
    assert sorted(row.id for row in session.rows(f"{session.project}.shop.t")) == [0, 1]
    proxy.fail(Fault(UPLOADED, seconds=60, is_done=True))
    assert load(session) == 3
    for ask in (lambda: session.rows(f"{session.project}.shop.t"), lambda: session.table(f"{session.project}.shop.t")):
        proxy.fail(Fault(r"GET \S+/tables/t", seconds=60))
        assert ask()


# SPEC: R3
@pytest.mark.parametrize(
    ("status", "reason", "said"),
    [
        (403, "quotaExceeded", "A quota of BigQuery is used up"),
        (400, "resourceInUse", "A resource is in use"),
        (403, "accessDenied", "BigQuery refused to run a query job"),
    ],
)
def test_what_asking_again_does_not_help_is_said_at_once(
    session: Session, proxy: BigQueryProxy, status: int, reason: str, said: str
) -> None:
    proxy.fail(Fault(INSERT, status, reason, "in its own words", times=100))
    with pytest.raises(WarpError, match=said) as raised:
        session.run("select 1")
    assert isinstance(raised.value, TransientError) == (reason != "accessDenied")
    assert "in its own words" in str(raised.value)
    assert proxy.faults[-1].met == 1


# SPEC: R3
def test_a_job_that_is_known_to_nobody_is_a_lost_one(session: Session, proxy: BigQueryProxy) -> None:
    proxy.fail(Fault(INSERT, 409, "duplicate", "Already Exists: Job"))
    with pytest.raises(TransientError, match="lost"):
        session.run("select 1")


# SPEC: M3, T8  FAULTS: 3
def test_many_that_begin_at_once_all_get_their_turn(bigquery: BigQueryProject, tmp_path: Any) -> None:
    cls = destination_class("bigquery")
    made = [cls(cls.Options(**bigquery.endpoints, state_file=str(tmp_path / "state"))) for _ in range(4)]
    made[0].prepare()
    failed: list[BaseException] = []

    def work(number: int) -> None:
        schema = f"shop{number % 2}"
        table = TableId(schema, f"t{number}")
        try:
            for turn in range(2):
                made[number].record_errors([ErrorEntry(table, "some", str(turn), "none")], "r")
        except BaseException as error:  # noqa: BLE001 - asserted below.
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    assert failed == []
    with closing(Session(BigQueryOptions(**bigquery.endpoints))) as session:  # type: ignore[arg-type]
        counted = session.run("select count(*), count(distinct error_id) from cartridge_warp_metadata.error_log")
        assert tuple(counted[0].values()) == (8, 8)
        session.run("select * from cartridge_warp_metadata.sync_markers")
        view = session.table(f"{session.project}.cartridge_warp_metadata.sync_markers")
        assert view is not None
        assert all(f"control__shop{number}" in view.view_query for number in (0, 1))
    for one in made:
        one.close()
