"""dagster-gcp's BigQuery resource with an address of its own: an emulator, or a private endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

from dagster_gcp import BigQueryResource
from dagster_gcp.bigquery.utils import setup_gcp_creds
from pydantic import Field

from warp_resources.connectors.bigquery.options import BigQueryOptions
from warp_resources.connectors.bigquery.session import Session


class EndpointBigQueryResource(BigQueryResource):
    """``BigQueryResource`` with the two keys of the configuration that it lacks.

    Its client finds credentials as the connector does: in the key file, else in what the environment offers;
    ``http://`` goes without any.
    """

    api_endpoint: str | None = Field(default=None, description="Another address of the API, as in the configuration.")
    credentials_file: str | None = Field(default=None, description="A key file; default: what the environment offers.")

    @contextmanager
    def get_client(self) -> Iterator[Any]:
        """A ``google.cloud.bigquery.Client``, closed at the end of the block."""
        given = {name: getattr(self, name) for name in ("project", "location", "api_endpoint", "credentials_file")}
        if self.api_endpoint is None and self.credentials_file is None:
            with super().get_client() as client:
                yield client
            return
        with ExitStack() as opened:
            if self.gcp_credentials:
                opened.enter_context(setup_gcp_creds(self.gcp_credentials))
            session = opened.enter_context(closing(Session(BigQueryOptions.model_validate(given))))
            yield session.client
