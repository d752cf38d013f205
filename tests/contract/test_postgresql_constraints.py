"""What becomes of rows that the user's own constraints in PostgreSQL refuse: only they stay behind, as dead letters."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from tests.contract.postgresql_lab import CREATE, Lab, Reading, column, conformed, opened, schema_of
from warp_resources.connectors.postgresql import careful
from warp_resources.errors import TableFailure, TransientError
from warp_resources.model.batches import ConformedTable
from warp_resources.model.rules import TableRules
from warp_resources.model.tables import Kind, TableId

pytestmark = pytest.mark.servers

COLUMNS = (column("_id", Kind.INT64), column("name", Kind.TEXT), column("n", Kind.INT64))
USERS = schema_of(*COLUMNS)
ORDERS = schema_of(*COLUMNS, table=TableId("shop", "orders"))
Row = tuple[int, str | None, int | None]
# Most of these parts are tiny, and all of their refusals are meant.
LENIENT = TableRules(rejected_share=1)


@pytest.fixture
def lab(warehouse: str) -> Iterator[Lab]:
    yield from opened(warehouse)


def users(*rows: Row, deletes: Sequence[object] = (), rules: TableRules = LENIENT) -> ConformedTable:
    return part(rows, deletes, rules)


def orders(*rows: Row, deletes: Sequence[object] = ()) -> ConformedTable:
    return replace(part(rows, deletes), schema=ORDERS)


def part(rows: Sequence[Row], deletes: Sequence[object], rules: TableRules = LENIENT) -> ConformedTable:
    named = {"_id": [row[0] for row in rows], "name": [row[1] for row in rows], "n": [row[2] for row in rows]}
    return conformed(USERS, named if rows else None, deletes=deletes, rules=rules)


def make(lab: Lab, *rows: Row, then: str) -> None:
    """The table with some rows, and the user's statements after."""
    lab.write(replace(users(*rows), based_on=0, changes=CREATE))
    for statement in filter(None, then.split(";")):
        lab.connection.execute(statement.encode())


def make_both(lab: Lab, then: str) -> None:
    lab.write(replace(orders(), based_on=0, changes=CREATE))
    make(lab, then=then)


def stored(lab: Lab, table: str = "users") -> list[Row]:
    return lab.connection.execute(f"select _id, name, n from shop.{table} order by 1".encode()).fetchall()  # type: ignore[return-value]


def letters(lab: Lab, status: str = "pending") -> list[tuple[object, ...]]:
    return lab.metadata(
        f"table_name, key_text, operation, reason from @dead_letters where status = '{status}' order by 1, 2, 3"
    )


REFUSALS = [
    ("check", "alter table shop.users add constraint rule check (n < 100)", (2, "b", 100), "rule"),
    ("not_null", "alter table shop.users alter column name set not null", (2, None, 1), "name"),
    ("unique", "alter table shop.users add constraint rule unique (name)", (2, "kept", 1), "rule"),
    ("unique", "create unique index rule on shop.users (lower(name))", (2, "KEPT", 1), "rule"),
    ("unique", "create unique index rule on shop.users (name) where n > 0", (2, "kept", 1), "rule"),
    (
        "unique",
        "alter table shop.users add constraint rule unique (name) deferrable initially deferred",
        (2, "kept", 1),
        "rule",
    ),
    (
        "foreign_key",
        "create table shop.lands (n bigint primary key); insert into shop.lands values (1), (2), (3);"
        "alter table shop.users add constraint rule foreign key (n) references shop.lands",
        (2, "b", 9),
        "rule",
    ),
    (
        "foreign_key",
        "create table shop.lands (n bigint primary key); insert into shop.lands values (1), (2), (3);"
        "alter table shop.users add constraint rule foreign key (n) references shop.lands initially deferred",
        (2, "b", 9),
        "rule",
    ),
    ("exclusion", "alter table shop.users add constraint rule exclude (name with =)", (2, "kept", 1), "rule"),
    (
        "check",
        "create domain public.short as text constraint rule check (length(value) < 9);"
        "alter table shop.users alter column name type public.short",
        (2, "much too long", 1),
        "rule",
    ),
    ("refused", "alter table shop.users alter column name type varchar(8)", (2, "much too long", 1), ""),
    (
        "refused",
        "create function shop.say() returns trigger language plpgsql as"
        " $$begin if new.n = 9 then raise 'no %', new.name using errcode = 'UE001'! end if! return new! end$$;"
        "create trigger rule before insert or update on shop.users for each row execute function shop.say()",
        (2, "secret", 9),
        "",
    ),
    ("refused", "create index rule on shop.users (name)", (2, "wide", 1), "rule"),
]


# SPEC: R1, R2, E7  FAULTS: 20
@pytest.mark.parametrize(
    ("reason", "rule", "bad", "where"), REFUSALS, ids=[f"{r[0]}-{n}" for n, r in enumerate(REFUSALS)]
)
@pytest.mark.parametrize("mode", ["stream", "batch", "chunk"])
def test_only_the_refused_row_stays_behind(lab: Lab, mode: str, reason: str, rule: str, bad: Row, where: str) -> None:
    make(lab, (1, "kept", 1), (2, "before", 2), then="")
    for statement in rule.split(";"):
        lab.connection.execute(statement.replace("!", ";").encode())
    if bad[1] == "wide":
        bad = (2, "".join(str(number) for number in range(9_000)), 1)
    batch = users((3, "c", 3), bad, (4, "d", None))

    def write() -> int:
        if mode == "stream":
            return lab.receipt(batch).rows_rejected
        if mode == "batch":
            return lab.batch_commit(batch).rows_rejected
        reading.begin()
        return reading.chunk(batch).rows_rejected

    reading = Reading.open(lab, USERS) if mode == "chunk" else Reading(lab, USERS, "", 0)
    assert [write(), write()] == [1, 0]
    assert stored(lab) == [(1, "kept", 1), (2, "before", 2), (3, "c", 3), (4, "d", None)]
    assert letters(lab) == [("users", "2", "upsert", reason)]
    [(record, key, name)] = lab.metadata("record, primary_key, column_name from @dead_letters")
    assert (json.loads(record), json.loads(key), name) == ({"_id": 2, "name": bad[1], "n": bad[2]}, {"_id": 2}, None)
    [(error, message, column)] = lab.metadata("error_type, message, column_name from @error_log")
    assert (error, column) == (reason, None)
    assert where in message
    assert str(bad[1]) not in message
    assert lab.metadata("sum(rows_rejected), sum(rows_written) > 0 from @sync_runs where rows_rejected > 0") == [
        (1, True)
    ]
    # The row is mended: its letter is out of date.
    lab.connection.execute("drop table if exists shop.lands cascade")
    batch = users((2, "good", 3))
    write()
    assert stored(lab)[1] == (2, "good", 3)
    assert letters(lab) == []


# SPEC: R2  FAULTS: 20
@pytest.mark.parametrize("timing", ["", "deferrable initially deferred"])
def test_a_child_comes_with_its_parent_in_one_cut(lab: Lab, timing: str) -> None:
    # By name, orders are written before users.
    make_both(lab, f"alter table shop.orders add constraint rule foreign key (n) references shop.users {timing}")
    lab.write(users((1, "parent", None)), orders((10, "child", 1), (11, "orphan", 2), (12, "free", None)))
    assert stored(lab, "orders") == [(10, "child", 1), (12, "free", None)]
    assert letters(lab) == [("orders", "11", "upsert", "foreign_key")]
    # Deletes go the other way, also where a child is handed over to another parent.
    lab.write(users((3, "other", None), deletes=[1]), orders((10, "child", 3)))
    assert (stored(lab), stored(lab, "orders")[0]) == ([(3, "other", None)], (10, "child", 3))
    lab.write(users(deletes=[3]), orders(deletes=[10]))
    assert stored(lab) == []
    assert letters(lab) == [("orders", "11", "upsert", "foreign_key")]


# SPEC: R2
def test_a_parent_that_still_has_children_is_not_lost_sight_of(lab: Lab) -> None:
    make_both(
        lab, "alter table shop.orders add constraint rule foreign key (n) references shop.users on delete restrict"
    )
    lab.write(users((1, "a", None), (2, "b", None)), orders((10, "child", 1)))
    assert lab.receipt(users(deletes=[1, 2])).rows_deleted == 1
    assert stored(lab) == [(1, "a", None)]
    assert letters(lab) == [("users", "1", "delete", "foreign_key")]
    assert lab.metadata("primary_key, record from @dead_letters") == [('{"_id": 1}', '{"_id": 1}')]
    lab.write(users(deletes=[1]), orders(deletes=[10]))
    assert (stored(lab), letters(lab)) == ([], [])


def test_rows_of_one_batch_may_refer_to_each_other(lab: Lab) -> None:
    make(lab, then="alter table shop.users add constraint rule foreign key (n) references shop.users;"
         "alter table shop.users add check (name <> 'bad')")  # fmt: skip
    chain: list[Row] = [(number, "a", number + 1) for number in range(1, 200)]
    lab.write(users(*chain, (200, "last", None), (300, "bad", None), (301, "orphan", 302), (303, "its child", 301)))
    assert [row[0] for row in stored(lab)] == list(range(1, 201))
    assert [(key, reason) for _, key, _, reason in letters(lab)] == [
        ("300", "check"), ("301", "foreign_key"), ("303", "foreign_key"),
    ]  # fmt: skip


def test_rows_that_wait_for_each_other_across_tables(lab: Lab) -> None:
    make_both(
        lab,
        "alter table shop.orders add foreign key (n) references shop.users deferrable initially deferred;"
        "alter table shop.users add foreign key (n) references shop.orders deferrable initially deferred;"
        "alter table shop.users add check (name <> 'bad')",
    )
    lab.write(users((1, "a", 10), (2, "bad", None)), orders((10, "b", 1)))
    assert (stored(lab), stored(lab, "orders")) == ([(1, "a", 10)], [(10, "b", 1)])
    assert letters(lab) == [("users", "2", "upsert", "check")]


SWAPS: dict[str, tuple[list[Row], list[int], list[Row]]] = {
    "swap": ([(1, "b", 1), (2, "a", 2)], [], [(1, "b", 1), (2, "a", 2), (3, "c", 3), (4, "d", 4)]),
    "circle": ([(1, "b", 1), (2, "c", 2), (3, "a", 3)], [], [(1, "b", 1), (2, "c", 2), (3, "a", 3), (4, "d", 4)]),
    "chain": ([(1, "b", 1), (2, "c", 2), (3, "e", 3)], [], [(1, "b", 1), (2, "c", 2), (3, "e", 3), (4, "d", 4)]),
    "new row": ([(1, "z", 1), (9, "a", 9)], [], [(1, "z", 1), (2, "b", 2), (3, "c", 3), (4, "d", 4), (9, "a", 9)]),
    "deleted": ([(1, "b", 1), (3, "a", 3)], [2], [(1, "b", 1), (3, "a", 3), (4, "d", 4)]),
}  # fmt: skip


# SPEC: E7  FAULTS: 21
@pytest.mark.parametrize("rule", [
    "alter table shop.users add constraint rule unique (name)",
    "alter table shop.users add constraint rule unique (name), alter column name set not null",
    "alter table shop.users add constraint rule unique (name), add check (name is not null)",
    "create unique index rule on shop.users (lower(name))",
    "alter table shop.users add constraint rule unique (name), add constraint other unique (name, n)",
], ids=["nullable", "not null", "checked", "expression", "two keys"])  # fmt: skip
@pytest.mark.parametrize("what", SWAPS)
@pytest.mark.parametrize("beside", ["alone", "beside a bad row"])
def test_unique_values_change_hands_in_one_batch(lab: Lab, rule: str, what: str, beside: str) -> None:
    rows, deletes, expected = SWAPS[what]
    make(
        lab,
        (1, "a", 1),
        (2, "b", 2),
        (3, "c", 3),
        (4, "d", 4),
        then=f"{rule}; alter table shop.users add check (n < 50)",
    )
    bad: list[Row] = [(7, "bad", 50)] if beside != "alone" else []
    lab.write(users(rows[0], *bad, *rows[1:], deletes=deletes))
    assert stored(lab) == expected
    assert letters(lab) == [("users", "7", "upsert", "check") for _ in bad]
    assert lab.metadata("count(*) from @deletion_log") == [(len(deletes),)]


def test_who_wants_a_value_that_another_row_keeps_does_not_drag_others_along(lab: Lab) -> None:
    make(lab, (1, "a", 1), (2, "b", 2), (3, "c", 3), then="alter table shop.users add constraint rule unique (name)")
    # 2 wants what 3 keeps, so it keeps b, which 1 wants. 4 and 5 come with one value.
    lab.write(users((1, "b", 1), (2, "c", 2), (4, "d", 4), (5, "d", 5)))
    assert stored(lab) == [(1, "a", 1), (2, "b", 2), (3, "c", 3), (4, "d", 4)]
    assert [key for _, key, _, _ in letters(lab)] == ["1", "2", "5"]


@pytest.mark.parametrize("hook", [
    "alter table shop.orders add foreign key (n) references shop.users on delete cascade",
    "create function shop.nothing() returns trigger language plpgsql as 'begin return old! end';"
    "create trigger gone after delete on shop.users for each row execute function shop.nothing()",
    "alter table shop.users add column note text",
], ids=["cascade", "trigger", "a column of their own"])  # fmt: skip
def test_rows_are_not_deleted_to_be_exchanged_where_that_leaves_a_trace(lab: Lab, hook: str) -> None:
    make_both(lab, "alter table shop.users add constraint rule unique (name), alter column name set not null")
    for statement in hook.split(";"):
        lab.connection.execute(statement.replace("!", ";").encode())
    lab.write(users((1, "a", 1), (2, "b", 2)), orders((10, "child", 1)))
    lab.write(users((1, "b", 1), (2, "a", 2), (3, "c", 3)))
    assert stored(lab) == [(1, "a", 1), (2, "b", 2), (3, "c", 3)]
    assert stored(lab, "orders") == [(10, "child", 1)]
    assert [(key, reason) for _, key, _, reason in letters(lab)] == [("1", "unique"), ("2", "unique")]


def test_a_few_bad_rows_among_thousands(lab: Lab) -> None:
    make(lab, then="alter table shop.users add constraint rule check (n >= 0)")
    bad = {0, 1, 2, 1717, 2500, 2501, 4999}
    rows: list[Row] = [(number, "x", -1 if number in bad else 1) for number in range(5_000)]
    receipt = lab.receipt(users(*rows, rules=TableRules()))
    assert (receipt.rows_written, receipt.rows_rejected) == (4_993, 7)
    assert {int(str(key)) for _, key, _, _ in letters(lab)} == bad


# SPEC: E7  FAULTS: 14
@pytest.mark.parametrize("rule", [
    "check (n < 0)", "unique (n)", "foreign key (n) references shop.orders", "exclude (n with =)",
], ids=lambda rule: rule.split()[0])  # fmt: skip
def test_a_table_of_which_too_much_is_refused_stops_as_a_whole(lab: Lab, rule: str) -> None:
    make_both(lab, f"alter table shop.users add constraint rule {rule}")
    before = lab.destination.stream_state("shop")
    rows: list[Row] = [(number, "x", 5) for number in range(2_000)]
    with pytest.raises(TableFailure, match=r"rule.*max_rejected_share") as caught:
        lab.write(orders((1, "x", 1)), users(*rows, rules=TableRules()))
    assert caught.value.facts["table"] == USERS.table
    assert caught.value.facts["constraint"] == "rule"
    assert (stored(lab), stored(lab, "orders"), letters(lab)) == ([], [], [])
    assert lab.destination.stream_state("shop") == before
    lab.write(orders((1, "x", 1)))


# SPEC: C5
def test_where_no_row_may_be_set_aside_the_first_one_stops_the_table(lab: Lab) -> None:
    make(lab, then="alter table shop.users add constraint rule check (n < 100)")
    with pytest.raises(TableFailure, match="dead_letter_queue"):
        lab.write(users((1, "a", 1), (2, "b", 100), rules=TableRules(rejected_share=0)))
    assert (stored(lab), letters(lab)) == ([], [])


def test_tiny_cuts_add_up(lab: Lab) -> None:
    make(lab, then="alter table shop.users add constraint rule check (n < 100)")
    for number in range(10):
        lab.write(users((number, "a", 100), rules=TableRules()))
    with pytest.raises(TableFailure):
        lab.write(users((99, "a", 100), rules=TableRules()))
    assert len(letters(lab)) == 10
    lab.write(users((99, "a", 1), rules=TableRules()))


# SPEC: E7
def test_a_foreign_key_that_nobody_checks_refuses_nothing(lab: Lab) -> None:
    make_both(
        lab,
        "alter table shop.users add check (n < 100);"
        "alter table shop.users add foreign key (n) references shop.orders; alter table shop.users disable trigger all",
    )
    lab.write(users((1, "a", 7), (2, "b", 100), (3, "c", 8)))
    assert stored(lab) == [(1, "a", 7), (3, "c", 8)]
    assert [(key, reason) for _, key, _, reason in letters(lab)] == [("2", "check")]


# SPEC: R2
def test_children_of_a_parent_that_is_still_read_do_not_count(lab: Lab) -> None:
    make_both(lab, "alter table shop.orders add constraint rule foreign key (n) references shop.users")
    reading = Reading.open(lab, USERS)
    strict = TableRules()
    rows: list[Row] = [(number, "x", 5) for number in range(20)]
    lab.write(replace(orders(*rows), rules=strict))
    assert len(letters(lab)) == 20
    reading.begin()
    reading.finish()
    with pytest.raises(TableFailure):
        lab.write(replace(orders(*rows[:19], (30, "y", 6)), rules=strict))


def test_a_first_load_that_is_copied_straight(lab: Lab) -> None:
    # SPEC: M5, E7
    make(lab, then="alter table shop.users add check (n < 100); create domain public.word as text;"
         "alter table shop.users alter column name type public.word")  # fmt: skip
    reading = Reading.open(lab, USERS)
    for start in (0, 100):
        reading.begin()
        rows: list[Row] = [(start + number, "x", 100 if number == 7 else 1) for number in range(100)]
        assert reading.chunk(users(*rows), resume=str(start + 99)).rows_rejected == 1
    reading.begin()
    reading.chunk(users((200, "x", 1)), is_done=True)
    lab.destination.close_generation(USERS.table, reading.name, "run-1")
    assert len(stored(lab)) == 199
    assert [key for _, key, _, _ in letters(lab)] == ["107", "7"]


def test_a_refused_row_is_not_stale(lab: Lab) -> None:
    # SPEC: M5, E7
    make(lab, (1, "a", 1), (2, "b", 2), (3, "gone", 3), then="alter table shop.users add check (n < 100)")
    reading = Reading.open(lab, USERS)
    reading.begin()
    reading.chunk(users((1, "a", 1), (2, "b", 100)))
    assert reading.finish() == 1
    assert stored(lab) == [(1, "a", 1), (2, "b", 2)]


@pytest.mark.parametrize("timing", ["", "on delete restrict", "deferrable initially deferred"])
def test_a_stale_row_that_others_refer_to_stays_in_sight(lab: Lab, timing: str) -> None:
    # SPEC: M5, R2
    make_both(lab, f"alter table shop.orders add constraint rule foreign key (n) references shop.users {timing};"
              "alter table shop.users add foreign key (n) references shop.users")  # fmt: skip
    lab.write(
        users((1, "seen", None), (2, "parent", None), (3, "stale", None), (4, "stale", 3)), orders((10, "child", 2))
    )
    for generation, removed in (("resync-1", 2), ("resync-2", 0)):
        reading = Reading.open(lab, USERS, generation)
        reading.begin()
        reading.chunk(users((1, "seen", None)))
        assert reading.finish() == removed
        assert [row[0] for row in stored(lab)] == [1, 2]
        assert letters(lab) == [("users", "2", "delete", "foreign_key")]


def test_stale_rows_of_a_table_that_was_partitioned_go_too(lab: Lab) -> None:
    # SPEC: M5, R2
    make_both(lab, "drop table shop.users; create table shop.users (like shop.orders) partition by list (_id);"
              "alter table shop.users add primary key (_id);"
              "create table shop.few partition of shop.users for values in (1, 2);"
              "create table shop.more partition of shop.users default;"
              "alter table shop.orders add foreign key (n) references shop.users")  # fmt: skip
    for generation, removed in (("resync-1", 2), ("resync-2", 0)):
        lab.write(users((1, "seen", None), (3, "parent", None)), orders((10, "child", 3)))
        if removed:
            lab.write(users((2, "stale", None), (4, "stale", None)))
        reading = Reading.open(lab, USERS, generation)
        reading.begin()
        reading.chunk(users((1, "seen", None)))
        assert reading.finish() == removed
        assert [row[0] for row in stored(lab)] == [1, 3]
        assert letters(lab) == [("users", "3", "delete", "foreign_key")]


def test_values_that_other_tables_follow_are_not_taken_away(lab: Lab) -> None:
    # SPEC: E8
    make_both(
        lab,
        "alter table shop.users add constraint rule unique (name);"
        "alter table shop.orders add foreign key (name) references shop.users (name) on update cascade",
    )
    lab.write(users((1, "a", 1), (2, "b", 2)), orders((10, "a", None)))
    lab.write(users((1, "b", 1), (2, "a", 2)))
    assert (stored(lab), stored(lab, "orders")) == ([(1, "a", 1), (2, "b", 2)], [(10, "a", None)])
    assert [reason for *_, reason in letters(lab)] == ["unique", "unique"]


def test_a_connection_lost_in_the_middle_leaves_nothing(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    # FAULTS: 1, SPEC: T7
    make(lab, (1, "a", 1), then="alter table shop.users add check (n < 100)")
    rows = users((1, "b", 1), (2, "bad", 100), (3, "c", 3))
    with monkeypatch.context() as patch:
        patch.setattr(
            careful,
            "finish_part",
            lambda connection, *_: connection.execute("select pg_terminate_backend(pg_backend_pid())"),
        )
        with pytest.raises(TransientError):
            lab.write(rows)
    assert (stored(lab), letters(lab)) == ([(1, "a", 1)], [])
    lab.write(rows)
    assert (stored(lab), len(letters(lab))) == ([(1, "b", 1), (3, "c", 3)], 1)


# SPEC: E7, E8, T7  FAULTS: 20, 21
@pytest.mark.parametrize("seed", [4, 7, 9, 12, 13, 15])
def test_each_row_of_random_batches_is_written_or_told_of(lab: Lab, seed: int) -> None:
    rnd = random.Random(seed)
    rules = [
        "add unique (name)",
        "add unique (name) deferrable initially deferred",
        "add unique (name), alter column name set not null",
        "add check (n % 7 <> 3)",
        "add foreign key (n) references shop.users",
        "add foreign key (n) references shop.users on delete restrict deferrable initially deferred",
        "add exclude (n with =)",
    ]
    chosen = rnd.sample(rules, rnd.randint(1, 4))
    make(lab, then=";".join(f"alter table shop.users {rule}" for rule in chosen))
    known: dict[int, Row] = {}
    for _ in range(4):
        keys = rnd.sample(range(30), 20)
        gone = [key for key in keys if rnd.random() < 0.15]
        names = rnd.sample("abcdefghijklmnopqrstuvwxyz", 20)
        rows: list[Row] = [
            (key, name, rnd.choice([None, rnd.randrange(40)])) for key, name in zip(keys, names, strict=True)
        ]
        rows = [row for row in rows if row[0] not in gone]
        lab.write(users(*rows, deletes=gone))
        refused = {int(str(key)): operation for _, key, operation, _ in letters(lab)}
        known |= {row[0]: row for row in rows if row[0] not in refused}
        for key in gone:
            if key not in refused:
                known.pop(key, None)
        assert stored(lab) == [known[key] for key in sorted(known)]
        # No refused row would be taken now, by itself or with the others.
        before = stored(lab)
        again = {key for key in refused if key in keys}
        lab.write(users(*(row for row in rows if row[0] in again), deletes=[key for key in gone if key in again]))
        assert (stored(lab), {int(str(key)) for _, key, *_ in letters(lab)}) == (before, set(refused))
