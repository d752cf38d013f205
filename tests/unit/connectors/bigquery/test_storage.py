"""The channel to the Storage Read API notices that its line is dead."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud.bigquery_storage_v1.services.big_query_read.transports import BigQueryReadGrpcTransport

from warp_resources.connectors.bigquery import storage
from warp_resources.connectors.bigquery.options import BigQuerySourceOptions


def test_a_channel_asks_whether_the_service_is_still_there(monkeypatch: pytest.MonkeyPatch) -> None:
    given, work = list[dict[str, int]](), BigQueryReadGrpcTransport.create_channel

    def create(host: str, **its: Any) -> grpc.Channel:
        given.append(dict(its["options"]))
        return work(host, **its)

    monkeypatch.setattr(storage, "credentials_of", lambda _: {"credentials": AnonymousCredentials()})
    monkeypatch.setattr(BigQueryReadGrpcTransport, "create_channel", create)
    storage._client(BigQuerySourceOptions(project="p")).transport.close()
    [options] = given
    assert options["grpc.max_receive_message_length"] == -1
    assert options["grpc.keepalive_time_ms"] + options["grpc.keepalive_timeout_ms"] <= 120_000
