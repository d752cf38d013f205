"""Finds the schemas and tables that a command names, or says which name is nearest."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence

from warp_resources.config import WarpConfig, schema_settings, served_schemas
from warp_resources.connectors.interfaces import Source, SourceScope, SourceTable
from warp_resources.errors import ConfigurationError
from warp_resources.model.tables import TableId
from warp_resources.pipeline.engine import units

_SLIP = 0.75
"""From this likeness on, a name is taken for a slip of the pen of another."""


def chosen_schemas(config: WarpConfig, names: Sequence[str] = ()) -> tuple[str, ...]:
    """The schemas that a command is about: those named, else all that this process serves.

    Raises:
        ConfigurationError: there is no such schema; with the nearest name.
    """
    served = served_schemas(config)
    for name in names:
        if name not in served:
            raise _unknown("schema", name, served, "The configuration")
    return tuple(dict.fromkeys(names)) or served


def refuse_empty(options: Mapping[str, str | None]) -> None:
    """Refuse an option without a value, which is a variable of a script that was not set rather than everything.

    Raises:
        ConfigurationError: one of them is empty.
    """
    for option, value in options.items():
        if value == "":
            raise ConfigurationError(f"{option} is empty", remedy="Give it a value, or leave it out")


def stored_schemas(config: WarpConfig, names: Iterable[str]) -> list[str]:
    """Where the tables of these schemas are stored."""
    return [schema_settings(config, name).destination_schema for name in names]


def table_named(config: WarpConfig, text: str) -> TableId:
    """The table that ``S.T`` means; where only one schema is served, ``T`` alone is enough.

    Raises:
        ConfigurationError: no served schema has that name; with the nearest one.
    """
    served = served_schemas(config)
    # Both names may have dots: the longest schema that fits is meant.
    fitting = [name for name in served if text.startswith(f"{name}.") and len(text) > len(name) + 1]
    if fitting:
        schema = max(fitting, key=len)
        return TableId(schema, text[len(schema) + 1 :])
    if len(served) == 1:
        return TableId(served[0], text)
    raise _unknown("schema", text.partition(".")[0], served, "The configuration")


def all_tables(config: WarpConfig, schema: str, source: Source) -> list[SourceTable]:
    """Every table of a schema's database, also those that are not replicated."""
    return source.tables(SourceScope(schema, schema_settings(config, schema).database))


def is_replicated(config: WarpConfig, schema: str, table: str) -> bool:
    """Whether the configuration covers a table."""
    return any(unit.scope.covers(table) for unit in units(config, schema))


def demand_table(config: WarpConfig, table: TableId, source: Source) -> SourceTable:
    """The table at the source.

    Raises:
        ConfigurationError: it does not exist there, or the configuration leaves it out.
    """
    known = {found.name: found for found in all_tables(config, table.schema, source)}
    if table.name not in known:
        raise _unknown("table", table.name, known, f"The source database of schema {table.schema!r}")
    if not is_replicated(config, table.schema, table.name):
        raise ConfigurationError(
            f"The configuration leaves out the table {table}",
            remedy="Name it in table_whitelist, and not in table_blacklist",
        )
    return known[table.name]


def named_tables(
    config: WarpConfig, schemas: Sequence[str], tables: Sequence[str], source: Source
) -> dict[TableId, SourceTable]:
    """The named tables, each in the schemas that have it.

    Raises:
        ConfigurationError: one that no schema has; with the nearest name.
    """
    found: dict[TableId, SourceTable] = {}
    for name in tables:
        refusals: list[ConfigurationError] = []
        for schema in schemas:
            table = TableId(schema, name)
            try:
                found[table] = demand_table(config, table, source)
            except ConfigurationError as error:
                refusals.append(error)
        if len(refusals) == len(schemas):
            raise refusals[0]
    return found


def schemas_having(found: Collection[TableId], schemas: Sequence[str]) -> list[str]:
    """The schemas that have one of the named tables; all where no table is named."""
    having = {table.schema for table in found}
    return [name for name in schemas if name in having] or list(schemas)


def missing_tables(config: WarpConfig, schema: str, source: Source) -> dict[str, str | None]:
    """Tables that the configuration names but the source lacks, each with what may have been meant."""
    settings = schema_settings(config, schema)
    named = dict.fromkeys([*(name for name in settings.include if not set(name) & set("*?[")), *settings.tables])
    # Asking for the tables takes time where there are many.
    existing = {found.name for found in all_tables(config, schema, source)} if named else set()
    spare = [name for name in existing if not is_replicated(config, schema, name)]
    return {name: nearest(name, spare) for name in named if name not in existing}


def missing_text(schema: str, table: str, near: str | None) -> str:
    """What to say of a configured table that the source lacks."""
    hint = f"; did you mean {near!r}?" if near else "; it will be replicated once it exists"
    return f"the source has no table {table!r}, which schema {schema!r} names{hint}"


def _unknown(kind: str, name: str, known: Iterable[str], where: str) -> ConfigurationError:
    names = sorted(known)
    near = nearest(name, names, cutoff=0.5)
    hint = f"Did you mean {near!r}? " if near else ""
    listed = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    return ConfigurationError(f"{where} has no {kind} {name!r}", remedy=f"{hint}There are: {listed or 'none'}")


def nearest(name: str, known: Collection[str], cutoff: float = _SLIP) -> str | None:
    """The known name that may have been meant, None where none is like it."""
    by_spelling = {one.lower(): one for one in known}
    near = difflib.get_close_matches(name.lower(), by_spelling, n=1, cutoff=cutoff)
    return by_spelling[near[0]] if near else None
