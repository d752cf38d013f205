"""Which of the client's exceptions are asked again, waited for, or shown to the user."""

from __future__ import annotations

import pytest
import requests.exceptions
from google.api_core import exceptions as api
from google.auth import exceptions as auth

from warp_resources.connectors.bigquery.errors import Collision, Refused, is_lost_answer, translated
from warp_resources.errors import ConnectionLost, OperatorError, TransientError, Unreachable, WarpError


def of_service(status: int, reason: str, message: str = "words") -> api.GoogleAPICallError:
    return api.from_http_status(status, message, errors=[{"reason": reason, "message": message}])


# SPEC: R3
@pytest.mark.parametrize(
    ("error", "kind", "again"),
    [
        (requests.exceptions.ChunkedEncodingError("cut"), Unreachable, True),
        (requests.exceptions.JSONDecodeError("half", "", 0), Unreachable, True),
        (TimeoutError(), Unreachable, True),
        (BrokenPipeError(), Unreachable, True),
        (auth.RefreshError("token endpoint", retryable=True), Unreachable, True),
        (auth.RefreshError("revoked"), OperatorError, False),
        (of_service(200, "stopped"), TransientError, False),
        (of_service(403, "rateLimitExceeded"), TransientError, True),
        (of_service(403, "quotaExceeded"), TransientError, False),
        (of_service(429, ""), TransientError, True),
        (of_service(408, ""), TransientError, True),
        (of_service(500, "backendError"), TransientError, True),
        (of_service(502, ""), ConnectionLost, True),
        (of_service(400, "invalidQuery", "Transaction is aborted due to concurrent update"), Collision, False),
        (of_service(403, "accessDenied"), Refused, False),
        (ConnectionLost("known already"), ConnectionLost, False),
    ],
)
def test_an_exception_has_one_fate(error: Exception, kind: type[WarpError], again: bool) -> None:
    found = translated(error, "try")
    assert type(found) is kind
    assert is_lost_answer(error) is again
