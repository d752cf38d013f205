"""Metadata that earlier versions wrote: migrated, with all that it says still true."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import sql

from tests.faults.stage import Stage
from warp_resources.connectors.postgresql import migrations
from warp_resources.connectors.postgresql.destination import PostgresDestination
from warp_resources.connectors.postgresql.options import PostgresOptions

pytestmark = pytest.mark.servers

_METADATA, _KEPT = "cartridge_warp_metadata", "kept_metadata"
_COLUMNS = """
select old.table_name, array_agg(old.column_name::text)
from information_schema.columns as old join information_schema.columns as kept using (table_name, column_name)
where old.table_schema = %s and kept.table_schema = %s and old.table_name <> 'metadata_version'
group by old.table_name
"""
_READINGS = "select count(*) from cartridge_warp_metadata.generations where schema_name = %s"
_VERSION = "select max(version) from cartridge_warp_metadata.metadata_version where %s::text is not null"


# SPEC: T1  FAULTS: 30
def test_a_stream_goes_on_after_an_upgrade(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = stage.machine()
    machine.fill(200)
    stage.machine("archive").fill(50)
    stage.command.once()
    untouched, readings = _archive(stage), stage.query(_READINGS)
    for version, count in ((1, 2), (len(migrations.MIGRATIONS) - 1, 1)):
        machine.burst(40)
        stage.inject(f"metadata as version {version} had it, and {count} that migrate it at once")
        _rewind(stage, version, monkeypatch)
        started = [stage.command.start("run", "--once") for _ in range(count)]
        assert [process.wait(60) for process in started] == [0] * count, stage.command.log[-3000:]
        assert stage.query(_VERSION) == [len(migrations.MIGRATIONS)]
        assert stage.differences() == []
        assert (_archive(stage), stage.query(_READINGS)) == (untouched, readings), "nothing was read again"
    machine.burst(40)
    stage.judge()


def _archive(stage: Stage) -> list[str]:
    with psycopg.connect(stage.warehouse) as connection:
        query = sql.SQL("select _id || ' ' || _warp_sequence from {} order by _id")
        return [row[0] for row in connection.execute(query.format(sql.Identifier(stage.schema, "archive")))]


def _rewind(stage: Stage, version: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the metadata anew as a version made it, with all that it then could hold of what is there now."""
    with psycopg.connect(stage.warehouse, autocommit=True) as connection:
        connection.execute(_statement("alter schema {} rename to {}", _METADATA, _KEPT))
        with monkeypatch.context() as before:
            before.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:version])
            destination = PostgresDestination(PostgresOptions.model_validate({"connection_string": stage.warehouse}))
            destination.prepare()
            destination.close()
        for table, columns in connection.execute(_COLUMNS, [_METADATA, _KEPT]).fetchall():
            names = sql.SQL(", ").join(map(sql.Identifier, columns))
            copying = sql.SQL("insert into {} ({}) overriding system value select {} from {}")
            connection.execute(
                copying.format(sql.Identifier(_METADATA, table), names, names, sql.Identifier(_KEPT, table))
            )
        connection.execute(_statement("drop schema {} cascade", _KEPT))


def _statement(text: str, *names: str) -> sql.Composed:
    return sql.SQL(text).format(*map(sql.Identifier, names))
