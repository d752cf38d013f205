"""Which of PostgreSQL's errors pass by themselves, and what is said of the others."""

from __future__ import annotations

import psycopg
import pytest

from warp_resources.connectors.postgresql.errors import Endpoint, translate
from warp_resources.errors import OperatorError, TransientError

ENDPOINT = Endpoint("h", "5432", "d", "u", secret="geheim")


@pytest.mark.parametrize(
    "code",
    [
        "08006",
        "40001",
        "40P01",
        "53100",
        "53300",
        "55P03",
        "57014",
        "57P01",
        "57P02",
        "57P03",
        "25006",
        "25P03",
        "58030",
    ],
)
def test_what_passes(code: str) -> None:
    # SPEC: R3
    error = translate(psycopg.errors.lookup(code)("words"), ENDPOINT)
    assert isinstance(error, TransientError)
    assert error.facts["sqlstate"] == code


@pytest.mark.parametrize(
    "code", ["42501", "42P01", "42703", "42704", "22003", "23505", "28P01", "3D000", "XX000", "0A000"]
)
def test_what_needs_an_operator(code: str) -> None:
    assert isinstance(translate(psycopg.errors.lookup(code)("words"), ENDPOINT), OperatorError)


@pytest.mark.parametrize("code", ["22P02", "23505", "22003"])
def test_values_are_never_quoted(code: str) -> None:
    error = translate(psycopg.errors.lookup(code)("Key (id)=(private) already exists"), ENDPOINT)
    assert "private" not in str(error)


# As the server and libpq word them, PostgreSQL 15 to 18.
REFUSALS = [
    ('password authentication failed for user "u"', OperatorError),
    ('LDAP authentication failed for user "u"', OperatorError),
    ('role "u" is not permitted to log in', OperatorError),
    ('role "u" does not exist', OperatorError),
    ('database "d" does not exist', OperatorError),
    ('database "d" is not currently accepting connections', OperatorError),
    ('permission denied for database "d"\nDETAIL:  User does not have CONNECT privilege.', OperatorError),
    ('no pg_hba.conf entry for host "1.2.3.4", user "u", database "d", no encryption', OperatorError),
    ('pg_hba.conf rejects connection for host "1.2.3.4", user "u", database "d", SSL encryption', OperatorError),
    ("the database system is starting up", TransientError),
    ("the database system is shutting down", TransientError),
    ("the database system is in recovery mode", TransientError),
    (
        "the database system is not yet accepting connections\n"
        "DETAIL:  Consistent recovery state has not been yet reached.",
        TransientError,
    ),
    ("the database system is not accepting connections\nDETAIL:  Hot standby mode is disabled.", TransientError),
    ("sorry, too many clients already", TransientError),
    ("remaining connection slots are reserved for roles with the SUPERUSER attribute", TransientError),
    (
        'remaining connection slots are reserved for roles with privileges of the "pg_use_reserved_connections" role',
        TransientError,
    ),
    ('too many connections for role "u"', TransientError),
    ('too many connections for database "d"', TransientError),
    ("terminating connection due to administrator command", TransientError),
    ("terminating connection because of crash of another server process", TransientError),
    ('could not open relation mapping file "global/pg_filenode.map"', TransientError),
    ("words that nobody has heard yet about a database or a role", TransientError),
]


@pytest.mark.parametrize(("words", "cause"), REFUSALS)
def test_a_refused_connection(words: str, cause: type[Exception]) -> None:
    # FAULTS: 18, 19
    refusal = f'connection failed: connection to server at "127.0.0.1", port 5432 failed: FATAL:  {words} geheim'
    error = translate(psycopg.OperationalError(refusal), ENDPOINT)
    assert isinstance(error, cause)
    assert "geheim" not in str(error)


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("connection failed: fe_sendauth: no password supplied", OperatorError),
        ("connection failed: Connection refused\n\tIs the server running on that host?", TransientError),
        (
            'connection failed: root certificate file "no.pem" does not exist\n'
            "Either provide the file, or change sslmode to disable server certificate verification.",
            OperatorError,
        ),
        ('connection failed: could not load private key file "k.pem": no start line', OperatorError),
        ("server closed the connection unexpectedly", TransientError),
        ("consuming input failed: SSL SYSCALL error: EOF detected", TransientError),
        ('could not translate host name "role" to address: Name or service not known', TransientError),
        ("connection timeout expired", TransientError),
        ("", TransientError),
    ],
)
def test_a_connection_that_fails_before_the_server_speaks(words: str, cause: type[Exception]) -> None:
    assert isinstance(translate(psycopg.OperationalError(words), ENDPOINT), cause)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            "consuming input failed: server closed the connection unexpectedly\n"
            "\tThis probably means the server terminated abnormally\n\tbefore or while processing the request.",
            "consuming input failed: server closed the connection unexpectedly",
        ),
        (
            "connection failed: Connection refused\n\tIs the server running on that host?",
            "connection failed: Connection refused",
        ),
    ],
)
def test_a_lost_connection_is_told_without_hints(words: str, told: str) -> None:
    message = str(translate(psycopg.OperationalError(words), ENDPOINT))
    assert f": {told}. Check that" in message
