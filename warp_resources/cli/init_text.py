"""Composes the commented ``warp.yaml`` and the ``.env`` that ``init`` writes."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from warp_resources.connectors.interfaces import SourceTable

SOURCE_VARIABLE, DESTINATION_VARIABLE = "WARP_SOURCE_URL", "WARP_DESTINATION_URL"
_MOST_TABLES = 100
_ONE_LINE = 2**31

_WARP = """\
# cartridge-warp: what is replicated from where to where.
# Every key: docs/configuration.md, or `cartridge-warp schema` for your editor.
# Check it with `cartridge-warp validate --connect`, look ahead with `cartridge-warp plan`.

mode: multi                  # multi: this process serves all schemas; single: only single_schema_name

source:
  type: {source_type}
  connection_string: ${{{source_variable}}}        # from .env or the environment
  database: {database}

destination:
  type: {destination_type}
  connection_string: ${{{destination_variable}}}
  # schema: warehouse        # default: the name of each schema below

schemas:
  - name: {schema}
{mode}
{tables}
    # tables:                # settings of single tables; what is not set comes from above
    #   {example}:
    #     full_load_enabled: false            # follow changes only, copy nothing
    #     contract: {{new_columns: freeze}}     # evolve, freeze, discard or quarantine: docs/evolution.md
    #     columns: {{secret: {{action: hash}}}}   # or drop, mask, a type, another name: docs/columns.md
    #     deletion_strategy: soft             # deleted rows stay, flagged: docs/deletes.md
    #     owners: ["team:data"]

# performance:
#   max_memory: 384MB        # of one engine process, interpreter included
# error_handling:
#   on_history_lost: resync  # or fail: when the source no longer has the changes since the marker
# monitoring:
#   prometheus: {{host: 127.0.0.1, port: 8080}}   # /metrics, /health, /ready
"""
_STREAM = """\
    mode: stream             # continuous, from the source's log; batch: by schedule and marker column"""
_BATCH = """\
    # {reason}
    mode: batch              # by schedule and marker column, until the source has a log to stream from
    schedule: "*/5 * * * *"
    change_detection: {{column: updated_at, lookback: 5m}}"""
_ENVIRONMENT = """\
# Read by `dagster dev` and by cartridge-warp in this folder. It holds passwords: keep it out of version control.
DAGSTER_HOME={home}
{source_variable}={source}
{destination_variable}={destination}
"""


@dataclass(frozen=True, slots=True)
class Inspected:
    """What ``init`` found: ``batch_reason`` says why the source cannot be streamed, None where it can."""

    source_type: str
    destination_type: str
    database: str
    schema: str
    tables: Sequence[SourceTable]
    batch_reason: str | None = None


def warp_yaml(found: Inspected) -> str:
    """The configuration for what was found."""
    mode = _STREAM if found.batch_reason is None else _BATCH.format(reason=found.batch_reason)
    return _WARP.format(
        source_type=_text(found.source_type),
        destination_type=_text(found.destination_type),
        source_variable=SOURCE_VARIABLE,
        destination_variable=DESTINATION_VARIABLE,
        database=_text(found.database),
        schema=_text(found.schema),
        mode=mode,
        tables="\n".join(_tables(found.tables)),
        example=_text(found.tables[0].name) if found.tables else "users",
    )


def env_file(folder: Path, source: str, destination: str) -> str:
    """The variables that the configuration and Dagster need."""
    return _ENVIRONMENT.format(
        home=folder.resolve(),
        source_variable=SOURCE_VARIABLE,
        source=_quoted(source),
        destination_variable=DESTINATION_VARIABLE,
        destination=_quoted(destination),
    )


def _tables(tables: Sequence[SourceTable]) -> list[str]:
    if not tables:
        return ["    # table_whitelist: []    # the source has no tables yet: each is replicated once it exists"]
    if len(tables) > _MOST_TABLES:
        return [f"    # table_whitelist: []    # globs; without it, all {len(tables):,} tables are replicated"]
    head = "    table_whitelist:         # globs; without this list, all tables are replicated, later ones too"
    names = [_text(glob.escape(table.name)) for table in tables]
    width = max(map(len, names))
    lines = [
        f"      - {name.ljust(width)}   # about {table.row_estimate:,} rows"
        for name, table in zip(names, tables, strict=True)
    ]
    return [head, *lines]


def _text(value: str) -> str:
    """A text as YAML: quoted where the bare word might mean something else, and no reference to the environment."""
    is_bare = value.replace("_", "").replace("-", "").isalnum() and value.isascii() and value[0].isalpha()
    if is_bare and value.lower() not in _WORDS:
        return value
    return yaml.safe_dump(value.replace("${", "$${"), default_style='"', allow_unicode=True, width=_ONE_LINE).rstrip()


def _quoted(value: str) -> str:
    """A URI as python-dotenv reads it back: it would put a variable in the place of ``${...}``, also within quotes."""
    escaped = value.replace("${", "%24{").replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
