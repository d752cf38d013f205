"""Turns the driver's exceptions into the engine's, by error code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pymongo.errors import ConfigurationError as DriverConfigurationError
from pymongo.errors import (
    ConnectionFailure,
    InvalidOperation,
    InvalidURI,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from warp_resources.errors import ConnectionLost, HistoryLost, OperatorError, TransientError, Unreachable, WarpError

UNAUTHORIZED, NAMESPACE_NOT_FOUND, TOKEN_NOT_FOUND, HISTORY_LOST, OVERSIZED = 13, 26, 280, 286, 10334
UNKNOWN_OPTION = frozenset({9, 40415})
_LOST = frozenset({HISTORY_LOST, 217})
"""The second: of a transaction that goes over several entries of the oplog, the first are gone."""
_AUTHENTICATION_FAILED, _NOT_A_REPLICA_SET = 18, 40573
# Source: the driver specification of resumable errors, and the codes of killed or timed-out reads.
_TRANSIENT = frozenset(
    {
        *(6, 7, 89, 9001),  # host unreachable or not found, network timeout, socket error
        *(91, 189, 10107, 11600, 11602, 13435, 13436),  # shutdown, step-down, not primary, in recovery
        *(43, 237, 175, 134, 133, 63, 150, 13388, 234),  # cursor or plan killed, stale routing, no read now
        *(11601, 211),  # ended by an administrator; the key that signs cluster times is not known yet
        136,  # the oplog overtook a cursor: who opens it again hears whether anything is lost
        *(50, 202, 262),  # out of time
        *(246, 239),  # snapshot unavailable
        *(24, 46, 112),  # locks and conflicts
    }
)
_REPLICA_SET = (
    "Start mongod with --replSet rs0 (or set replication.replSetName in its configuration), "
    "restart it and run rs.initiate() once in mongosh; one member is enough"
)


@contextmanager
def translated(address: str) -> Iterator[None]:
    """Raise the engine's error for whatever the driver raises within; ``address`` is for the message."""
    try:
        yield
    except PyMongoError as error:
        raise translate(error, address) from error


def translate(error: PyMongoError, address: str) -> WarpError:
    """The engine's error for one of the driver's; texts of the server are left out, as they quote values."""
    if isinstance(error, ConnectionFailure):
        cls = Unreachable if isinstance(error, ServerSelectionTimeoutError) else ConnectionLost
        return cls("MongoDB does not answer", remedy="Check that it runs and can be reached from here", server=address)
    if isinstance(error, InvalidOperation):
        # The driver has no code for it: of what it refuses, we do nothing but use a client that is closed.
        return TransientError("The connection to MongoDB was closed during a read", server=address)
    if isinstance(error, OperationFailure):
        return _of_code(error, address)
    if isinstance(error, InvalidURI | DriverConfigurationError):
        return OperatorError(
            "The MongoDB connection cannot be set up", remedy="Correct connection_string", server=address
        )
    return OperatorError("The MongoDB driver failed", server=address, error=type(error).__name__)


def needs_replica_set(address: str) -> OperatorError:
    """A change stream was asked of a server that keeps no log."""
    return OperatorError(
        "MongoDB runs standalone, so it has no change stream",
        remedy=f"{_REPLICA_SET}; or use mode: batch",
        server=address,
    )


def missing_grant(database: str, address: str) -> OperatorError:
    """The role that all of reading needs: find, listCollections, collStats and changeStream."""
    granting = f'db.grantRolesToUser("<user>", [{{role: "read", db: "{database}"}}])'
    return OperatorError(
        f"The MongoDB user may not read database {database!r}",
        remedy=f"In mongosh, on the database that knows the user: {granting}",
        server=address,
    )


def _of_code(error: OperationFailure, address: str) -> WarpError:
    code = error.code
    facts = {"server": address, "code": code, "error": (error.details or {}).get("codeName", "unknown")}
    if code in _TRANSIENT or error.has_error_label("ResumableChangeStreamError"):
        return TransientError("MongoDB broke off a read", **facts)
    if code in _LOST:
        return HistoryLost(
            "The oplog no longer has what follows the stream's position",
            remedy="Resync the schema's tables, and give the oplog more room: replSetResizeOplog",
            **facts,
        )
    if code == _AUTHENTICATION_FAILED:
        return OperatorError(
            "MongoDB refused the user or the password",
            remedy="Check both in connection_string, and auth_source (the database that knows the user)",
            **facts,
        )
    if code == UNAUTHORIZED:
        return OperatorError(
            "The MongoDB user lacks a privilege", remedy="Grant it the role read on the database", **facts
        )
    if code == _NOT_A_REPLICA_SET:
        return needs_replica_set(address)
    return OperatorError("MongoDB refused a command", remedy="With --debug the server's own words are shown", **facts)
