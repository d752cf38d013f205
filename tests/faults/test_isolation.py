"""What is wrong with one table, or with one schema, is no matter of the others."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.faults.stage import Stage, staged
from tests.fixtures.servers import MongoDatabase
from tests.pairs.oracle import differences
from tests.pairs.process import stop
from warp_resources.cli.measuring import Measurements
from warp_resources.cli.status import table_statuses
from warp_resources.pipeline.options import open_destination
from warp_resources.telemetry import metrics

pytestmark = pytest.mark.servers

TABLES = tuple(f"t{number:02d}" for number in range(50))
POISONED, LOCKED, LETTERS, SLOW, FROZEN = TABLES[:5]
ASIDE = [POISONED, LOCKED, FROZEN]
FREEZE = {"contract": {"new_columns": "freeze"}}
ROLE = "create role {role} login password 'pw'; grant create, temporary on database {database} to {role}"


class Depot:
    """A schema of fifty tables, one beside it, and one in whose place somebody else's schema stands."""

    def __init__(self, folder: Path, mongo_db: MongoDatabase, warehouse: str) -> None:
        self.mongo, self.warehouse = mongo_db, warehouse
        self.beside, self.closed = f"{mongo_db.name}_beside", f"{mongo_db.name}_closed"
        self.stage: Stage = staged(folder, mongo_db.client, mongo_db.uri, self._as_a_role(), mongo_db.name)
        self.stage.warehouse = warehouse
        self.configure({FROZEN: FREEZE})
        for name in TABLES:
            self.stage.database[name].insert_many([{"_id": n, "n": n} for n in range(5)])
        for database in (self.beside, self.closed):
            mongo_db.client[database]["a"].insert_one({"_id": 0, "n": 0})

    def configure(self, tables: dict[str, Any]) -> None:
        path = self.stage.command.path
        content = yaml.safe_load(path.read_text())
        content["schemas"] = [{"name": self.stage.schema, "tables": tables}]
        content["schemas"] += [{"name": name, "database": name} for name in (self.beside, self.closed)]
        content["error_handling"] = {"max_backoff_seconds": 2}
        path.write_text(yaml.safe_dump(content))

    def run(self, statement: str, *names: str) -> None:
        with psycopg.connect(self.warehouse, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    def changes(self, number: int, tables: Sequence[str] = TABLES) -> None:
        """One more row of each of these tables, and of the schema beside."""
        for name in tables:
            self.stage.database[name].insert_one({"_id": number, "n": {"an": "object"} if name == LETTERS else number})
        self.mongo.client[self.beside]["a"].insert_one({"_id": number, "n": number})

    @contextmanager
    def changing(self) -> Iterator[None]:
        """More and more rows in ten tables, those at fault among them, for the length of a block."""
        stopped = threading.Event()

        def work() -> None:
            number = 1000
            while not stopped.wait(0.2):
                number += 1
                self.changes(number, TABLES[:10])

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join(30)

    def aside(self) -> list[str]:
        query = "select table_name from cartridge_warp_metadata.sync_markers where aside_position is not null"
        return sorted(self.stage.query(f"{query} and schema_name = %s"))

    def lacking(self, *tables: str) -> list[str]:
        """What these tables lack of the rows that the source has by now, and the schema beside."""
        return [
            *self.stage.differences(*tables),
            *differences(self.mongo.client[self.beside], self.warehouse, self.beside, "a"),
        ]

    def _as_a_role(self) -> str:
        """The connection string of a role that may do what the product needs, and owns nothing."""
        database, role = conninfo_to_dict(self.warehouse)["dbname"], f"writer_{self.mongo.name}"
        with psycopg.connect(self.warehouse, autocommit=True) as connection:
            names = {"role": sql.Identifier(role), "database": sql.Identifier(str(database))}
            connection.execute(sql.SQL(ROLE).format(**names))
            connection.execute(sql.SQL("create schema {}").format(sql.Identifier(self.closed)))
        return make_conninfo(self.warehouse, user=role, password="pw")

    def arrived(self, number: int, *tables: str) -> list[str]:
        """The tables in which a row has yet to arrive."""
        places = {name: sql.Identifier(self.stage.schema, name) for name in tables}
        places |= {self.beside: sql.Identifier(self.beside, "a")}
        with psycopg.connect(self.warehouse, autocommit=True) as connection:
            return [name for name, place in places.items() if not has_row(connection, place, number)]

    def inject(self) -> psycopg.Connection[Any]:
        """Put five tables at fault; the connection that holds a lock on one of them."""
        schema, inject = self.stage.schema, self.stage.inject
        inject(f"{POISONED}: no row can be written")
        self.run("alter table {}.{} rename column n to mislaid", schema, POISONED)
        inject(f"{SLOW}: every row takes 50 ms")
        slow_down(self.warehouse, schema, 0.05)
        inject(f"{FROZEN}: a field that its contract does not allow")
        self.stage.database[FROZEN].insert_one({"_id": -1, "unforeseen": 1})
        inject(f"{LETTERS}: every row has a value that has no place")
        inject(f"{LOCKED}: somebody else holds a lock")
        holder = psycopg.connect(self.warehouse)
        holder.execute(sql.SQL("lock table {} in share mode").format(sql.Identifier(schema, LOCKED)))
        return holder

    def mend(self, holder: psycopg.Connection[Any]) -> None:
        schema = self.stage.schema
        holder.close()
        self.run("alter table {}.{} rename column mislaid to n", schema, POISONED)
        self.run("drop trigger doze on {}.{}", schema, SLOW)


# SPEC: M3 R1 L4 P1  FAULTS: 14 17
@pytest.mark.timeout(300)
def test_five_tables_of_fifty_and_one_schema_of_three_are_at_fault(
    tmp_path: Path, mongo_db: MongoDatabase, warehouse: str
) -> None:
    depot = Depot(tmp_path, mongo_db, warehouse)
    stage, healthy = depot.stage, TABLES[5:]
    with stage.running() as process:
        stage.eventually(lambda: depot.arrived(0, *TABLES), 120)
        with depot.inject() as holder, depot.changing():
            depot.changes(100)
            stage.eventually(lambda: depot.arrived(100, *healthy, LETTERS))
            stage.eventually(lambda: set(ASIDE) <= set(depot.aside()))
            depot.changes(200)
            stage.eventually(lambda: depot.arrived(200, *healthy, LETTERS))
            assert_told(depot)
            depot.mend(holder)
            stage.eventually(lambda: depot.aside() == [FROZEN])
            depot.changes(300)
            stage.eventually(lambda: depot.arrived(300, POISONED, LOCKED, SLOW, *healthy))
        stage.eventually(lambda: depot.lacking(*(set(TABLES) - {FROZEN, LETTERS})))
        assert stop(process) == 1, "one schema could not be served"
    depot.configure({})
    assert stage.start("run", "--once", "--schema", stage.schema).wait(120) == 0, stage.command.log[-3000:]
    assert depot.lacking(*(set(TABLES) - {LETTERS})) == []
    assert depot.aside() == []


# SPEC: M3 R3
def test_a_table_whose_rows_take_longer_than_a_transaction_may_holds_nobody_up(
    tmp_path: Path, mongo_db: MongoDatabase, warehouse: str
) -> None:
    # A cut that never fits would be tried again for ever, with all tables of the schema in it.
    limit = {"destination": {"transaction_timeout": 3}}
    stage = staged(tmp_path, mongo_db.client, mongo_db.uri, warehouse, mongo_db.name, top=limit)
    stage.database[SLOW].insert_one({"_id": 0})
    stage.database["quick"].insert_one({"_id": 0})
    stage.command.once()
    stage.inject("every row takes 100 ms: sixty take longer than transaction_timeout")
    slow_down(warehouse, stage.schema, 0.1)
    with stage.running() as process:
        stage.database[SLOW].insert_many([{"_id": n} for n in range(1, 61)])
        stage.database["quick"].insert_many([{"_id": n} for n in range(1, 61)])
        stage.eventually(lambda: stage.differences("quick"))
        stage.judge(process, errors={"table_set_aside"})


def has_row(connection: psycopg.Connection[Any], place: sql.Identifier, key: int) -> bool:
    try:
        return bool(connection.execute(sql.SQL("select from {} where _id = {}").format(place, key)).fetchall())
    except psycopg.errors.UndefinedTable:
        return False


def slow_down(warehouse: str, schema: str, seconds: float) -> None:
    """Let every row of the slow table take its time."""
    doze = "returns trigger language plpgsql as $$ begin perform pg_sleep({}); return new; end $$"
    trigger = "create trigger doze before insert or update on {}.{} for each row execute function {}.doze()"
    place = sql.Identifier(schema)
    with psycopg.connect(warehouse, autocommit=True) as connection:
        connection.execute(sql.SQL("create function {}.doze() " + doze).format(place, sql.Literal(seconds)))
        connection.execute(sql.SQL(trigger).format(place, sql.Identifier(SLOW), place))


def assert_told(depot: Depot) -> None:
    """Status, metrics and ``error_log`` say which tables are at fault, and why."""
    stage = depot.stage
    config = stage.config
    with closing(open_destination(config)) as destination:
        lines = {line.table: line for line in table_statuses(config, destination, stage.schema)}
    reasons = {POISONED: "does not exist", LOCKED: "lock timeout", FROZEN: "contract"}
    for name, reason in reasons.items():
        assert lines[name].state == "aside"
        assert reason in str(lines[name].error)
    assert lines[TABLES[-1]].state == "active"
    assert lines[LETTERS].dead_letters > 0
    with closing(Measurements(config)) as measurements:
        samples = measurements()
    statuses = {
        its.labels[2]: its.value
        for its in samples
        if its.metric is metrics.SYNC_STATUS and its.labels[1] == stage.schema
    }
    assert [statuses[name] for name in ASIDE] == [metrics.ERROR] * 3
    assert statuses[TABLES[-1]] == metrics.ACTIVE
    told = "select distinct table_name from cartridge_warp_metadata.error_log where error_type = %s"
    assert set(ASIDE) <= set(stage.query(f"{told} and schema_name = %s", "table_set_aside", stage.schema))
