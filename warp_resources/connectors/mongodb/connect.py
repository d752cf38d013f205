"""Opens the driver's clients, each when it is first needed."""

from __future__ import annotations

import random
import re
import threading
from typing import Any, TypeAlias

from pymongo import MongoClient
from pymongo.read_preferences import Nearest
from pymongo.uri_parser import parse_uri

from warp_resources.connectors.mongodb.errors import translated
from warp_resources.connectors.mongodb.options import MongoOptions
from warp_resources.errors import OperatorError, TransientError

Client: TypeAlias = MongoClient[dict[str, Any]]
Address: TypeAlias = tuple[str, int]

_HOSTS = re.compile(r"mongodb(?:\+srv)?://(?:.*@)?([^/?]*)", re.DOTALL)
_SRV, _DEFAULT_PORT = "mongodb+srv://", 27017


def address_of(connection_string: str) -> str:
    """The hosts and ports of a URI, without user and password."""
    match = _HOSTS.match(connection_string)
    if match is None:
        return "an unreadable connection_string"
    hosts = match[1].split(",")
    needs_port = not connection_string.startswith(_SRV)
    return ",".join(f"{host}:{_DEFAULT_PORT}" if needs_port and _is_bare(host) else host for host in hosts)


class Connection:
    """A deployment: the client of its topology, and a client of each member that was read from.

    May be used by several threads.
    """

    def __init__(self, options: MongoOptions) -> None:
        self._options = options
        self._uri = options.connection_string.get_secret_value()
        self._client: Client | None = None
        self._member: Address | None = None
        # A client is kept when another member takes over: a stream in another thread may still read from it.
        self._readers: dict[Address, Client] = {}
        self._lock = threading.Lock()
        self.address = address_of(self._uri)

    @property
    def client(self) -> Client:
        """The client that follows the topology, and so the primary."""
        with self._lock:
            if self._client is None:
                self._client = self._opened(self._uri, **self._options.client_arguments())
            return self._client

    def reader(self) -> Client:
        """The client for reading: one member, since a cursor lives on the member that opened it."""
        if self._options.read_preference == "primary":
            return self.client
        members = self._members()
        with self._lock:
            if self._member not in members:
                self._member = random.choice(sorted(members))
            if self._member not in self._readers:
                self._readers[self._member] = self._direct(self._member)
            return self._readers[self._member]

    def close(self) -> None:
        """Close what was opened; the next use opens it again."""
        with self._lock:
            opened = [*self._readers.values(), *([self._client] if self._client else [])]
            self._readers, self._client = {}, None
        for client in opened:
            client.close()

    def _members(self) -> set[Address]:
        with translated(self.address):
            # The topology is known once a command has been answered.
            self.client.admin.command("ping", read_preference=Nearest())
            primary, secondaries, everyone = self.client.primary, self.client.secondaries, self.client.nodes
        primaries = {primary} if primary else set()
        preferred = {
            "primaryPreferred": primaries or secondaries,
            "secondary": secondaries,
            "secondaryPreferred": secondaries or primaries,
            "nearest": everyone,
        }[self._options.read_preference]
        # Routers are neither primaries nor secondaries.
        members = preferred or (set() if primaries or secondaries else everyone)
        if not members:
            raise TransientError("No member fits read_preference", server=self.address)
        return {(host, port or _DEFAULT_PORT) for host, port in members}

    def _direct(self, member: Address) -> Client:
        arguments = {**self._options.client_arguments(), "directConnection": True}
        if self._uri.startswith(_SRV):
            # What the DNS records say does not come along with a plain URI.
            found = parse_uri(self._uri)["options"]
            arguments = {"tls": True, **{name: found[name] for name in ("authSource",) if name in found}, **arguments}
        return self._opened(_uri_of_member(self._uri, member), **arguments)

    def _opened(self, uri: str, **arguments: Any) -> Client:
        try:
            with translated(self.address):
                return MongoClient(uri, **arguments)
        except OSError as error:
            # An ssl.SSLError is one too: what ca or cert names is no certificate.
            raise OperatorError(
                f"The TLS files for MongoDB cannot be used ({error.strerror or type(error).__name__})",
                remedy="Correct ca and cert, or tlsCAFile and tlsCertificateKeyFile in connection_string",
                server=self.address,
            ) from None
        except ValueError:
            # The driver's text may quote the URI.
            raise OperatorError(
                "The MongoDB connection cannot be set up", remedy="Correct connection_string", server=self.address
            ) from None


def _uri_of_member(uri: str, member: Address) -> str:
    match = _HOSTS.match(uri)
    assert match is not None
    host = f"[{member[0]}]" if ":" in member[0] else member[0]
    prefix = uri[: match.start(1)].replace(_SRV, "mongodb://", 1)
    return f"{prefix}{host}:{member[1]}{uri[match.end(1) :]}"


def _is_bare(host: str) -> bool:
    return ":" not in host.rpartition("]")[2] and not host.endswith(".sock")
