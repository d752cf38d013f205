"""Turns the driver's exceptions into the engine's, by SQLSTATE."""

from __future__ import annotations

import re
from dataclasses import dataclass

import psycopg

from warp_resources.errors import ConnectionLost, Exhausted, OperatorError, TransientError, Unreachable, WarpError
from warp_resources.masking import mask

# Classes and codes that a later attempt may get past; everything unknown is the operator's.
_TRANSIENT_CLASSES = {"08", "53"}
_TRANSIENT = {
    "25006": "The server takes no writes now (it is read-only or a standby)",
    "25P03": "The server ended an idle transaction",
    "25P04": "The transaction took longer than its timeout",
    "40001": "The transaction collided with another one",
    "40P01": "The transaction was chosen to end a deadlock",
    "55006": "An object is in use",
    "55P03": "A lock was not granted in time",
    "57014": "The statement took longer than its timeout",
    "57P01": "The server ended the connection: it shuts down, or another process waited for a lock of this one",
    "57P02": "The server crashed and restarts",
    "57P03": "The server is starting up",
    "57P05": "The server ended an idle session",
    "58030": "The server could not read or write a file",
}
_BROKEN_OFF = {"25P03", "25P04", "57P01", "57P02", "57P05"}
"""With these, the server ends the connection too."""
_REMEDIES = {
    "25006": "Point connection_string at the primary if this lasts",
    "28000": "Check the user, the database and pg_hba.conf",
    "28P01": "Check the user and the password in connection_string",
    "3D000": "Create the database, or correct its name in connection_string",
    "3F000": "Create the schema, or grant CREATE on the database",
    "42701": "Rename or drop the column that was added by hand",
    "42P01": "Restore it, or read a table of the source again: cartridge-warp resync --table SCHEMA.TABLE",
    "53100": "Free disk space on the database server",
    "53300": "Raise max_connections or close other sessions",
    "57014": "Raise transaction_timeout if this repeats",
}
_TLS_FILE = re.compile(r"[^:\n]*(?:certificate|private key) file .*")
_CONTENT_CLASSES = {"22", "23"}
# What a later attempt cannot get past. A server that starts, recovers or is full speaks of roles and databases too.
_REFUSALS = {
    "28P01": re.compile("authentication failed|no password supplied"),
    "28000": re.compile(
        r"no pg_hba\.conf entry|pg_hba\.conf rejects|role \".*\" (does not exist|is not permitted to log in)"
        r"|permission denied for database"
    ),
    "3D000": re.compile(r"database \".*\" (does not exist|is not currently accepting connections)"),
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Whom we talk to, for messages; ``secret`` is what must never be shown."""

    host: str
    port: str
    database: str
    user: str
    secret: str | None = None

    def facts(self) -> dict[str, object]:
        return {"host": self.host, "port": self.port, "database": self.database}

    def masked(self, text: str) -> str:
        return mask(text, [self.secret] if self.secret else [])


def translate(error: psycopg.Error, endpoint: Endpoint) -> WarpError:
    """The engine's error for a driver's: ``TransientError`` if a later attempt may succeed."""
    code = error.sqlstate
    if code is None:
        return _without_code(error, endpoint)
    remedy = missing_grant(error, endpoint) if code == "42501" else _REMEDIES.get(code)
    facts = {**endpoint.facts(), **_named(error), "sqlstate": code}
    if code in _TRANSIENT or code[:2] in _TRANSIENT_CLASSES:
        cls = _kind(code)
        return cls(_TRANSIENT.get(code) or _message(error, endpoint), remedy=remedy, **facts)
    if code[:2] in _CONTENT_CLASSES:
        # The server's own words would quote the value.
        kind = type(error).__name__
        return OperatorError(
            f"PostgreSQL refused a value ({kind})",
            remedy=remedy or "Drop the constraint, or correct the rows at the source",
            **facts,
        )
    return OperatorError(f"PostgreSQL: {_message(error, endpoint)}", remedy=remedy, **facts)


def _kind(code: str) -> type[TransientError]:
    if code in _BROKEN_OFF or code[:2] == "08":
        return ConnectionLost
    return Exhausted if code[:2] == "53" else TransientError


def translate_connecting(error: psycopg.Error, endpoint: Endpoint) -> WarpError:
    """The same for an error that kept a connection from being made."""
    found = translate(error, endpoint)
    if isinstance(found, TransientError) and error.sqlstate is None:
        return Unreachable(found.message, remedy=found.remedy, **found.facts)
    return found


def _without_code(error: psycopg.Error, endpoint: Endpoint) -> WarpError:
    """libpq gives no SQLSTATE for a refused connection, so that only its words are left to tell the causes apart."""
    words = endpoint.masked(str(error)).strip()
    if not isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return OperatorError(
            f"The PostgreSQL driver refused a statement ({type(error).__name__})",
            remedy="Report it with the traceback (--debug)",
            **endpoint.facts(),
        )
    tls = _TLS_FILE.search(words)
    if tls is not None:
        return OperatorError(
            f"PostgreSQL's TLS files cannot be used: {tls[0].strip()}",
            remedy="Correct ca, cert and key, or sslrootcert, sslcert and sslkey in connection_string",
            **endpoint.facts(),
        )
    code = next((code for code, refusal in _REFUSALS.items() if refusal.search(words)), None)
    if code is not None:
        return OperatorError(
            f"PostgreSQL refuses the connection: {_last_line(words)}",
            remedy=_REMEDIES[code],
            **endpoint.facts(),
        )
    return ConnectionLost(
        f"PostgreSQL does not answer at {endpoint.host}:{endpoint.port}: {_last_line(words)}",
        remedy="Check that the server runs and can be reached from here",
        **endpoint.facts(),
    )


def _last_line(words: str) -> str:
    """Without the hints that follow it, which libpq indents."""
    lines = [line for line in words.splitlines() if not line.startswith("\t")]
    return lines[-1].strip() if lines else "connection lost"


def _message(error: psycopg.Error, endpoint: Endpoint) -> str:
    return endpoint.masked(error.diag.message_primary or type(error).__name__)


def _named(error: psycopg.Error) -> dict[str, object]:
    diag = error.diag
    named = {"table": diag.table_name, "column": diag.column_name, "constraint": diag.constraint_name}
    return {name: value for name, value in named.items() if value}


def missing_grant(error: psycopg.Error, endpoint: Endpoint) -> str:
    """What an administrator has to grant, by the words of the refusal."""
    words = error.diag.message_primary or ""
    grants = {
        "for database": f"grant create, temporary on database {endpoint.database}",
        "temporary tables": f"grant temporary on database {endpoint.database}",
        "for schema": "grant usage, create on schema <the schema named above>",
        "for table": "grant select, insert, update, delete on <the table named above>",
        "must be owner": "alter table <the table named above> owner",
    }
    otherwise = f"grant create on database {endpoint.database}"
    grant = next((text for phrase, text in grants.items() if phrase in words), otherwise)
    return f"As an administrator: {grant} to {endpoint.user}"
