"""Connection URIs that could be read in more than one way."""

from __future__ import annotations

import pytest

from warp_resources.uris import doubt


# SPEC: Z1
@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("postgresql://me:s3/cret@127.0.0.1:9/d", "@ behind its host"),
        ("postgresql://me:12/cret@127.0.0.1:9/d", "@ behind its host"),
        ("postgresql://me:12?cret@127.0.0.1:9/d", "@ behind its host"),
        ("postgresql://me:12#cret@127.0.0.1:9/d", "@ behind its host"),
        ("postgresql://me:se@cret@127.0.0.1:9/d", "more than one @"),
        ("postgresql://me:se@s3/cret@127.0.0.1:9/d", "@ behind its host"),
        ("postgresql://me:s3cret/db", "port is not a number"),
        ("mongodb://me:123456/db", "port is not a number"),
        ("mongodb://me:s3cret@a:1,b:c/db", "port is not a number"),
        ("mongodb://me:s3cret@[bad", "host cannot be read"),
        ("mongodb://me:s3 cret@db", "blank"),
        ("mongodb://me:s3%cret@db", "% in it"),
        ("s3cret", "no URI"),
    ],
)
def test_an_ambiguous_uri_is_told_without_quoting_it(uri: str, reason: str) -> None:
    found = doubt(uri)
    assert found is not None
    assert reason in found
    assert "cret" not in found


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://db",
        "mongodb://me:s3%40%2Fcret@a:1,b:2/shop?replicaSet=rs0&appName=me",
        "mongodb://account:key==@account.example.com:10255/?ssl=true&appName=@account@",
        "mongodb+srv://me:s3cret@db/?w=1",
        "mongodb://[::1]:27018,[::2]/",
        "mongodb://%2Ftmp%2Fmongodb-27017.sock/db",
        "postgresql:///db?host=/var/run/postgresql",
        "postgresql://me:a:b@h:5432,h2:5433/d?sslmode=require",
        "postgresql://me@h/d",
        "memory://",
    ],
)
def test_a_clear_uri_is_left_alone(uri: str) -> None:
    assert doubt(uri) is None
