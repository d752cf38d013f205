"""The settings of the two databases and of the state store, as far as all connectors share them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

from warp_resources.config.aliases import SOURCE, rename
from warp_resources.config.durations import Duration, PositiveDuration
from warp_resources.config.scalars import Count, Name, Timezone, WholeNumber
from warp_resources.config.settings import Settings
from warp_resources.config.tables import ChangeDetection
from warp_resources.errors import ConfigurationError
from warp_resources.masking import is_secret_name
from warp_resources.uris import REMEDY, doubt

_VERIFY_BY_BOOL = {True: "full", False: "none", "true": "full", "false": "none"}
_TYPES = {"postgres": "postgresql", "mongodb+srv": "mongodb"}


def _spelled_verify(value: Any) -> Any:
    return _VERIFY_BY_BOOL.get(value, value) if isinstance(value, bool | str) else value


Verify = Annotated[Literal["none", "ca", "full"], BeforeValidator(_spelled_verify)]


class Endpoint(Settings):
    """One side of the line. Keys that are unknown here belong to the connector, which checks them."""

    model_config = ConfigDict(extra="allow")

    type: Name = Field(description="The connector: its name, or module:Class.")
    connection_string: SecretStr | None = Field(default=None, description="The URI of the database, with its password.")
    ca: Name | None = Field(default=None, description="TLS: the file with the certificates to trust.")
    cert: Name | None = Field(default=None, description="TLS: the file with the client's certificate.")
    key: Name | None = Field(default=None, description="TLS: the file with the client's private key.")
    verify: Verify | None = Field(
        default=None, description="TLS: what must hold of the server's certificate; ca: its issuer, full: its name too."
    )

    @model_validator(mode="before")
    @classmethod
    def _hide_secrets(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        known = {field.alias or name for name, field in cls.model_fields.items()}
        return {key: its if key in known else _hidden(key, its) for key, its in value.items()}


def _hidden(key: object, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {inner: _hidden(inner, its) for inner, its in value.items()}
    if isinstance(value, str) and (is_secret_name(str(key)) or "://" in value):
        return SecretStr(value)
    return value


class SourceConfig(Endpoint):
    """Where rows and changes come from."""

    database: Name | None = Field(default=None, description="The source database of every schema that names none.")
    timezone: Timezone = Field(
        default="UTC",
        description="How naive source timestamps are read; without effect for MongoDB, whose dates are instants.",
    )
    change_detection: ChangeDetection = Field(default_factory=ChangeDetection, description="How changes are found.")

    @model_validator(mode="before")
    @classmethod
    def _without_aliases(cls, value: Any) -> Any:
        return rename(SOURCE, value) if isinstance(value, Mapping) else value


class DestinationConfig(Endpoint):
    """Where rows land."""

    schema_name: Name | None = Field(
        default=None, alias="schema", description="The schema that tables land in. Default: each schema's own name."
    )
    pool_size: Count = Field(
        default=10,
        description="Connections that an engine stays within, max_overflow added: it needs 3, a second reader 3 more.",
    )
    max_overflow: WholeNumber = Field(default=20, description="Connections beyond pool_size.")
    batch_size: Count | None = Field(default=None, description="Rows per write, below performance.write_batch_size.")
    transaction_timeout: PositiveDuration = Field(
        default=timedelta(seconds=300), description="How long a transaction may take."
    )
    min_interval: Duration | None = Field(
        default=None,
        description="How often at most a table is written. Default: as the destination's kind wants it, 0s for most.",
    )


def _postgresql(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().lower().startswith(("postgresql://", "postgres://")):
        raise PydanticCustomError("state", "a PostgreSQL URI is allowed: postgresql://user:password@host:port/database")
    return value


class StateConfig(Settings):
    """Where leases and mandates live."""

    connection_string: Annotated[SecretStr, AfterValidator(_postgresql)] | None = Field(
        default=None,
        description="The URI of a PostgreSQL database for them. Default: the destination, or a file of this host "
        "where the destination has no cheap small writes.",
    )


def endpoint_from_uri(uri: str) -> dict[str, str]:
    """The settings that a URI of the command line stands for: type, connection string and database.

    Raises:
        ConfigurationError: the text is not a URI.
    """
    try:
        parts = urlsplit(uri)
    except ValueError:
        parts = urlsplit("")
    if not parts.scheme or "://" not in uri:
        raise ConfigurationError(
            "A connection was given that is not a URI", remedy="Write it as type://user:password@host:port/database"
        )
    reason = doubt(uri)
    if reason is not None:
        raise ConfigurationError(
            f"A connection was given that is not clear: {reason}", remedy=REMEDY[0].upper() + REMEDY[1:]
        )
    found = {"type": _TYPES.get(parts.scheme, parts.scheme), "connection_string": uri}
    database = unquote(parts.path.strip("/"))
    return {**found, "database": database} if database else found
