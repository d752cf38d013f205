"""Spells tables the way Dagster names things: asset keys, groups, kinds and names of definitions."""

from __future__ import annotations

import hashlib
import keyword
import re

import dagster as dg

from warp_resources.config import WarpConfig
from warp_resources.model.tables import TableId

_ALLOWED = re.compile(r"[^A-Za-z0-9_]")
_HASH_DIGITS = 6
_NOT_IN_TAGS = re.compile(r"[^A-Za-z0-9_.\-]")
_LONGEST_TAG = 63
# Outputs and ops may not be called so, though every character is allowed.
# Source: dagster._core.definitions.utils.DISALLOWED_NAMES
_RESERVED = {
    *("context", "conf", "config", "meta", "arg_dict", "dict", "input_arg_dict", "output_arg_dict"),
    *("int", "str", "float", "bool", "input", "output", "type"),
    *keyword.kwlist,
}


def asset_key(table: TableId) -> dg.AssetKey:
    """``[schema, table]``, with the exact names."""
    return dg.AssetKey([table.schema, table.name])


def table_of(key: dg.AssetKey) -> TableId:
    """The table of an asset key that ``asset_key`` made."""
    schema, name = key.path
    return TableId(schema, name)


def dagster_name(name: str) -> str:
    """A name where Dagster wants ``[A-Za-z0-9_]+``: what is changed gets a hash of the exact name."""
    allowed = _ALLOWED.sub("_", name)
    if name and allowed == name and name not in _RESERVED:
        return name
    digits = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_DIGITS]
    return f"{allowed}_{digits}"


def tag_text(text: str) -> str:
    """A key or value of a tag in the characters, and the length, that Dagster has for them."""
    return _NOT_IN_TAGS.sub("_", text)[:_LONGEST_TAG].strip("_-.")


def group_name(schema: str) -> str:
    return dagster_name(schema)


def kinds(config: WarpConfig) -> set[str]:
    """The types of the source and the destination; a plug-in given as ``module:Class`` is its class."""
    return {its.type.rpartition(":")[2].lower() for its in (config.source, config.destination)}


def sync_job(schema: str) -> str:
    return f"sync_{dagster_name(schema)}"


def resync_job(schema: str) -> str:
    return f"resync_{dagster_name(schema)}"


def letters_job(schema: str) -> str:
    return f"dead_letters_{dagster_name(schema)}"


def errors_job(schema: str) -> str:
    return f"errors_{dagster_name(schema)}"


def sync_schedule(schema: str) -> str:
    return f"{sync_job(schema)}_schedule"


def changes_sensor(schema: str) -> str:
    return f"changes_{dagster_name(schema)}"
