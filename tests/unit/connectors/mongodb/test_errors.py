"""Errors an operator can act on (SPEC R3, R4)."""

from __future__ import annotations

from pathlib import Path

import pytest
from pymongo.errors import (
    AutoReconnect,
    CursorNotFound,
    ExecutionTimeout,
    InvalidOperation,
    InvalidURI,
    NetworkTimeout,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
)

from warp_resources.connectors.mongodb.connect import Connection, address_of
from warp_resources.connectors.mongodb.errors import translate, translated
from warp_resources.connectors.mongodb.options import MongoOptions
from warp_resources.errors import ConnectionLost, HistoryLost, OperatorError, TransientError, Unreachable


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ServerSelectionTimeoutError("no"), Unreachable),
        (AutoReconnect("no"), ConnectionLost),
        (NetworkTimeout("no"), ConnectionLost),
        (NotPrimaryError("no"), ConnectionLost),
        (WaitQueueTimeoutError("no"), ConnectionLost),
        (CursorNotFound("no", 43), TransientError),
        (ExecutionTimeout("no", 50), TransientError),
        (OperationFailure("no", 11600), TransientError),
        (OperationFailure("no", 11601), TransientError),
        (OperationFailure("no", 211), TransientError),
        (OperationFailure("no", 1, {"errorLabels": ["ResumableChangeStreamError"]}), TransientError),
        (InvalidOperation("no"), TransientError),
        (OperationFailure("no", 286), HistoryLost),
        (OperationFailure("no", 217), HistoryLost),
        (OperationFailure("no", 136), TransientError),
        (OperationFailure("no", 280), OperatorError),
        (OperationFailure("no", 13), OperatorError),
        (OperationFailure("no", 18), OperatorError),
        (OperationFailure("no", 40573), OperatorError),
        (OperationFailure("no", 1), OperatorError),
        (InvalidURI("no"), OperatorError),
        (PyMongoError("no"), OperatorError),
    ],
    ids=lambda value: getattr(value, "code", None) or getattr(value, "__name__", type(value).__name__),
)
def test_each_error_has_its_fate(error: PyMongoError, expected: type[Exception]) -> None:
    # SPEC: R3, R4
    found = translate(error, "db:27017")
    assert type(found) is expected
    assert "db:27017" in str(found)


def test_the_servers_text_is_left_out() -> None:
    # SPEC: C
    error = OperationFailure("bad value: 4111-1111", 2, {"codeName": "BadValue", "errmsg": "bad value: 4111-1111"})
    assert "4111" not in str(translate(error, "db:27017"))
    assert "BadValue" in str(translate(error, "db:27017"))


def test_a_file_that_holds_no_certificate_is_told(tmp_path: Path) -> None:
    # SPEC: Z5
    junk = tmp_path / "ca.pem"
    junk.write_text("no certificate")
    absent = MongoOptions(connection_string=f"mongodb://db/?tls=true&tlsCAFile={tmp_path}/none.pem")
    for options in (MongoOptions(connection_string="mongodb://db", ca=str(junk)), absent):
        with pytest.raises(OperatorError, match="TLS files for MongoDB cannot be used"):
            _ = Connection(options).client


def test_the_cause_is_kept() -> None:
    cause = AutoReconnect("no")
    with pytest.raises(TransientError) as caught, translated("db:27017"):
        raise cause
    assert caught.value.__cause__ is cause


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("mongodb://db", "db:27017"),
        ("mongodb://me:s3cr@t@db:5,db2/shop?x=1", "db:5,db2:27017"),
        ("mongodb://[::1]:27018,[::2]/", "[::1]:27018,[::2]:27017"),
        ("mongodb+srv://me:secret@cluster.example.com/", "cluster.example.com"),
        ("me:secret", "an unreadable connection_string"),
    ],
)
def test_an_address_has_no_password(uri: str, address: str) -> None:
    # SPEC: Z1
    assert address_of(uri) == address
