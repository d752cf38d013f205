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


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ('FATAL:  password authentication failed for user "u"', OperatorError),
        ('FATAL:  database "d" does not exist', OperatorError),
        ('FATAL:  no pg_hba.conf entry for host "1.2.3.4"', OperatorError),
        ("FATAL:  the database system is starting up", TransientError),
        ("FATAL:  sorry, too many clients already", TransientError),
        ("connection refused", TransientError),
        ("", TransientError),
    ],
)
def test_a_refused_connection(words: str, cause: type[Exception]) -> None:
    error = translate(psycopg.OperationalError(f"{words} geheim".strip()), ENDPOINT)
    assert type(error) is cause
    assert "geheim" not in str(error)
