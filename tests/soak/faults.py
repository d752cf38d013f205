"""Does what the plan says, and undoes it when its time is up."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import psutil
import psycopg
from psycopg import sql
from pymongo.errors import PyMongoError

from tests.faults.proxy import Proxy
from tests.soak.load import Load
from tests.soak.plan import Event
from tests.soak.runs import Runs
from tests.soak.servers import Servers, direct

Undo = Callable[[], None]
_CUT_DELAY_SECONDS = 0.25
_HEAD_START_SECONDS, _LAST_ACT_SECONDS = 4.0, 0.3


@dataclass(slots=True)
class Faults:
    """Everything that can happen to the servers, the processes and the load of a soak."""

    servers: Servers
    runs: Runs
    load: Load
    _lockers: list[psycopg.Connection[tuple[object, ...]]] = field(default_factory=list)

    def do(self, event: Event) -> Undo | None:
        """Begin an event; what ends it, where it lasts."""
        group, _, name = event.kind.partition(".")
        match group:
            case "run":
                return self._run(name, event)
            case "engine":
                return self._engine(name, event)
            case "postgres":
                return self._postgres(name, event)
            case "mongo":
                return self._mongo(name, event)
            case "command":
                return self._command(name, event)
        # Whatever it does to the source may have to wait for the source.
        threading.Thread(target=self.load.drift, args=(name, event.text, event.draw), daemon=True).start()
        return None

    def heal(self) -> None:
        """Undo everything; what waits for a server afterwards is the product's matter."""
        for connection in self._lockers:
            with contextlib.suppress(psycopg.Error):
                connection.close()
        self._lockers.clear()
        self.runs.thaw()
        self.servers.heal()
        self._writable(True)

    def _run(self, name: str, event: Event) -> Undo | None:
        match name:
            case "kill":
                self.runs.kill()
            case "terminate":
                self.runs.terminate()
            case "full_resync":
                self.runs.kill(arguments=("--full-resync",))
            case "second":
                self.runs.start_second()
                return lambda: self.runs.end_second(event.text)
            case "overtaken":
                # The engines stand still while others take their leases over, and then go on.
                thaw = _frozen([its.pid for its in self.runs.engines()])
                self.runs.start_second()
                return partial(_undo_all, [thaw, lambda: self.runs.end_second(event.text)])
            case "stopped":
                # Each stops once, in the middle of something, while others take over; then it goes on with that.
                self.runs.kill(failpoints=event.text)
                self.runs.start_second(_HEAD_START_SECONDS)
                return partial(self._let_go, event)
            case "failpoints":
                self.runs.kill(failpoints=event.text)
                return self._disarm
            case "freeze" if self.runs.main is not None:
                return _frozen([self.runs.main.pid])
        return None

    def _disarm(self) -> None:
        """For those that start from now on: one more start of everything is left to the checkpoint."""
        self.runs.disarm()

    def _let_go(self, event: Event) -> None:
        """What stood still goes on; then those who took over end, or it ends itself after its first commit."""
        self.runs.disarm()
        frozen = [its for its in self.runs.engines() if _is_frozen(its)]
        self.runs.thaw()
        if event.draw % 2:
            self.runs.end_second("kill")
            return
        time.sleep(_LAST_ACT_SECONDS)
        for engine in frozen:
            with contextlib.suppress(psutil.NoSuchProcess):
                engine.kill()

    def _engine(self, name: str, event: Event) -> Undo | None:
        engines = self.runs.engines()
        if not engines:
            return None
        chosen = engines[event.draw % len(engines)]
        if name == "freeze":
            return _frozen([chosen.pid])
        with contextlib.suppress(psutil.NoSuchProcess):
            chosen.kill()
        return None

    def _postgres(self, name: str, event: Event) -> Undo | None:
        postgres = self.servers.postgres
        if name in ("kill", "restart"):
            # A frozen server would not end.
            _signal([its.pid for its in self.servers.postgres_processes()], signal.SIGCONT)
        match name:
            case "kill":
                postgres.kill()
                return self._restart_postgres
            case "restart":
                postgres.restart()
                self.servers.postgres_proxy.target = self.servers.postgres_port
            case "crash":
                self._on_backends(event, signal.SIGKILL)
            case "terminate":
                self._terminate(event)
            case "freeze":
                return _frozen([its.pid for its in self.servers.postgres_processes()])
            case "readonly":
                self._writable(False)
                return lambda: self._writable(True)
            case "lock":
                return self._locked(event.text)
            case _:
                return _through(self.servers.postgres_proxy, name)
        return None

    def _mongo(self, name: str, event: Event) -> Undo | None:
        mongod = self.servers.mongod
        number = event.draw % 3 if event.text == "any" else mongod.primary()
        match name:
            case "stepdown":
                with contextlib.suppress(PyMongoError), direct(mongod.members[number]) as client:
                    client.admin.command("replSetStepDown", 5, force=True)
                return None
            case "kill":
                mongod.kill_member(number)
                return lambda: None if mongod.members[number].pid else mongod.start_member(number)
            case "freeze":
                pid = mongod.members[number].pid
                return None if pid is None else _frozen([pid])
        chosen = mongod.proxies if event.draw % 2 else [mongod.proxies[number]]
        undone = [undo for proxy in chosen if (undo := _through(proxy, name)) is not None]
        return partial(_undo_all, undone) if undone else None

    def _command(self, name: str, event: Event) -> Undo | None:
        what, _, killed = name.partition("_")
        arguments = {
            "resync": f"resync --table {event.text}",
            "verify": f"verify --table {event.text}",
            "repair": f"verify --repair --table {event.text}",
            "replay": "dead-letters replay --all",
            "status": "status --json",
        }[what]
        self.runs.command(arguments, event.seconds if killed else None)
        return None

    def _restart_postgres(self) -> None:
        if self.servers.postgres.pid is None:
            self.servers.postgres.restart()
            self.servers.postgres_proxy.target = self.servers.postgres_port

    def _on_backends(self, event: Event, number: signal.Signals) -> None:
        with contextlib.suppress(psycopg.Error, ProcessLookupError):
            pids = self.servers.backends()
            if pids:
                os.kill(pids[event.draw % len(pids)], number)

    def _terminate(self, event: Event) -> None:
        with contextlib.suppress(psycopg.Error):
            pids = self.servers.backends()
            chosen = pids if event.text == "all" else pids[event.draw % max(1, len(pids)) :][:1]
            with psycopg.connect(self.servers.warehouse, autocommit=True) as connection:
                connection.execute("select pg_terminate_backend(p) from unnest(%s::int[]) as p", [chosen])

    def _writable(self, is_writable: bool) -> None:
        with (
            contextlib.suppress(psycopg.OperationalError),
            psycopg.connect(self.servers.warehouse, autocommit=True, connect_timeout=5) as connection,
        ):
            connection.execute("set default_transaction_read_only = off")
            state = b"off" if is_writable else b"on"
            connection.execute(b"alter system set default_transaction_read_only = " + state)
            connection.execute("select pg_reload_conf()")

    def _locked(self, table: str) -> Undo | None:
        name = sql.Identifier(*table.split("."))
        try:
            connection = psycopg.connect(self.servers.warehouse, connect_timeout=3, options="-c lock_timeout=2s")
        except psycopg.OperationalError:
            return None
        try:
            connection.execute(sql.SQL("lock table {} in access exclusive mode").format(name))
        except psycopg.Error:
            connection.close()
            return None
        self._lockers.append(connection)
        return connection.close


def _through(proxy: Proxy, name: str) -> Undo | None:
    match name:
        case "cut":
            proxy.cut()
            return None
        case "refuse":
            proxy.fail()
        case "stall":
            proxy.stalled = True
        case "deaf":
            proxy.deaf = True
        case "delay":
            proxy.delay = _CUT_DELAY_SECONDS
    return proxy.heal


def _undo_all(undone: list[Undo]) -> None:
    for undo in undone:
        undo()


def _frozen(pids: list[int]) -> Undo:
    _signal(pids, signal.SIGSTOP)
    return lambda: _signal(pids, signal.SIGCONT)


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _is_frozen(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_STOPPED
    except psutil.NoSuchProcess:
        return False
