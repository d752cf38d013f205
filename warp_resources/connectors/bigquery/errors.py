"""Turns the client's exceptions into the engine's, by status and reason."""

from __future__ import annotations

import re

import requests.exceptions
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.resumable_media import common as resumable_media

from warp_resources.errors import ConnectionLost, OperatorError, TransientError, Unreachable, WarpError
from warp_resources.masking import mask

# https://cloud.google.com/bigquery/docs/error-messages
_TRANSIENT_REASONS = {
    "backendError": "BigQuery failed at its own end",
    "internalError": "BigQuery failed at its own end",
    "jobBackendError": "BigQuery failed at its own end",
    "jobInternalError": "BigQuery failed at its own end",
    "jobRateLimitExceeded": "Jobs came faster than BigQuery's quota allows",
    "quotaExceeded": "A quota of BigQuery is used up",
    "rateLimitExceeded": "Requests came faster than BigQuery's quota allows",
    "tableUnavailable": "A table is unavailable for a moment",
    "resourceInUse": "A resource is in use",
    "stopped": "BigQuery stopped a job, which took too long or was cancelled",
}
_NOT_DONE = {"jobRateLimitExceeded", "rateLimitExceeded"}
"""Reasons of a request that is refused and welcome a moment later."""
_REMEDIES = {
    "accessDenied": "Grant the service account the roles of docs/bigquery.md",
    "billingNotEnabled": "Enable billing for the project: without it BigQuery takes no DML",
    "notFound": "Create the dataset or table, or correct its name",
    "quotaExceeded": "Raise destination.min_interval, or ask for more quota",
    "jobRateLimitExceeded": "Raise destination.min_interval if this lasts",
    "rateLimitExceeded": "Raise destination.min_interval if this lasts",
    "stopped": "Raise destination.transaction_timeout if this lasts, or lower destination.batch_size",
}
# BigQuery has no reason of its own for these.
_COLLISION = re.compile(
    r"cartridge_warp: moved|"
    r"due to concurrent update|[Cc]ould not serialize|Transaction is aborted|Failed to commit|Conflict on "
)
# The later ones are of an answer that broke off.
_UNREACHABLE = (
    requests.exceptions.ConnectionError,
    requests.exceptions.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
    requests.exceptions.JSONDecodeError,
    resumable_media.InvalidResponse,
    resumable_media.DataCorruption,
    ConnectionError,
    TimeoutError,
    auth.TransportError,
    api.RetryError,
)


class Collision(TransientError):
    """Another transaction changed the same rows at the same time; nothing is committed."""


class Refused(OperatorError):
    """BigQuery understood what was asked and does not do it; in its own words."""


def reason_of(error: api.GoogleAPICallError) -> str:
    """The reason that BigQuery gives for an error; empty where it gives none."""
    found = error.errors[0] if error.errors else None
    return str(found.get("reason", "")) if isinstance(found, dict) else ""


def is_lost_answer(error: Exception) -> bool:
    """Whether a request is to be asked again: it cannot be told if it was carried out, or the next may be."""
    if isinstance(error, api.GoogleAPICallError):
        is_of_server = error.code is None or int(error.code) >= 500 or int(error.code) in (408, 429)
        return is_of_server or reason_of(error) in _NOT_DONE
    return isinstance(error, _UNREACHABLE) or _is_retryable(error)


def translated(error: Exception, doing: str) -> WarpError:
    """The engine's error for one of the client's.

    Args:
        doing: what was asked of the service, one phrase.
    """
    if isinstance(error, auth.DefaultCredentialsError):
        return OperatorError(
            "No usable credentials for BigQuery were found",
            remedy="Set credentials_file or GOOGLE_APPLICATION_CREDENTIALS to a whole key file, or give the machine a"
            " service account",
        )
    if isinstance(error, WarpError):
        return error
    if isinstance(error, _UNREACHABLE) or _is_retryable(error):
        return Unreachable("BigQuery does not answer", remedy="Check the network and api_endpoint", doing=doing)
    if isinstance(error, auth.GoogleAuthError):
        return OperatorError("The credentials for BigQuery were refused", remedy="Renew them", detail=mask(str(error)))
    if isinstance(error, api.GoogleAPICallError):
        return _of_service(error, doing)
    return OperatorError(f"{doing} failed: {mask(str(error))}", remedy="Report this as a bug")


def _is_retryable(error: Exception) -> bool:
    """Whether whoever gives the credentials out failed at their own end."""
    return isinstance(error, auth.GoogleAuthError) and error.retryable


def _of_service(error: api.GoogleAPICallError, doing: str) -> WarpError:
    reason, code = reason_of(error), int(error.code or 500)
    text = mask(str(error.message).splitlines()[0] if error.message else type(error).__name__)
    if _COLLISION.search(text):
        return Collision("The transaction collided with another one", doing=doing, detail=text)
    if reason in _TRANSIENT_REASONS or code in (408, 429):
        said = _TRANSIENT_REASONS.get(reason, "Requests came faster than BigQuery's quota allows")
        return TransientError(said, remedy=_REMEDIES.get(reason), doing=doing, reason=reason or code, detail=text)
    if code >= 500:
        return ConnectionLost("BigQuery failed at its own end", doing=doing, status=code, detail=text)
    return Refused(
        f"BigQuery refused to {doing}: {text}", remedy=_REMEDIES.get(reason), status=code, reason=reason or None
    )
