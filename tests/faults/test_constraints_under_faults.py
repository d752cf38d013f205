"""Foreign and unique keys of the user's own, in a stream whose process dies in the middle of obeying them."""

from __future__ import annotations

import psycopg
import pytest

from tests.faults.stage import Stage

pytestmark = pytest.mark.servers

RULES = """
set search_path to {schema};
alter table users add constraint one_email unique (email);
alter table orders add constraint of_user foreign key ("user") references users;
"""
EMAILS = 40
ORPHANS = 5
WAITING = "select count(*) from cartridge_warp_metadata.dead_letters where schema_name = %s and status = 'pending'"


# SPEC: R2, E7, T7  FAULTS: 1, 20, 21
def test_rows_that_wait_for_each_other_and_a_process_that_dies_between(stage: Stage) -> None:
    users, orders = stage.database["users"], stage.database["orders"]
    users.insert_many([{"_id": number, "email": f"{number}@example.com"} for number in range(EMAILS)])
    orders.insert_one({"_id": -1, "user": 1})
    stage.command.once()
    with psycopg.connect(stage.warehouse) as connection:
        connection.execute(RULES.format(schema=stage.schema).encode())
    # Every address moves on to the next user, within one batch.
    users.update_one({"_id": EMAILS - 1}, {"$set": {"email": "between"}})
    for number in reversed(range(EMAILS - 1)):
        users.update_one({"_id": number}, {"$set": {"email": f"{number + 1}@example.com"}})
    users.update_one({"_id": EMAILS - 1}, {"$set": {"email": "0@example.com"}})
    # Children before their parents; those of the second half never get one.
    orders.insert_many([{"_id": number, "user": 1_000 + number} for number in range(2 * ORPHANS)])
    stage.dies("commit.ready=kill")
    assert stage.query(WAITING) == [0]
    stage.dies("commit.done=kill")
    assert stage.query(WAITING) == [2 * ORPHANS]
    assert [line for line in stage.differences() if "is missing" not in line] == []
    users.insert_many([{"_id": 1_000 + number, "email": f"late {number}"} for number in range(ORPHANS)])
    stage.dies("letters.read=kill")
    stage.command.once()
    assert stage.query(WAITING) == [ORPHANS]
    orders.delete_many({"_id": {"$gte": ORPHANS}})
    stage.judge(errors=["foreign_key"])
