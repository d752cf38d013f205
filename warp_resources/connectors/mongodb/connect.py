"""Opens the driver's clients, each when it is first needed."""

from __future__ import annotations

import random
import re
from typing import Any, TypeAlias

from pymongo import MongoClient
from pymongo.read_preferences import Nearest
from pymongo.uri_parser import parse_uri

from warp_resources.connectors.mongodb.errors import translated
from warp_resources.connectors.mongodb.options import MongoOptions
from warp_resources.errors import OperatorError, TransientError

Client: TypeAlias = MongoClient[dict[str, Any]]

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
    """A deployment: the client of its topology, and a client of the member that is read from."""

    def __init__(self, options: MongoOptions) -> None:
        self._options = options
        self._uri = options.connection_string.get_secret_value()
        self._client: Client | None = None
        self._reader: tuple[tuple[str, int], Client] | None = None
        self.address = address_of(self._uri)

    @property
    def client(self) -> Client:
        """The client that follows the topology, and so the primary."""
        if self._client is None:
            self._client = self._opened(self._uri, **self._options.client_arguments())
        return self._client

    def reader(self) -> Client:
        """The client for reading: one member, since a cursor lives on the member that opened it."""
        if self._options.read_preference == "primary":
            return self.client
        members = self._members()
        if self._reader is None or self._reader[0] not in members:
            self._close_reader()
            member = random.choice(sorted(members))
            self._reader = member, self._direct(member)
        return self._reader[1]

    def close(self) -> None:
        """Close what was opened; the next use opens it again."""
        self._close_reader()
        if self._client is not None:
            self._client.close()
            self._client = None

    def _members(self) -> set[tuple[str, int]]:
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

    def _direct(self, member: tuple[str, int]) -> Client:
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
        except ValueError:
            # The driver's text may quote the URI.
            raise OperatorError(
                "The MongoDB connection cannot be set up", remedy="Correct connection_string", server=self.address
            ) from None

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader[1].close()
            self._reader = None


def _uri_of_member(uri: str, member: tuple[str, int]) -> str:
    match = _HOSTS.match(uri)
    assert match is not None
    host = f"[{member[0]}]" if ":" in member[0] else member[0]
    prefix = uri[: match.start(1)].replace(_SRV, "mongodb://", 1)
    return f"{prefix}{host}:{member[1]}{uri[match.end(1) :]}"


def _is_bare(host: str) -> bool:
    return ":" not in host.rpartition("]")[2] and not host.endswith(".sock")
