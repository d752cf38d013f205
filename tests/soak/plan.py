"""Decides what happens in a soak, and when: a pure function of the seed."""

from __future__ import annotations

import random
from dataclasses import dataclass

ROUND_SECONDS = 45.0
_FIRST_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Event:
    """Something that is done at a time of its round.

    Attributes:
        at: seconds after the round's begin.
        kind: one of ``KINDS``.
        seconds: how long it lasts, where it lasts.
        draw: chooses among what there is when it happens, such as the processes.
        text: what else it is about: a table, failpoints, the arguments of a command.
    """

    at: float
    kind: str
    seconds: float = 0.0
    draw: int = 0
    text: str = ""

    def __str__(self) -> str:
        lasting = f" for {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.at:5.1f} {self.kind}{lasting} [{self.draw}] {self.text}".rstrip()


@dataclass(frozen=True, slots=True)
class Kind:
    """How often a kind of event occurs, how long it lasts, and what it may be about."""

    weight: float
    seconds: tuple[float, float] = (0.0, 0.0)
    texts: tuple[str, ...] = ("",)


STREAMED = ("shop.users", "shop.orders", "soft.members", "family.parents", "family.children")
TABLES = (*STREAMED, "shop.ugly", "shop.churned", "crm.people", "ledger.accounts")
_TO_KILL = (
    "transaction.ready=kill%2;transaction.done=kill%2",
    "transaction.done=kill%5",
    "commit.ready=kill%5;commit.done=kill%5",
    "commit.locked=kill%5;commit.done=kill%5",
    "cut.read=kill%6;cut.written=kill%6",
    "chunk.read=kill%10;chunk.written=kill%10;slice.taken=kill%10",
    "generation.opened=kill%20;generation.read=kill%20;slice.read=kill%10",
    "tick.claimed=kill%15;tick.read=kill%20",
    "stream.taken=kill%30;stream.admitted=kill%50;engine.opened=kill%10",
    "letters.read=kill%30;table.rejoining=kill%30;table.aside=kill%30;rewrite.stepped=kill%10",
)
_TO_HINDER = (
    "commit.locked=sleep:3%5;lease.renewing=sleep:6%10",
    "chunk.read=error%20;cut.read=error%5;tick.read=error%20",
    "commit.ready=stop%1;transaction.done=error%2",
    "lease.renewing=error%50;commit.done=error%5",
)
_TO_STOP = (
    "cut.read=stop@15;chunk.read=stop@2;tick.read=stop@3",
    "cut.read=stop@40;chunk.written=stop@2;tick.claimed=stop@2",
    "commit.ready=stop@12;generation.read=stop@1;letters.read=stop@1",
    "slice.read=stop@1;commit.done=stop@20;repair.read=stop@1",
)

FAULTS: dict[str, Kind] = {
    "run.kill": Kind(1),
    "run.terminate": Kind(1),
    "run.freeze": Kind(1, (1, 10)),
    "run.second": Kind(0.7, (4, 25), ("kill", "terminate")),
    "run.overtaken": Kind(0.7, (6, 12), ("kill", "terminate")),
    "run.stopped": Kind(1.2, (7, 14), _TO_STOP),
    "run.failpoints": Kind(3, (15, 30), (*_TO_KILL, *_TO_HINDER)),
    "engine.kill": Kind(9),
    "engine.freeze": Kind(3, (1, 12)),
    "postgres.kill": Kind(1, (0.5, 6)),
    "postgres.crash": Kind(1),
    "postgres.restart": Kind(0.7),
    "postgres.terminate": Kind(2, texts=("one", "all")),
    "postgres.freeze": Kind(0.7, (1, 8)),
    "postgres.readonly": Kind(0.8, (2, 8)),
    "postgres.lock": Kind(1.5, (1, 14), (*TABLES,)),
    "postgres.cut": Kind(1.5),
    "postgres.refuse": Kind(0.8, (1, 8)),
    "postgres.stall": Kind(1, (1, 15)),
    "postgres.deaf": Kind(1, (1, 12)),
    "postgres.delay": Kind(0.7, (2, 8)),
    "mongo.stepdown": Kind(1),
    "mongo.kill": Kind(1, (1, 10), ("primary", "any")),
    "mongo.freeze": Kind(1, (1, 12), ("primary", "any")),
    "mongo.cut": Kind(1.5),
    "mongo.stall": Kind(0.8, (1, 12)),
    "mongo.deaf": Kind(0.8, (1, 10)),
    "mongo.delay": Kind(0.7, (2, 8)),
}
WORKS: dict[str, Kind] = {
    "command.resync": Kind(3, texts=(*TABLES, *(f"{table} --slices 3" for table in STREAMED))),
    "command.resync_killed": Kind(2, (0.8, 4), TABLES),
    "run.full_resync": Kind(0.5),
    "command.verify": Kind(1.5, texts=STREAMED),
    "command.repair": Kind(1.5, texts=TABLES),
    "command.repair_killed": Kind(0.7, (0.8, 3), TABLES),
    "command.replay": Kind(1.5),
    "command.replay_killed": Kind(0.7, (0.8, 2)),
    "command.status": Kind(0.5),
    "drift.field": Kind(2),
    "drift.flip": Kind(2),
    "drift.key": Kind(1),
    "drift.collection": Kind(0.7),
    "drift.drop": Kind(0.7, texts=("shop.churned", "shop.ugly")),
    "drift.rename": Kind(0.5, texts=("shop.churned", "shop.ugly")),
    "drift.truncate": Kind(0.5, texts=("shop.churned", "soft.members", "ledger.accounts")),
}
KINDS = FAULTS | WORKS


def plan(seed: int, number: int, *, fault_count: int = 16, work_count: int = 6) -> tuple[Event, ...]:
    """What happens in a round, in order; each round is its own function of the seed.

    Args:
        number: of the round, from 0 on.
    """
    rnd = random.Random(f"{seed}:{number}")
    faults = [_event(rnd, FAULTS) for _ in range(fault_count)]
    works = [_event(rnd, WORKS) for _ in range(work_count)]
    return tuple(sorted(faults + works, key=lambda event: event.at))


def _event(rnd: random.Random, kinds: dict[str, Kind]) -> Event:
    [name] = rnd.choices(list(kinds), [kind.weight for kind in kinds.values()])
    kind = kinds[name]
    return Event(
        at=round(rnd.uniform(_FIRST_SECONDS, ROUND_SECONDS), 1),
        kind=name,
        seconds=round(rnd.uniform(*kind.seconds), 1),
        draw=rnd.randrange(1000),
        text=rnd.choice(kind.texts),
    )
