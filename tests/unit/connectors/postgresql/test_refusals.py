"""Which of PostgreSQL's errors are the fault of a row."""

from __future__ import annotations

import psycopg
import pytest

from warp_resources.connectors.postgresql.refusals import Refusal, refusal_of


def failed(code: str, words: str = "words") -> psycopg.Error:
    return type("Failed", (psycopg.DatabaseError,), {"sqlstate": code})(words)


# SPEC: E7  FAULTS: 20
@pytest.mark.parametrize("code", ["23502", "23503", "22003", "54000", "P0001", "45000", "UE001", "I0042", "38000"])
def test_what_a_row_is_refused_for(code: str) -> None:
    assert refusal_of(failed(code)) is not None


# SPEC: E7  FAULTS: 14
@pytest.mark.parametrize(
    "code", ["42501", "42P01", "25006", "53100", "57014", "40001", "08006", "XX001", "F0001", "HV000", "0A000", "26000"]
)
def test_what_is_no_fault_of_a_row(code: str) -> None:
    assert refusal_of(failed(code)) is None


def test_row_security_refuses_rows_although_it_speaks_of_grants() -> None:
    words = 'new row violates row-level security policy "own" for table "users"'
    assert refusal_of(failed("42501", words)) == Refusal("refused", "row-level security")
    assert refusal_of(failed("42501", "permission denied for table users")) is None
