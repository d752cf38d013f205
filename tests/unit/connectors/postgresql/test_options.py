"""What may be set, what is refused, and what is never shown."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import SecretStr, ValidationError

from warp_resources.connectors.postgresql.errors import Endpoint, translate
from warp_resources.connectors.postgresql.options import PostgresOptions
from warp_resources.connectors.postgresql.session import Session
from warp_resources.errors import OperatorError

URI = "postgresql://u:geheim@h:6543/d"


def options(**others: object) -> PostgresOptions:
    return PostgresOptions.model_validate({"connection_string": URI, **others})


def test_defaults() -> None:
    made = options()
    assert (made.schema_name, made.transaction_timeout, made.connection_timeout) == (None, 300, 30)
    assert "sslmode" not in made.connection_parameters()


def test_the_schema_goes_by_its_public_name() -> None:
    assert options(schema="analytics").schema_name == "analytics"


def test_durations_are_taken_too() -> None:
    assert options(transaction_timeout=timedelta(minutes=2)).transaction_timeout == 120


@pytest.mark.parametrize("wrong", [{"pool_sise": 3}, {"transaction_timeout": 0}, {"verify": "maybe"}])
def test_slips_are_refused(wrong: dict[str, object]) -> None:
    # SPEC: C7
    with pytest.raises(ValidationError) as refused:
        options(**wrong)
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize(
    ("tls", "expected"),
    [
        ({"ca": "ca.pem"}, {"sslrootcert": "ca.pem", "sslmode": "verify-full"}),
        ({"ca": "ca.pem", "verify": "ca"}, {"sslrootcert": "ca.pem", "sslmode": "verify-ca"}),
        ({"verify": "none"}, {"sslmode": "require"}),
        ({"cert": "c.pem", "key": "k.pem"}, {"sslcert": "c.pem", "sslkey": "k.pem"}),
    ],
)
def test_tls(tls: dict[str, object], expected: dict[str, str]) -> None:
    # SPEC: Z5
    parameters = options(**tls).connection_parameters()
    assert {name: its for name, its in parameters.items() if name.startswith("ssl")} == expected


def test_the_endpoint_names_no_secret() -> None:
    endpoint = Session(options()).endpoint
    assert endpoint.facts() == {"host": "h", "port": "6543", "database": "d"}
    assert endpoint.masked("say geheim") == "say ***"
    assert "geheim" not in repr(options())


def test_a_connection_string_that_cannot_be_read_is_not_quoted() -> None:
    with pytest.raises(OperatorError) as refused:
        _ = Session(options(connection_string=SecretStr("postgresql://u:ge%heim@h/d"))).endpoint
    assert "heim" not in str(refused.value)


def test_a_driver_error_that_is_not_the_servers_is_ours() -> None:
    import psycopg

    error = translate(psycopg.ProgrammingError("text"), Endpoint("h", "1", "d", "u"))
    assert isinstance(error, OperatorError)
