"""The configuration: its models, how it is loaded, and what is in effect for each table."""

from __future__ import annotations

from warp_resources.config.cascade import (
    DEFAULT_SLICES,
    PartitionSettings,
    SchemaSettings,
    TableSettings,
    effective,
    schema_settings,
    served_schemas,
)
from warp_resources.config.connections import (
    DestinationConfig,
    Endpoint,
    SourceConfig,
    StateConfig,
    endpoint_from_uri,
)
from warp_resources.config.documentation import configuration_reference
from warp_resources.config.durations import duration_text, parse_duration
from warp_resources.config.editor_schema import json_schema
from warp_resources.config.explanation import Explained, explain
from warp_resources.config.loading import environment, find_file
from warp_resources.config.models import WarpConfig
from warp_resources.config.operations import ErrorHandling, Logging, Monitoring, Performance, Retention, Security
from warp_resources.config.options import connector_options
from warp_resources.config.sizes import parse_size, size_text
from warp_resources.config.tables import ChangeDetection, Contract, Partitions, SchemaConfig, TableConfig

__all__ = [
    "DEFAULT_SLICES",
    "ChangeDetection",
    "Contract",
    "DestinationConfig",
    "Endpoint",
    "ErrorHandling",
    "Explained",
    "Logging",
    "Monitoring",
    "PartitionSettings",
    "Partitions",
    "Performance",
    "Retention",
    "SchemaConfig",
    "SchemaSettings",
    "Security",
    "SourceConfig",
    "StateConfig",
    "TableConfig",
    "TableSettings",
    "WarpConfig",
    "configuration_reference",
    "connector_options",
    "duration_text",
    "effective",
    "endpoint_from_uri",
    "environment",
    "explain",
    "find_file",
    "json_schema",
    "parse_duration",
    "parse_size",
    "schema_settings",
    "served_schemas",
    "size_text",
]
