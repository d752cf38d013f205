"""Secrets in text that people or machines read (SPEC Z1)."""

from __future__ import annotations

import pytest

from warp_resources.masking import mask


# SPEC: Z1
@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("mongodb://app:s3cret@db:27017/shop", "mongodb://app:***@db:27017/shop"),
        ("mongodb://app:s3@cr/et@a:1,b:2/shop", "mongodb://app:***@a:1,b:2/shop"),
        ("at mongodb://u:s3/cret@host.", "at mongodb://u:***@host."),
        ("at mongodb://u:p@ss@host:1", "at mongodb://u:***@host:1"),
        ("mongodb://me@corp:s3cret@db/", "mongodb://me@corp:***@db/"),
        ("postgresql://:s3cret@db/", "postgresql://:***@db/"),
        ("mongodb+srv://app:s3cret@db/", "mongodb+srv://app:***@db/"),
        ("mongodb://u:p%40ss@a:1,b:2/?x=1 and more", "mongodb://u:***@a:1,b:2/?x=1 and more"),
        (
            "postgresql://db/x?user=a&password=s3cret&sslmode=require",
            "postgresql://db/x?user=a&password=***&sslmode=require",
        ),
        ("host=db password=s3cret user=a", "host=db password=*** user=a"),
        ("host=db password = 's3 cret' user=a", "host=db password = *** user=a"),
        ("failed: mongodb://app:s3cret@db/ (auth)", "failed: mongodb://app:***@db/ (auth)"),
        ("mongodb://me:s3cret/db", "mongodb://me:***/db"),
        ("postgresql://me:1s3cret/db", "postgresql://me:***/db"),
        ("(mongodb://me:s3cret)", "(mongodb://me:***"),
        ("mongodb://db:27017/shop", "mongodb://db:27017/shop"),
        ("served at http://127.0.0.1:3000.", "served at http://127.0.0.1:3000."),
        ("'http://127.0.0.1:3000': gone", "'http://127.0.0.1:3000': gone"),
        ("mongodb://[::1]:27018/shop", "mongodb://[::1]:27018/shop"),
        ("mongodb://127.0.0.1:27017/?replicaSet=rs0", "mongodb://127.0.0.1:27017/?replicaSet=rs0"),
        ("mongodb://app@db/shop", "mongodb://app@db/shop"),
        ("no secret here: a@b", "no secret here: a@b"),
        ("plain text", "plain text"),
    ],
)
def test_passwords_are_masked(text: str, masked: str) -> None:
    assert mask(text) == masked
    assert mask(masked) == masked


@pytest.mark.parametrize(
    ("text", "secrets", "masked"),
    [
        ("login with hunter2 failed", ["hunter2"], "login with *** failed"),
        ("postgresql as postgres", ["postgres"], "postgresql as ***"),
        ("xlong-secret-valuex", ["long-secret-value"], "x***x"),
        ("a.b", ["a.b", ""], "***"),
        ("abcd ab", ["ab", "abcd"], "*** ***"),
    ],
)
def test_given_secrets_are_masked(text: str, secrets: list[str], masked: str) -> None:
    assert mask(text, secrets) == masked
