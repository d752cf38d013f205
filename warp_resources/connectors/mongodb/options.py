"""What a user may set for a MongoDB source."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, SecretStr, field_validator, model_validator
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from warp_resources.connectors.scalars import ConnectionString, File
from warp_resources.uris import REMEDY

_SRV = "mongodb+srv://"
_HEARTBEAT_SECONDS, _LONGEST_CONNECTING_SECONDS = 2.0, 5.0
"""Together the time after which a member that is frozen or cut off is given up, with all that is asked of it."""

ReadPreference = Literal["primary", "primaryPreferred", "secondary", "secondaryPreferred", "nearest"]


class MongoOptions(BaseModel):
    """How to reach a MongoDB deployment and which member to read from; times are in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    connection_string: ConnectionString = Field(description="A mongodb:// or mongodb+srv:// URI.")
    database: str | None = Field(None, description="The source database of every schema that names none.")
    replica_set: str | None = Field(None, description="Name of the replica set, as replicaSet in the URI.")
    auth_source: str | None = Field(None, description="Database that knows the user, as authSource in the URI.")
    ssl_enabled: bool | None = Field(None, description="Use TLS; default: as the URI says, or true where ca is given.")
    ca: File | None = Field(None, description="File with the certificates that may sign the server's.")
    cert: File | None = Field(None, description="File with the client's certificate and its private key, in one PEM.")
    key: str | None = Field(None, description="Not taken by the driver: the private key belongs into cert's file.")
    verify: Literal["none", "ca", "full"] | None = Field(
        None, description="What is checked of the server's certificate; default: full."
    )
    read_preference: ReadPreference = Field("primary", description="The members that snapshots and streams read from.")
    connection_timeout: PositiveFloat = Field(30, description="Seconds to wait for a server that answers.")
    read_timeout: PositiveFloat = Field(60, description="Seconds to wait for the answer to one command.")

    @field_validator("connection_string")
    @classmethod
    def _readable(cls, value: SecretStr) -> SecretStr:
        uri = value.get_secret_value()
        try:
            # The parser would ask the name server for the members that mongodb+srv:// stands for.
            is_readable = uri.startswith(_SRV) or bool(parse_uri(uri, validate=False))
        except (PyMongoError, ValueError):
            is_readable = False
        if not is_readable:
            raise ValueError(
                "the connection string cannot be read: check its form, mongodb://... or mongodb+srv://..., and the "
                f"options behind its ?; {REMEDY}"
            )
        return value

    @model_validator(mode="after")
    def _one_file(self) -> Self:
        if self.key is not None and self.key != self.cert:
            raise ValueError("put certificate and private key into one PEM file, name it in cert and leave key out")
        return self

    def client_arguments(self) -> dict[str, Any]:
        """The driver's keyword arguments beyond the URI."""
        uses_tls = self.ssl_enabled or (self.ssl_enabled is None and bool(self.ca or self.cert or self.verify))
        arguments: dict[str, Any] = {
            "appname": "cartridge-warp",
            "serverSelectionTimeoutMS": round(self.connection_timeout * 1000),
            "connectTimeoutMS": round(min(self.connection_timeout, _LONGEST_CONNECTING_SECONDS) * 1000),
            "heartbeatFrequencyMS": round(_HEARTBEAT_SECONDS * 1000),
            "socketTimeoutMS": round(self.read_timeout * 1000),
            "replicaSet": self.replica_set,
            "authSource": self.auth_source,
            "tls": True if uses_tls else self.ssl_enabled,
            "tlsCAFile": self.ca if uses_tls else None,
            "tlsCertificateKeyFile": self.cert if uses_tls else None,
            "tlsAllowInvalidCertificates": True if uses_tls and self.verify == "none" else None,
            "tlsAllowInvalidHostnames": True if uses_tls and self.verify == "ca" else None,
        }
        return {name: value for name, value in arguments.items() if value is not None}
