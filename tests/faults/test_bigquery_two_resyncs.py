"""Two processes read one table of BigQuery into BigQuery again, at once: no row is lost, none is there twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from subprocess import Popen

import pytest

from tests.fixtures.servers import BigQueryProject
from tests.pairs.process import Command
from warp_resources.connectors.bigquery.options import BigQueryOptions
from warp_resources.connectors.bigquery.session import Session

pytestmark = pytest.mark.servers

_MAKE = """
create table shop.users (id int64, name string, updated_at timestamp, primary key (id) not enforced) cluster by id;
insert into shop.users select n, 'old', timestamp '2024-01-01 00:00:00+00' from unnest(generate_array(1, 2000)) as n;
"""
# No tick would find any of it.
_CHANGE = """
update shop.users set name = 'new' where mod(id, 7) = 0;
delete from shop.users where mod(id, 11) = 0;
insert into shop.users select n, 'late', timestamp '2023-01-01 00:00:00+00' from unnest([2001, 2002, 2003]) as n;
"""


class Shop:
    """A dataset and its copy in another, with as many processes on hosts of their own as are asked for."""

    def __init__(self, project: BigQueryProject, session: Session, folder: Path) -> None:
        self.project, self.session, self._folder = project, session, folder
        self.session.run("create schema shop")

    def run(self, script: str) -> None:
        for statement in filter(str.strip, script.split(";\n")):
            self.session.run(statement)

    def host(self, name: str, leases: str) -> Command:
        """Processes that find their leases in the file ``leases``."""
        folder = self._folder / name
        folder.mkdir()
        own = {"schema": "warehouse", "min_interval": 0, "state_file": str(self._folder / leases)}
        return Command(
            folder,
            f"bigquery://{self.session.project}",
            {**self.project.options, **own},
            "shop",
            top={"source": {**self.project.options, "database": "shop"}},
            mode="batch",
            full_load_batch_size=1000,
        )

    def differences(self) -> list[str]:
        source, copy = (self.session.rows(f"{self.session.project}.{name}.users") for name in ("shop", "warehouse"))
        here, there = ({row["id"]: row["name"] for row in rows} for rows in (source, copy))
        twice = [key for key, count in Counter(row["id"] for row in copy).items() if count > 1]
        return [f"twice: {twice[:5]}"] * bool(twice) + [str(its) for its in sorted(here.items() ^ there.items())[:5]]


@pytest.fixture
def shop(bigquery: BigQueryProject, tmp_path: Path) -> Iterator[Shop]:
    with closing(Session(BigQueryOptions(**bigquery.endpoints))) as session:  # type: ignore[arg-type]
        yield Shop(bigquery, session, tmp_path)


# SPEC: T8 M5 X2  FAULTS: 3
@pytest.mark.parametrize("leases", [("one", "one"), ("one", "another")], ids=["leases", "fences"])
def test_two_resyncs_of_one_table_at_once(shop: Shop, leases: tuple[str, str]) -> None:
    shop.run(_MAKE)
    hosts = [shop.host(f"host{number}", store) for number, store in enumerate(leases)]
    hosts[0].once()
    assert shop.differences() == []
    shop.run(_CHANGE)
    running = [host.start("resync", "--table", "shop.users", "--slices", "2") for host in hosts]
    codes = _ended(running)
    logs = [host.log[-3000:] for host in hosts]
    assert 0 in codes, logs
    assert "Traceback" not in "".join(logs), logs
    assert shop.differences() == [], logs
    # Whichever gave way, nothing of it stands in the way of what comes.
    shop.run("insert into shop.users values (5000, 'a tick', timestamp '2024-01-02 00:00:00+00')")
    hosts[1].once()
    assert shop.differences() == []


def _ended(running: list[Popen[bytes]]) -> list[int]:
    try:
        return [process.wait(120) for process in running]
    finally:
        for process in running:
            process.kill()
