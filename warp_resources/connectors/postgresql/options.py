"""What a user may set for a PostgreSQL database."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveFloat, PositiveInt, SecretStr


def _seconds(value: Any) -> Any:
    return value.total_seconds() if isinstance(value, timedelta) else value


Seconds = Annotated[PositiveFloat, BeforeValidator(_seconds)]


class PostgresOptions(BaseModel):
    """How to reach a PostgreSQL database and how to write to it; times are in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    connection_string: SecretStr = Field(description="A libpq URI or key=value string.")
    schema_name: str | None = Field(None, alias="schema", description="Destination schema; default: the schema's name.")
    pool_size: PositiveInt = Field(10, description="Connections that all processes together should stay within.")
    max_overflow: int = Field(20, ge=0, description="Connections beyond pool_size under load.")
    batch_size: PositiveInt | None = Field(None, description="Most rows of one commit.")
    transaction_timeout: Seconds = Field(300, description="Seconds after which a transaction is given up.")
    connection_timeout: Seconds = Field(30, description="Seconds to wait for the server to answer.")
    application_name: str = Field("cartridge-warp", description="Shown in pg_stat_activity.")
    ca: str | None = Field(None, description="File with the certificates that may sign the server's.")
    cert: str | None = Field(None, description="File with the client's certificate.")
    key: str | None = Field(None, description="File with the client's private key.")
    verify: Literal["none", "ca", "full"] | None = Field(
        None, description="What is checked of the server's certificate; default: full where ca is given."
    )

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
