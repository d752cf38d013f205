"""The rules that hold between settings, beyond what each may be by itself."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from itertools import combinations
from typing import TYPE_CHECKING

from warp_resources.config.column_checks import column_problems
from warp_resources.config.messages import Problem, nearest
from warp_resources.config.settings import is_set
from warp_resources.config.tables import CascadingSettings, SchemaConfig

if TYPE_CHECKING:
    from warp_resources.config.layers import Path
    from warp_resources.config.models import WarpConfig

METADATA_SCHEMA = "cartridge_warp_metadata"

_MODE_OF_STRATEGY = {"log": "stream", "timestamp": "batch", "hash": "batch"}
_FIRST_GLOB = re.compile(r"[*?\[]")


def check(config: WarpConfig) -> list[Problem]:
    """Every rule that the configuration breaks."""
    return [
        *_single(config),
        *_names(config),
        *_source_strategy(config),
        *_landing(config),
        *_schemas(config.schemas, config.source.change_detection.strategy),
    ]


def _single(config: WarpConfig) -> Iterator[Problem]:
    if config.mode != "single":
        return
    names = [schema.name for schema in config.schemas]
    if config.single_schema_name is None:
        yield Problem(("single_schema_name",), f"is required with mode: single; one of {', '.join(names)} is allowed")
    elif config.single_schema_name not in names:
        near = nearest(config.single_schema_name, names)
        text = f"found {config.single_schema_name!r}, which is no configured schema{near or ';'}"
        yield Problem(("single_schema_name",), f"{text} Configured: {', '.join(names)}")


def _names(config: WarpConfig) -> Iterator[Problem]:
    if not config.schemas:
        yield Problem(("schemas",), "at least one schema is required")
    for name in _repeated(schema.name for schema in config.schemas):
        yield Problem(("schemas", name), "two schemas have this name; each name is allowed once")
    for schema in config.schemas:
        for name in _repeated(table.name for table in schema.tables):
            yield Problem(("schemas", schema.name, "tables", name), "two tables have this name; one is allowed")


def _source_strategy(config: WarpConfig) -> Iterator[Problem]:
    strategy = config.source.change_detection.strategy
    mode = _MODE_OF_STRATEGY.get(strategy or "")
    if mode and all(mode not in _modes(schema) for schema in config.schemas):
        text = f"found {strategy!r}, which works in {mode} mode, but no schema or table has mode: {mode}"
        yield Problem(("source", "change_detection", "strategy"), text)


def _schemas(schemas: Iterable[SchemaConfig], strategy: str | None) -> Iterator[Problem]:
    for schema in schemas:
        path = ("schemas", schema.name)
        for name in sorted(set(schema.table_whitelist) & set(schema.table_blacklist)):
            yield Problem((*path, "table_whitelist"), f"{name!r} is both white- and blacklisted; one is allowed")
        if schema.schedule and "batch" not in _modes(schema):
            yield Problem((*path, "schedule"), "a schedule needs mode: batch; a stream runs continuously")
        yield from _needs_stream(schema, _modes(schema), path)
        its = schema.change_detection.strategy or strategy
        yield from _fits(schema, schema.mode, its, path)
        for table in schema.tables:
            nearest_strategy = table.change_detection.strategy or its
            yield from _fits(table, table.mode or schema.mode, nearest_strategy, (*path, "tables", table.name))
            yield from _needs_stream(table, {table.mode or schema.mode}, (*path, "tables", table.name))
            yield from column_problems(table, (*path, "tables", table.name))


def _needs_stream(settings: CascadingSettings, modes: set[str], path: Path) -> Iterator[Problem]:
    """What only a source's log tells of: in batch mode such a setting would do nothing."""
    if "stream" in modes:
        return
    policy, new_tables = settings.on_source_change, settings.contract.new_tables
    if policy != "keep":
        text = f"found {policy!r}, which needs mode: stream; a batch table keeps its rows"
        yield Problem((*path, "on_source_change"), text)
    if new_tables != "evolve":
        text = f"found {new_tables!r}, which needs mode: stream; table_whitelist limits a batch schema"
        yield Problem((*path, "contract", "new_tables"), text)


def _fits(settings: CascadingSettings, mode: str, nearest_strategy: str | None, path: Path) -> Iterator[Problem]:
    """What is set at a level must work in the mode that the level has."""
    partitions = settings.partitions
    # A table that is compared whole has no marker to cut windows of.
    wanted = "time" if mode == "batch" and nearest_strategy != "hash" else "key"
    if partitions is not None and partitions.by != wanted:
        how = "strategy: hash" if mode == "batch" and wanted == "key" else f"mode: {mode}"
        yield Problem((*path, "partitions", "by"), f"found {partitions.by!r}; by: {wanted} is allowed with {how}")
    strategy = settings.change_detection.strategy if is_set(settings, "change_detection") else None
    if strategy is not None and _MODE_OF_STRATEGY.get(strategy, mode) != mode:
        allowed = "timestamp or hash" if mode == "batch" else "log"
        text = f"found {strategy!r}; {allowed} is allowed with mode: {mode}"
        yield Problem((*path, "change_detection", "strategy"), text)


def _landing(config: WarpConfig) -> Iterator[Problem]:
    shared = config.destination.schema_name
    if METADATA_SCHEMA in {shared, *(schema.name for schema in config.schemas if shared is None)}:
        path = ("destination", "schema") if shared else ("schemas", METADATA_SCHEMA, "name")
        yield Problem(path, f"{METADATA_SCHEMA} is where the metadata is; another name is allowed")
    if shared is None:
        return
    for one, other in combinations(config.schemas, 2):
        table = _common_table(one, other)
        if one.name != other.name and table is not None:
            text = (
                f"the schemas {one.name} and {other.name} both land in {shared!r}, where {table} would be one table; "
                "remove destination.schema, or give both schemas whitelists that have no table in common"
            )
            yield Problem(("destination", "schema"), text)


def _common_table(one: SchemaConfig, other: SchemaConfig) -> str | None:
    for pattern in one.table_whitelist or ("*",):
        for its in other.table_whitelist or ("*",):
            if _may_meet(pattern, its) and not any(_is_out(name, one, other) for name in (pattern, its)):
                return repr(pattern if _is_literal(pattern) else its)
    return None


def _is_out(name: str, *schemas: SchemaConfig) -> bool:
    """Whether a schema leaves out a literal name, so that it cannot be in both."""
    return _is_literal(name) and any(fnmatchcase(name, glob) for one in schemas for glob in one.table_blacklist)


def _may_meet(one: str, other: str) -> bool:
    """Whether two globs may match the same name; of two real globs, only their fixed ends are compared."""
    if _is_literal(one):
        return fnmatchcase(one, other)
    if _is_literal(other):
        return fnmatchcase(other, one)
    heads = _FIRST_GLOB.split(one)[0], _FIRST_GLOB.split(other)[0]
    tails = re.split(r"[*?\]]", one)[-1], re.split(r"[*?\]]", other)[-1]
    return (heads[0].startswith(heads[1]) or heads[1].startswith(heads[0])) and (
        tails[0].endswith(tails[1]) or tails[1].endswith(tails[0])
    )


def _is_literal(pattern: str) -> bool:
    return _FIRST_GLOB.search(pattern) is None


def _modes(schema: SchemaConfig) -> set[str]:
    return {schema.mode, *(table.mode for table in schema.tables if table.mode)}


def _repeated(names: Iterable[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]
