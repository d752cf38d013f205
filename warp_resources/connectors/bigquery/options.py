"""What a user may set for a BigQuery project, in either role."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal, Self
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from warp_resources.connectors.scalars import ConnectionString, File

_FORM = "write it as bigquery://PROJECT or bigquery://PROJECT?location=EU"


def _seconds(value: Any) -> Any:
    return value.total_seconds() if isinstance(value, timedelta) else value


Seconds = Annotated[PositiveFloat, BeforeValidator(_seconds)]
Interval = Annotated[NonNegativeFloat, BeforeValidator(_seconds)]


class BigQueryOptions(BaseModel):
    """How to reach a BigQuery project; times are in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, hide_input_in_errors=True)

    connection_string: ConnectionString | None = Field(
        None, description="bigquery://PROJECT, with ?location=EU where it is not US; instead of `project`."
    )
    project: str | None = Field(None, description="The project whose datasets are meant and who pays for the jobs.")
    location: str | None = Field(None, description="Where the datasets are, such as EU; default: as the service says.")
    credentials_file: File | None = Field(
        None,
        description="A key file of a service account, or of workload identity federation; default: what the "
        "environment offers (GOOGLE_APPLICATION_CREDENTIALS, gcloud, or the machine's own service account).",
    )
    api_endpoint: str | None = Field(
        None,
        description="Another address of the API: an emulator, or a private endpoint; http:// goes without credentials.",
    )
    storage_endpoint: str | None = Field(
        None, description="HOST:PORT of the Storage Read API that goes with `api_endpoint`."
    )
    connection_timeout: Seconds = Field(30, description="Seconds to wait for the service to answer.")

    @model_validator(mode="after")
    def _has_project(self) -> Self:
        if not self.project_id:
            raise ValueError(f"name the project: set `project`, or a connection_string; {_FORM}")
        return self

    @property
    def project_id(self) -> str:
        """The project, from whichever setting names it."""
        return self.project or self._parts[0]

    @property
    def place(self) -> str | None:
        """The location of the datasets and jobs, None where the service chooses."""
        return self.location or self._parts[1]

    @property
    def is_insecure(self) -> bool:
        """Whether the API is reached without TLS, and so without credentials."""
        return self.api_endpoint is not None and self.api_endpoint.startswith("http://")

    @property
    def _parts(self) -> tuple[str, str | None]:
        if self.connection_string is None:
            return "", None
        parts = urlsplit(self.connection_string.get_secret_value())
        if parts.scheme != "bigquery":
            raise ValueError(f"the connection string cannot be read: {_FORM}")
        return unquote(parts.netloc), parse_qs(parts.query).get("location", [None])[0]

    @property
    def _dataset(self) -> str:
        """What the connection string names beside the project; empty where it does not."""
        given = self.connection_string
        return "" if given is None else unquote(urlsplit(given.get_secret_value()).path.strip("/"))


class BigQueryTableOptions(BaseModel):
    """How the rows of a new table are kept together; columns are named as the source names them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    partition_by: str | None = Field(None, description="A date or time column that the table is partitioned by.")
    granularity: Literal["hour", "day", "month", "year"] = Field("day", description="How much goes into a partition.")
    cluster_by: Annotated[tuple[str, ...], Field(max_length=4)] = Field(
        (), description="Up to four columns that the table is clustered by; default: by its key."
    )
    repeated: tuple[str, ...] = Field(
        (), description="Columns of arrays that are ARRAY<JSON> instead of JSON; what is no array is set aside."
    )


class BigQueryDestinationOptions(BigQueryOptions):
    """How to write to a BigQuery project."""

    schema_name: str | None = Field(
        None, alias="schema", description="Destination dataset; default: the schema's name."
    )
    min_interval: Interval = Field(30, description="Seconds between two writes of a stream's tables.")
    batch_size: PositiveInt | None = Field(None, description="Most rows of one commit.")
    transaction_timeout: Seconds = Field(300, description="Seconds after which a commit is given up.")
    metadata_dataset: str = Field(
        "cartridge_warp_metadata", description="The dataset of markers, dead letters and logs."
    )
    staging_dataset: str = Field(
        "cartridge_warp_staging", description="The dataset of staging tables, each of which expires after a day."
    )
    tables: dict[str, BigQueryTableOptions] = Field(
        {}, description="What new tables are made like, by schema.table; globs allowed, the first counts."
    )
    state_file: str | None = Field(
        None,
        description="The sqlite file of leases and mandates, unless state.connection_string is set; default: one per "
        "project and metadata dataset in the user's state folder.",
    )

    @model_validator(mode="after")
    def _names_no_dataset(self) -> Self:
        if self._dataset:
            raise ValueError(
                f"the connection string names the dataset {self._dataset!r}, but each schema is written to a dataset "
                f"of its own name: {_FORM}, and `schema` if all are to be in one"
            )
        return self


class BigQuerySourceOptions(BigQueryOptions):
    """How to read a BigQuery project."""

    database: str | None = Field(None, description="The source dataset of every schema that names none.")
    read_timeout: Seconds = Field(60, description="Seconds to wait for the Storage Read API to begin a reading.")
    query_timeout: Seconds = Field(3600, description="Seconds after which a query for rows is given up.")
    max_tick_bytes: ByteSize | None = Field(
        ByteSize(10_000_000_000),
        description="Most bytes that one tick of a table, or looking up rows of it by key, may read, as a number or "
        "such as 50GB; null for no limit.",
    )

    @model_validator(mode="after")
    def _names_one_dataset(self) -> Self:
        if self._dataset and self._dataset != self.database:
            raise ValueError(
                f"the connection string names the dataset {self._dataset!r}, which `database` does not: "
                f"{_FORM}, and `database: {self._dataset}`"
            )
        return self
