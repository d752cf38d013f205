"""Sees each change of a table of the warehouse, in the transaction that makes it, so that a repeated one shows."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg import sql

_SEE = """
create table if not exists public.seen (
    number bigserial primary key, operation text, key text, life bigint, step bigint
);
create or replace function public.see() returns trigger language plpgsql set search_path = public as $$
declare row jsonb := to_jsonb(coalesce(new, old));
begin
    insert into public.seen (operation, key, life, step)
    values (lower(tg_op), row ->> '_id', (row ->> 'life')::bigint, (row ->> 'step')::bigint);
    return null;
end $$;
"""
_TRIGGER = "create trigger seen after insert or update or delete on {} for each row execute function public.see()"
_SEEN = "select operation, key, life, step from public.seen order by number"


@dataclass(frozen=True, slots=True)
class Seen:
    """One change of one row: after an insert or update the row as it is then, of a delete as it was."""

    operation: str
    key: str
    life: int
    step: int


@dataclass(frozen=True, slots=True)
class Witness:
    """Watches the rows that a ``Machine`` makes."""

    warehouse: str

    @classmethod
    def of(cls, warehouse: str, schema: str, table: str = "users") -> Witness:
        """Watch a table that exists from now on."""
        with psycopg.connect(warehouse, autocommit=True) as connection:
            connection.execute(_SEE)
            connection.execute(sql.SQL(_TRIGGER).format(sql.Identifier(schema, table)))
        return cls(warehouse)

    def seen(self) -> list[Seen]:
        with psycopg.connect(self.warehouse) as connection:
            return [Seen(*row) for row in connection.execute(_SEEN).fetchall()]

    def forget(self) -> None:
        """Begin anew."""
        with psycopg.connect(self.warehouse, autocommit=True) as connection:
            connection.execute("truncate public.seen")

    def gone_back(self) -> list[str]:
        """Where a row went back to an earlier state, or came back after its delete."""
        found, last = [], dict[str, Seen]()
        for now in self.seen():
            before = last.get(now.key)
            if before is not None and not _follows(before, now):
                found.append(f"{before} then {now}")
            last[now.key] = now
        return found


def _follows(before: Seen, now: Seen) -> bool:
    if before.operation == "delete":
        return now.operation == "insert" and now.life > before.life
    if now.operation == "delete":
        return (now.life, now.step) == (before.life, before.step)
    # An update may show what a later one wrote, and that one then shows it again.
    return (now.life, now.step) >= (before.life, before.step)
