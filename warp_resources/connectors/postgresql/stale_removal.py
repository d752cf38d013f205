"""Removes stale rows, and keeps in sight those that the user's own constraints hold on to."""

from __future__ import annotations

from dataclasses import replace

import psycopg

from warp_resources.connectors.postgresql.letters import Origin, add_errors, add_letters, supersede_letters
from warp_resources.connectors.postgresql.refusals import Refusal, refusal_of, refused_delete
from warp_resources.connectors.postgresql.session import Connection
from warp_resources.connectors.postgresql.stale import Stale, delete_stale, stale_rows


def remove_stale(connection: Connection, stale: Stale, sequence: int, run_id: str) -> tuple[int, int]:
    """Remove (or flag) stale rows; those that others still refer to stay, each with a dead letter for its delete.

    Returns:
        The rows removed, and the rows that stay.
    """
    # What is deferred would be told at the commit, of no row in particular.
    connection.execute("set constraints all immediate")
    removed = _try(connection, stale, sequence)
    if not isinstance(removed, Refusal):
        return removed, 0
    return _remove_singly(connection, stale, sequence, run_id)


def _remove_singly(connection: Connection, stale: Stale, sequence: int, run_id: str) -> tuple[int, int]:
    rows = connection.execute(stale_rows(stale)).fetchall()
    left = {(row.tableoid, row.ctid): row.key_text for row in rows}
    refused: dict[str, Refusal] = {}
    removed, is_new = 0, True
    # Again and again, since the rows may refer to each other.
    while is_new:
        is_new = False
        for place in list(left):
            found = _try(connection, replace(stale, place=place), sequence)
            if isinstance(found, Refusal):
                refused[left[place]] = found
            else:
                removed += found
                refused.pop(left.pop(place), None)
                is_new = True
    accounts = [refused_delete(stale.schema, key, refusal) for key, refusal in refused.items()]
    table = stale.schema.table
    supersede_letters(connection, table, list(refused), until=sequence)
    add_letters(connection, [letter for letter, _ in accounts], Origin(sequence, sequence, None, run_id))
    add_errors(connection, [entry for _, entry in accounts], run_id)
    return removed, len(accounts)


def _try(connection: Connection, stale: Stale, sequence: int) -> int | Refusal:
    try:
        with connection.transaction():
            return connection.execute(delete_stale(stale, sequence=sequence)).rowcount
    except psycopg.Error as error:
        refusal = refusal_of(error)
        if refusal is None:
            raise
        return refusal
