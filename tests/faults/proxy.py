"""A TCP proxy on loopback that cuts, stalls, delays, half-opens and refuses."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from warp_resources.connectors.ports import free_port

_HOST = "127.0.0.1"
_PIECE_BYTES = 65536
_POLL_SECONDS = 0.05


@dataclass
class Proxy:
    """Passes connections on to a port of this machine; a context manager.

    What is set holds at once, for open connections too: ``delay`` seconds per piece in either direction; ``stalled``
    passes nothing on but keeps all open (half-open: the peer looks alive and says nothing); ``deaf`` keeps answers
    back while requests still arrive. ``freeze`` stalls for good what is open now, and nothing else.
    """

    target: int
    port: int = 0
    delay: float = 0.0
    stalled: bool = False
    deaf: bool = False
    refused: bool = False
    cuts: int = 0
    _pairs: list[tuple[socket.socket, socket.socket]] = field(default_factory=list, repr=False)
    _guard: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _frozen: set[socket.socket] = field(default_factory=set, repr=False)
    _is_closed: bool = False

    def __enter__(self) -> Self:
        self._listener = self._listening()
        self._thread = threading.Thread(target=self._accept, name="proxy", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_closed = True
        # Closed alone, it would go on waiting in the other thread.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        self._thread.join(5)

    def cut(self) -> int:
        """Reset every open connection; how many there were."""
        with self._guard:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for one in pair:
                with contextlib.suppress(OSError):
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                    one.shutdown(socket.SHUT_RDWR)
                    one.close()
        self.cuts += len(pairs)
        return len(pairs)

    def freeze(self) -> int:
        """Pass nothing more on through the connections that are open now, and keep them open; how many there are."""
        with self._guard:
            self._frozen = {pair[0] for pair in self._pairs} | {pair[1] for pair in self._pairs}
            return len(self._pairs)

    def fail(self) -> None:
        """Cut everything and refuse new connections until ``heal``."""
        self.refused = True
        self.cut()

    def heal(self) -> None:
        """Pass everything on as if nothing had been."""
        self.refused = self.stalled = self.deaf = False
        self.delay = 0.0

    def _listening(self) -> socket.socket:
        for attempt in range(5):
            listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.port = self.port or free_port(_HOST)
            try:
                listener.bind((_HOST, self.port))
            except OSError:
                listener.close()
                if attempt == 4:
                    raise
                self.port = 0
                continue
            listener.listen(64)
            return listener
        raise AssertionError("unreachable")

    def _accept(self) -> None:
        while not self._is_closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.refused:
                client.close()
                continue
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection((_HOST, self.target), 5)
        except OSError:
            client.close()
            return
        for one in (client, server):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pair = client, server
        with self._guard:
            self._pairs.append(pair)
        back = threading.Thread(target=self._pump, args=(server, client, True), daemon=True)
        back.start()
        self._pump(client, server, False)
        back.join()
        with self._guard:
            if pair in self._pairs:
                self._pairs.remove(pair)
        for one in pair:
            one.close()

    def _is_still(self, source: socket.socket, is_answer: bool) -> bool:
        return self.stalled or (is_answer and self.deaf) or source in self._frozen

    def _pump(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        try:
            while True:
                if self._is_still(source, is_answer):
                    time.sleep(_POLL_SECONDS)
                    if source.fileno() < 0:
                        return
                    continue
                if not select.select([source], [], [], _POLL_SECONDS)[0]:
                    continue
                if self._is_still(source, is_answer):
                    continue
                piece = source.recv(_PIECE_BYTES)
                if not piece:
                    break
                if self.delay:
                    time.sleep(self.delay)
                sink.sendall(piece)
        except (OSError, ValueError):
            pass
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
