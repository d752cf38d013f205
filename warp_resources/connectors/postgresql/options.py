"""What a user may set for a PostgreSQL database."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from psycopg import ProgrammingError, conninfo
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    field_validator,
    model_validator,
)

from warp_resources.connectors.interfaces import ENGINE_CONNECTIONS
from warp_resources.connectors.scalars import ConnectionString, File
from warp_resources.uris import REMEDY


def _seconds(value: Any) -> Any:
    return value.total_seconds() if isinstance(value, timedelta) else value


_LONGEST_SECONDS = 2_147_482
"""PostgreSQL's timeouts are 32 bits of milliseconds, and one of ours is a second longer than what is set."""

Seconds = Annotated[PositiveFloat, BeforeValidator(_seconds)]


class PostgresOptions(BaseModel):
    """How to reach a PostgreSQL database and how to write to it; times are in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, hide_input_in_errors=True)

    connection_string: ConnectionString = Field(description="A libpq URI or key=value string.")
    schema_name: str | None = Field(None, alias="schema", description="Destination schema; default: the schema's name.")
    pool_size: PositiveInt = Field(
        10, description="With max_overflow: the connections that processes should stay within; an engine needs 3."
    )
    max_overflow: int = Field(20, ge=0, description="Connections beyond pool_size under load.")
    batch_size: PositiveInt | None = Field(None, description="Most rows of one commit.")
    transaction_timeout: Seconds = Field(
        300, le=_LONGEST_SECONDS, description="Seconds after which a transaction is given up."
    )
    connection_timeout: Seconds = Field(30, description="Seconds to wait for the server to answer.")
    application_name: str = Field("cartridge-warp", description="Shown in pg_stat_activity.")
    ca: File | Literal["system"] | None = Field(
        None, description="File with the certificates that may sign the server's; system: those of this machine."
    )
    cert: File | None = Field(None, description="File with the client's certificate.")
    key: File | None = Field(None, description="File with the client's private key.")
    verify: Literal["none", "ca", "full"] | None = Field(
        None, description="What is checked of the server's certificate; default: full where ca is given."
    )

    @model_validator(mode="after")
    def _room_for_an_engine(self) -> Self:
        if self.pool_size + self.max_overflow < ENGINE_CONNECTIONS:
            raise ValueError(
                f"pool_size and max_overflow allow {self.pool_size + self.max_overflow} connections in all; "
                f"an engine needs {ENGINE_CONNECTIONS}: one for data, two for leases"
            )
        return self

    @field_validator("connection_string")
    @classmethod
    def _readable(cls, value: SecretStr) -> SecretStr:
        try:
            parts = conninfo.conninfo_to_dict(value.get_secret_value())
        except ProgrammingError:
            parts = {"host": "@"}
        ports = str(parts.get("port") or "").split(",")
        if "@" in str(parts.get("host") or "") or any(port and not port.isdigit() for port in ports):
            # Without the driver's own words, which would quote part of the string.
            raise ValueError(
                "the connection string cannot be read: write a URI, postgresql://..., or key=value pairs, values "
                f"with blanks in single quotes; in a URI, {REMEDY}"
            )
        return value

    def connection_parameters(self) -> dict[str, str | int]:
        """The libpq parameters beyond the connection string."""
        parameters: dict[str, str | int] = {
            "application_name": self.application_name,
            "connect_timeout": max(1, round(self.connection_timeout)),
            "client_encoding": "UTF8",
            "keepalives": 1,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 30_000,
        }
        files = {"sslrootcert": self.ca, "sslcert": self.cert, "sslkey": self.key}
        parameters |= {name: path for name, path in files.items() if path is not None}
        verify = self.verify or ("full" if self.ca else None)
        if verify is not None:
            parameters["sslmode"] = {"none": "require", "ca": "verify-ca", "full": "verify-full"}[verify]
        return parameters
