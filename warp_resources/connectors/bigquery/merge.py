"""Spells the statements of one part of a commit, behind the fence of its transaction."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from warp_resources.connectors.bigquery.conversions import column_image, key_part
from warp_resources.connectors.bigquery.session import quoted
from warp_resources.connectors.bigquery.staging import DELETE, ROW, Place
from warp_resources.connectors.bigquery.types import no_value
from warp_resources.model.tables import TableSchema

KEY, SEQUENCE, SYNCED_AT = "_warp_key", "_warp_sequence", "_warp_synced_at"


@dataclass(frozen=True, slots=True)
class Target:
    """What a part is written to: names are quoted.

    ``number``: of the part in its staging table. ``tombstones`` and ``letters``: the tables of the schema.
    ``basis``: rows, tombstones and whole-row letters with a later sequence are newer than the part; None: none are.
    ``is_read``: a generation of the table is open, so that deletes leave tombstones. ``has_letters``: any are pending.
    """

    number: int
    schema: TableSchema
    table: str
    staging: str
    tombstones: str
    letters: str
    deletions: str
    sequence: int
    basis: int | None = None
    is_read: bool = False
    has_letters: bool = False

    @property
    def live(self) -> str:
        """The condition that a row ``T`` is not flagged as deleted."""
        return f"not ifnull(T.{quoted(self.schema.flag)}, false)" if self.schema.flag else "true"

    def staged(self, op: str) -> str:
        return f"{self.staging} as S where S._part = {self.number} and S._op = '{op}'"

    def not_newer(self, key: str) -> str:
        """The condition that neither a tombstone nor a whole row set aside is newer than the part."""
        if self.basis is None:
            return "true"
        its = f"schema_name = {literal(self.schema.table.schema)} and table_name = {literal(self.schema.table.name)}"
        found = (
            [f"select key_text from {self.tombstones} where {its} and sequence > {self.basis}"] if self.is_read else []
        )
        if self.has_letters:
            found.append(
                f"select key_text from {self.letters} where {its} and status = 'pending' and column_name is null"
                f" and key_text is not null and basis > {self.basis}"
            )
        return f"{key} not in ({' union all '.join(found)})" if found else "true"


def literal(text: str) -> str:
    """A text as SQL, whatever characters it has."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
    return f"'{escaped}'"


def merge_rows(target: Target, places: Sequence[Place], *, if_different: bool, row_sequence: str | None = None) -> str:
    """Upsert the staged rows of a part; columns that it does not bring become null.

    Args:
        row_sequence: what of a staged row ``S`` is its sequence, where that is not the commit's.
    """
    columns = [column.stored for column in target.schema.columns]
    selected = ", ".join(f"{its.expression} as c{number}" for number, its in enumerate(places))
    numbers = {its.column.stored: f"N.c{number}" for number, its in enumerate(places)}
    absent = {its.stored: no_value(its) for its in target.schema.columns}
    values = {name: numbers.get(name, absent[name]) for name in columns}
    own = {SEQUENCE: "N.sequence", SYNCED_AT: "current_timestamp()"}
    flag = {target.schema.flag: "false"} if target.schema.flag else {}
    everything = values | flag | own
    conditions = [] if target.basis is None else [f"T.{SEQUENCE} <= {target.basis}"]
    if if_different:
        differing = [_differs(target.schema, name, values[name]) for name in columns]
        differing += [f"ifnull(T.{quoted(name)}, false)" for name in flag]
        conditions.append(f"({' or '.join(differing)})")
    updated = ", ".join(f"{quoted(name)} = {value}" for name, value in everything.items())
    names = ", ".join(quoted(name) for name in (KEY, *everything))
    return f"""merge {target.table} as T using (
    select S._key as k, {row_sequence or target.sequence} as sequence{", " if selected else ""}{selected}
    from {target.staged(ROW)} and {target.not_newer("S._key")}
) as N on T.{KEY} = N.k
when matched{"".join(f" and {condition}" for condition in conditions)} then update set {updated}
when not matched then insert ({names}) values (N.k, {", ".join(everything.values())});
"""


def _differs(schema: TableSchema, name: str, value: str) -> str:
    its = next(column for column in schema.columns if column.stored == name)
    return f"{column_image(its, f'T.{quoted(name)}')} is distinct from {column_image(its, value)}"


def bury_keys(target: Target, row_sequence: str | None = None) -> str:
    """A tombstone for each key that the part deletes, whether or not it has a row."""
    its = target.schema.table
    return f"""insert into {target.tombstones} (schema_name, table_name, key_text, sequence)
select {literal(its.schema)}, {literal(its.name)}, S._key, {row_sequence or target.sequence}
from {target.staged(DELETE)};
"""


def log_deletions(target: Target, keys: str, position: str, cause: str) -> str:
    """A row in ``deletion_log`` for each live row that is about to go.

    Args:
        keys: a condition on the row ``T``.
        position: JSON text, as SQL.
    """
    its = target.schema.table
    strategy = "soft" if target.schema.is_soft else "hard"
    return f"""insert into {target.deletions}
    (schema_name, table_name, primary_key, deleted_at, position, strategy, cause, sequence)
select {literal(its.schema)}, {literal(its.name)}, {_key_object(target.schema, f"T.{KEY}")}, current_timestamp(),
    {position}, '{strategy}',
    {literal(cause)}, {target.sequence} from {target.table} as T where {keys} and {target.live};
"""


def _key_object(schema: TableSchema, key: str) -> str:
    """The SQL of a stored key as a JSON object by column, as ``arrow.keys.key_object`` makes it."""
    parts = [
        f"{literal(f'{json.dumps(name)}: ')}, {key_part(number, len(schema.key), key)}"
        for number, name in enumerate(schema.key)
    ]
    joined = ", ', ', ".join(parts)
    whole = f"concat('{{', {joined}, '}}')"
    return whole if len(parts) == 1 else f"ifnull({whole}, {key})"


def remove_rows(target: Target, keys: str) -> str:
    """Remove or flag the live rows that meet a condition on ``T``."""
    if not target.schema.is_soft:
        return f"delete from {target.table} as T where {keys} and {target.live};\n"
    own = f"{SEQUENCE} = {target.sequence}, {SYNCED_AT} = current_timestamp()"
    return (
        f"update {target.table} as T set {quoted(target.schema.flag)} = true, {own} where {keys} and {target.live};\n"
    )


def deleted_keys(target: Target) -> str:
    """The condition that the part deletes a row ``T``, and that the row is no newer."""
    newer = "" if target.basis is None else f" and T.{SEQUENCE} <= {target.basis}"
    return f"T.{KEY} in (select S._key from {target.staged(DELETE)} and {target.not_newer('S._key')}){newer}"
