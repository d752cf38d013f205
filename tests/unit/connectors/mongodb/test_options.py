"""What a user may set (SPEC 2, Z5)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from warp_resources.connectors.mongodb.options import MongoOptions

URI = "mongodb://me:secret@db"


def arguments(**settings: Any) -> dict[str, Any]:
    return MongoOptions(connection_string=URI, **settings).client_arguments()


def test_the_password_is_never_shown() -> None:
    # SPEC: Z1
    options = MongoOptions(connection_string=URI)
    assert "secret" not in repr(options) + str(options) + options.model_dump_json()


def test_timeouts_are_passed_on_in_milliseconds() -> None:
    found = arguments(connection_timeout=1.5, read_timeout=2)
    assert found["serverSelectionTimeoutMS"] == found["connectTimeoutMS"] == 1500
    assert found["socketTimeoutMS"] == 2000


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {}),
        ({"ssl_enabled": True}, {"tls": True}),
        ({"ssl_enabled": False}, {"tls": False}),
        ({"ca": "ca.pem"}, {"tls": True, "tlsCAFile": "ca.pem"}),
        ({"ca": "ca.pem", "cert": "me.pem"}, {"tls": True, "tlsCAFile": "ca.pem", "tlsCertificateKeyFile": "me.pem"}),
        ({"verify": "none"}, {"tls": True, "tlsAllowInvalidCertificates": True}),
        ({"verify": "ca"}, {"tls": True, "tlsAllowInvalidHostnames": True}),
        ({"verify": "full"}, {"tls": True}),
        ({"cert": "me.pem", "key": "me.pem"}, {"tls": True, "tlsCertificateKeyFile": "me.pem"}),
    ],
)
def test_tls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], expected: dict[str, Any]
) -> None:
    # SPEC: Z5
    monkeypatch.chdir(tmp_path)
    for name in ("ca.pem", "me.pem"):
        (tmp_path / name).touch()
    assert {name: value for name, value in arguments(**settings).items() if name.startswith("tls")} == expected


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://me:s3cret/db",
        "mongodb://me:s3/cret@db",
        "mongodb://me:s3@cret@db",
        "mongodb://me:s3:cret@db",
        "mongodb://me:s3cret@",
        "http://me:s3cret@db",
        "me:s3cret@db",
        "mongodb://",
        "mongodb://h:99999",
    ],
)
def test_a_connection_string_that_cannot_be_read_is_not_quoted(uri: str) -> None:
    # SPEC: Z1, C7
    with pytest.raises(ValidationError) as refused:
        MongoOptions(connection_string=uri)
    assert "percent-encode special characters" in str(refused.value)
    assert "cret" not in str(refused.value)


@pytest.mark.parametrize("key", ["ca", "cert"])
def test_a_file_that_does_not_exist_is_refused(tmp_path: Path, key: str) -> None:
    # SPEC: C7, Z5
    with pytest.raises(ValidationError, match="an existing file"):
        arguments(**{key: str(tmp_path / "none.pem")})


@pytest.mark.parametrize("settings", [{"colour": 1}, {"cert": "me.pem", "key": "key.pem"}, {"read_preference": "x"}])
def test_what_cannot_be_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        arguments(**settings)
