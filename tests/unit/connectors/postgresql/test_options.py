"""What may be set, what is refused, and what is never shown."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

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


@pytest.mark.parametrize(
    "wrong",
    [{"pool_sise": 3}, {"transaction_timeout": 0}, {"transaction_timeout": timedelta(days=30)}, {"verify": "maybe"}],
)
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
def test_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tls: dict[str, object], expected: dict[str, str]) -> None:
    # SPEC: Z5
    monkeypatch.chdir(tmp_path)
    for name in ("ca.pem", "c.pem", "k.pem"):
        (tmp_path / name).touch()
    parameters = options(**tls).connection_parameters()
    assert {name: its for name, its in parameters.items() if name.startswith("ssl")} == expected


def test_the_endpoint_names_no_secret() -> None:
    endpoint = Session(options()).endpoint
    assert endpoint.facts() == {"host": "h", "port": "6543", "database": "d"}
    assert endpoint.masked("say geheim") == "say ***"
    assert "geheim" not in repr(options())


@pytest.mark.parametrize(
    "wrong",
    [
        "postgresql://u:ge%heim@h/d",
        "postgresql://u:ge/heim@h/d",
        "postgresql://u:ge@heim@h/d",
        "postgresql://u:geheim/d",
        "postgresql//u:geheim@h",
        "host=u:geheim@h",
        "host=h port=geheim",
    ],
)
def test_a_connection_string_that_cannot_be_read_is_not_quoted(wrong: str) -> None:
    # SPEC: Z1, C7
    with pytest.raises(ValidationError) as refused:
        options(connection_string=wrong)
    assert "connection string" in str(refused.value)
    assert "percent-encode special characters" in str(refused.value)
    assert "heim" not in str(refused.value)


@pytest.mark.parametrize("right", ["host=h password='a b'", "postgresql:///d?host=/tmp", "postgresql://u@h:1,i:2/d"])
def test_other_forms_of_connection_strings_are_taken(right: str) -> None:
    assert Session(options(connection_string=right)).endpoint.host in ("h", "/tmp", "h,i")


@pytest.mark.parametrize("key", ["ca", "cert", "key"])
def test_a_file_that_does_not_exist_is_refused(tmp_path: Path, key: str) -> None:
    # SPEC: C7, Z5
    with pytest.raises(ValidationError, match="an existing file"):
        options(**{key: str(tmp_path / "none.pem")})


def test_the_certificates_of_the_machine_are_no_file() -> None:
    assert options(ca="system").connection_parameters()["sslrootcert"] == "system"


def test_a_driver_error_that_is_not_the_servers_is_ours() -> None:
    import psycopg

    error = translate(psycopg.ProgrammingError("text"), Endpoint("h", "1", "d", "u"))
    assert isinstance(error, OperatorError)


@pytest.mark.parametrize(
    "pool", [{"pool_size": 3, "max_overflow": 0}, {"pool_size": 1, "max_overflow": 2}, {"pool_size": 1}]
)
def test_a_pool_with_room_for_an_engine(pool: dict[str, object]) -> None:
    # SPEC: C7
    assert options(**pool).pool_size == pool["pool_size"]


@pytest.mark.parametrize("pool", [{"pool_size": 2, "max_overflow": 0}, {"pool_size": 1, "max_overflow": 1}])
def test_a_pool_without_room_for_an_engine_is_refused(pool: dict[str, object]) -> None:
    # SPEC: C7
    with pytest.raises(ValidationError, match=r"allow 2 connections in all; an engine needs 3") as refused:
        options(**pool)
    assert "geheim" not in str(refused.value)
