"""The private BigQuery emulator: comes back after a crash, and has what it gets wrong mended."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.cloud.bigquery import SchemaField, Table

from tests.fixtures.servers import BigQueryProject
from warp_resources.connectors.bigquery import environment as environments
from warp_resources.connectors.bigquery import pythons
from warp_resources.connectors.bigquery.embedded import EmbeddedBigQuery
from warp_resources.connectors.bigquery.options import BigQueryOptions
from warp_resources.connectors.bigquery.session import Session
from warp_resources.errors import OperatorError


def session(project: BigQueryProject) -> Session:
    its = Session(BigQueryOptions(**project.endpoints))
    its.run("create schema shop")
    return its


def test_it_survives_a_crash_and_is_gone_after_its_end(bigquery_server: EmbeddedBigQuery) -> None:
    # The shared one stays; only its environment must be there.
    with EmbeddedBigQuery() as server:
        its = Session(BigQueryOptions(**BigQueryProject(server, "kept").endpoints))
        its.run("create schema shop; create table shop.orders as select 7 as n;")
        endpoint, pid = server.api_endpoint, server.pid
        server.kill()
        assert server.pid is None
        server.restart()
        assert server.api_endpoint == endpoint
        assert [row.n for row in its.rows("kept.shop.orders")] == [7]
        its.close()
        pids = (pid, server.pid)
    assert not any(psutil.pid_exists(pid) for pid in pids if pid is not None)


def test_a_server_that_cannot_start_says_why(bigquery_server: EmbeddedBigQuery, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "emulator.duckdb").write_text("no database " * 1000)
    server = EmbeddedBigQuery(tmp_path)
    with pytest.raises(OperatorError, match="did not start") as refused:
        server.start()
    assert str(tmp_path) in str(refused.value.remedy)
    assert server.pid is None


def test_projects_are_apart(bigquery_server: EmbeddedBigQuery, bigquery: BigQueryProject) -> None:
    its = session(bigquery)
    its.run("create table shop.orders as select 1 as n")
    other = session(bigquery._replace(project=f"{bigquery.project}-other"))
    assert other.rows(f"{other.project}.shop.orders") == []
    assert len(its.rows(f"{bigquery.project}.shop.orders")) == 1


def test_json_in_a_merge_inside_a_transaction(bigquery: BigQueryProject) -> None:
    its = session(bigquery)
    its.run("create table shop.t (id int64, body json); insert into shop.t values (1, json '1');")
    merge = """merge shop.t as T using (select 1 as id, '[1, 2.5]' as text union all select 2, '{"a": null}') as S
        on T.id = S.id
        when matched then update set body = parse_json(S.text, wide_number_mode => 'round')
        when not matched then insert (id, body) values (S.id, parse_json(S.text, wide_number_mode => 'round'));"""
    its.run(f"begin transaction; {merge} insert into shop.t values (3, null); commit transaction;")
    rows = its.run("select id, to_json_string(body) as body from shop.t order by id")
    assert [(row.id, row.body) for row in rows] == [(1, "[1,2.5]"), (2, '{"a":null}'), (3, "null")]
    its.run("update shop.t set body = json '4' where id = 3; update shop.t set body = cast(null as json) where id = 1;")
    rows = its.run("select id, to_json_string(body) as body from shop.t order by id")
    assert [(row.id, row.body) for row in rows] == [(1, "null"), (2, '{"a":null}'), (3, "4")]
    with pytest.raises(OperatorError, match="on purpose"):
        its.run(f"begin transaction; {merge} delete from shop.t where true; select error('on purpose');")
    assert len(its.rows(f"{bigquery.project}.shop.t")) == 3


def test_bytes_of_parquet_arrive_as_they_are(bigquery: BigQueryProject) -> None:
    its, values = session(bigquery), [b"\x00\xff\xfe", b"", None, b"AAAA"]
    target = io.BytesIO()
    pq.write_table(pa.table({"b": pa.array(values, pa.binary())}), target)
    table = f"{bigquery.project}.shop.b"
    its.load(lambda: io.BytesIO(target.getvalue()), table, [SchemaField("b", "BYTES")], "one")
    assert [row.b for row in its.rows(table)] == values


def test_several_renames_are_one(bigquery: BigQueryProject) -> None:
    its = session(bigquery)
    its.run("create table shop.t as select 1 as a, 'x' as b, 2.5 as c")
    its.run("alter table shop.t rename column a to z, rename column b to a, rename column z to b")
    with pytest.raises(OperatorError):
        its.run("alter table shop.t rename column c to d, rename column missing to e")
    assert [dict(row.items()) for row in its.rows(f"{bigquery.project}.shop.t")] == [{"b": 1, "a": "x", "c": 2.5}]


def test_a_request_changes_the_query_of_a_view(bigquery: BigQueryProject) -> None:
    its, view = session(bigquery), Table(f"{bigquery.project}.shop.shown")
    view.view_query = "select 1 as n"
    its.client.create_table(view)
    view.view_query = "select 2 as n"
    assert its.client.update_table(view, ["view_query"]).view_query == "select 2 as n"
    assert [row.n for row in its.run("select n from shop.shown")] == [2]


def test_two_that_want_the_environment_make_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock, launcher = tmp_path / "empty.lock", tmp_path / "launcher.py"
    lock.write_text("")
    launcher.write_text(f"print(1, file=open({str(tmp_path / 'made')!r}, 'a'))")
    monkeypatch.setattr(environments, "LOCK", lock)
    monkeypatch.setattr(environments, "LAUNCHER", launcher)
    monkeypatch.setattr(environments, "newer_python", lambda: Path(sys.executable))
    found: list[environments.Environment] = []
    threads = [
        threading.Thread(target=lambda: found.append(environments.environment(tmp_path / "there"))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[1]
    assert subprocess.run([found[0].python, "-c", "pass"], check=False).returncode == 0
    assert (tmp_path / "made").read_text() == "1\n"
    assert {path.name for path in (tmp_path / "there").iterdir()} == {"lock", found[0].folder.name}


def test_without_a_newer_python_one_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A shim of a version manager may be there and run nothing.
    shim = tmp_path / "python3.13"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    for name in ("HOME", "PYENV_ROOT", "MISE_DATA_DIR", "ASDF_DATA_DIR", "UV_PYTHON_INSTALL_DIR", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(OperatorError, match=r"needs a Python of 3\.13 or newer") as refused:
        pythons.newer_python()
    assert "\n" not in str(refused.value)
