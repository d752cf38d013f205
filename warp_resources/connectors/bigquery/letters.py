"""Keeps dead letters beside the rows of a commit: what is lost anew, what is told already, what is outdated."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa
from google.cloud.bigquery import ArrayQueryParameter

from warp_resources.connectors.bigquery.merge import KEY, SEQUENCE, Target, literal
from warp_resources.connectors.bigquery.portions import portions
from warp_resources.connectors.bigquery.session import Parameter, Session
from warp_resources.connectors.bigquery.staging import DELETE, ERROR, LETTER, Section
from warp_resources.model.batches import ConformedTable, DeadLetter, ErrorEntry
from warp_resources.model.letters import PENDING, SUPERSEDED
from warp_resources.model.tables import TableId

TOLD = "told"
"""The status, while staged only, of a letter that a pending one tells of already."""

Loss = tuple[str | None, str | None, str, bytes]
"""What makes two letters of one table the same: key, column, reason and the digest of the record."""
Place = tuple[str, str | None, str | None]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a part's letters and entries.

    ``statuses``: of each letter. ``told``: the numbers of kept letters that tell of one already. ``entries``: what is
    to be logged, each with whether it tells of a new loss.
    """

    statuses: tuple[str, ...] = ()
    told: tuple[int, ...] = ()
    entries: tuple[tuple[ErrorEntry, bool], ...] = ()

    @property
    def rejected(self) -> int:
        return self.statuses.count(PENDING)


def judge(session: Session, target: Target, part: ConformedTable) -> Verdict:
    """Find out which letters of a part are told already and which keys are newer; asks only where there are any."""
    if not part.dead_letters:
        return Verdict(entries=tuple((entry, False) for entry in part.errors))
    known = _pending(session, target, part) if target.has_letters else {}
    newer = _newer(session, target, part) if target.basis is not None else set()
    losses = [loss_of(letter) for letter in part.dead_letters]
    statuses = [
        TOLD if loss in known else SUPERSEDED if letter.key_text in newer else PENDING
        for letter, loss in zip(part.dead_letters, losses, strict=True)
    ]
    told = [number for loss in losses for number in known.get(loss, ())]
    return Verdict(tuple(statuses), tuple(told), tuple(_entries(part, statuses)))


def loss_of(letter: DeadLetter) -> Loss:
    """What makes the letter another one."""
    return letter.key_text, letter.column, letter.reason, digest(letter.encoding, letter.record)


def digest(encoding: str, record: str) -> bytes:
    """A digest of a record, as the tables of letters can be asked for it."""
    return hashlib.sha256(f"{encoding} {record}".encode("utf-8", "surrogatepass")).digest()


def letter_section(number: int, part: ConformedTable, verdict: Verdict) -> Section:
    """The letters of a part, to be kept."""
    its = part.dead_letters
    columns = {
        "s0": [letter.primary_key for letter in its],
        "s1": [letter.operation for letter in its],
        "s2": [letter.reason for letter in its],
        "s3": [letter.column for letter in its],
        "s4": [letter.record for letter in its],
        "s5": [letter.encoding for letter in its],
        "s6": list(verdict.statuses),
    }
    slots = {name: pa.array(values, pa.string()) for name, values in columns.items()}
    return Section(number, LETTER, pa.array([letter.key_text for letter in its], pa.string()), slots)


def error_section(number: int, verdict: Verdict) -> Section:
    """The entries of a part, to be logged."""
    entries = [entry for entry, _ in verdict.entries]
    columns = {
        "s0": [entry.column for entry in entries],
        "s1": [entry.error_type for entry in entries],
        "s2": [entry.severity for entry in entries],
        "s3": [entry.primary_key for entry in entries],
        "s4": [entry.message for entry in entries],
        "s5": [entry.action for entry in entries],
    }
    slots = {name: pa.array(values, pa.string()) for name, values in columns.items()}
    slots["o0"] = pa.array([is_new for _, is_new in verdict.entries], pa.bool_())
    return Section(number, ERROR, pa.array([""] * len(entries), pa.string()), slots)


def keep_letters(
    target: Target, verdict: Verdict, *, first_number: int, run_id: str, position: str, touched: bool
) -> tuple[str, list[Parameter]]:
    """Supersede what the commit outdates, refresh what is told already, and keep the new letters.

    Args:
        touched: rows or deletes are staged, too.
        position: JSON text, as SQL.
    """
    basis = target.sequence if target.basis is None else target.basis
    its = target.schema.table
    mine = f"schema_name = {literal(its.schema)} and table_name = {literal(its.name)}"
    statements, parameters = "", list[Parameter]()
    told = f"told{target.number}"
    if target.has_letters:
        parameters.append(ArrayQueryParameter(told, "INT64", list(verdict.told)))
        keys = [f"select S._key from {target.staged(LETTER)} and S.s6 <> '{SUPERSEDED}' and S._key is not null"]
        if not verdict.statuses:
            keys = []
        if touched:
            keys.append(f"select T.{KEY} from {target.table} as T where T.{SEQUENCE} = {target.sequence}")
            keys.append(f"select S._key from {target.staged(DELETE)} and {target.not_newer('S._key')}")
        if keys:
            statements += f"""update {target.letters} set status = '{SUPERSEDED}', resolved_at = current_timestamp()
where {mine} and status = '{PENDING}' and sequence <= {basis} and dead_letter_id not in unnest(@{told})
    and key_text in ({" union all ".join(keys)});
"""
        if verdict.told:
            statements += f"""update {target.letters}
set sequence = {target.sequence}, basis = greatest(basis, {basis}) where dead_letter_id in unnest(@{told});
"""
    if verdict.statuses:
        statements += f"""insert into {target.letters} (dead_letter_id, occurred_at, schema_name, table_name,
    primary_key, operation, position, reason, column_name, record, status, attempts, resolved_at, sequence, basis,
    encoding, key_text, run_id)
select {first_number} + S._row, current_timestamp(), {literal(its.schema)}, {literal(its.name)}, S.s0, S.s1,
    {position}, S.s2, S.s3, S.s4, S.s6, 0, if(S.s6 = '{PENDING}', null, current_timestamp()), {target.sequence},
    {basis}, S.s5, S._key, {literal(run_id)}
from {target.staged(LETTER)} and S.s6 <> '{TOLD}';
"""
    return statements, parameters


def count_letters(letters: str, its: TableId, pending: str, aside: str) -> str:
    """Set variables to the pending letters of a table, and to those of them that are whole rows."""
    where = f"schema_name = {literal(its.schema)} and table_name = {literal(its.name)} and status = '{PENDING}'"
    return (
        f"set {pending} = (select count(*) from {letters} where {where});\n"
        f"set {aside} = (select count(*) from {letters} where {where} and column_name is null);\n"
    )


def log_errors(target: Target, log: str, *, first_number: int, run_id: str, unless_losses_only: str) -> str:
    """Log the staged entries: all of them, or where a condition fails only those that tell of a new loss."""
    its = target.schema.table
    return f"""insert into {log} (error_id, occurred_at, schema_name, table_name, column_name, error_type, severity,
    primary_key, message, action, run_id)
select {first_number} + S._row, current_timestamp(), {literal(its.schema)}, {literal(its.name)}, S.s0, S.s1, S.s2, S.s3,
    S.s4, S.s5, {literal(run_id)}
from {target.staged(ERROR)} and (S.o0 or {unless_losses_only});
"""


def _pending(session: Session, target: Target, part: ConformedTable) -> dict[Loss, list[int]]:
    """The numbers of the table's pending letters by what they tell of; only of the part's keys where they are few."""
    its = target.schema.table
    keys = sorted({letter.key_text for letter in part.dead_letters if letter.key_text is not None})
    is_small = len([*portions(keys)]) <= 1
    narrowed = " and (key_text is null or key_text in unnest(@keys))" if is_small else ""
    rows = session.run(
        f"""select dead_letter_id, key_text, column_name, reason,
    sha256(concat(encoding, ' ', record)) as digest from {target.letters}
where schema_name = {literal(its.schema)} and table_name = {literal(its.name)} and status = '{PENDING}'{narrowed}""",
        [ArrayQueryParameter("keys", "STRING", keys)] if is_small else (),
        kind="letters",
    )
    found: dict[Loss, list[int]] = {}
    for row in rows:
        found.setdefault((row.key_text, row.column_name, row.reason, row.digest), []).append(row.dead_letter_id)
    return found


def _newer(session: Session, target: Target, part: ConformedTable) -> set[str]:
    """Those keys of the part's letters that were written, deleted or set aside after its basis."""
    keys = sorted({letter.key_text for letter in part.dead_letters if letter.key_text is not None})
    statement = f"""select k from unnest(@keys) as k where not ({target.not_newer("k")})
    or k in (select T.{KEY} from {target.table} as T where T.{SEQUENCE} > {target.basis})"""
    asked = (ArrayQueryParameter("keys", "STRING", portion) for portion in portions(keys))
    return {row.k for parameter in asked for row in session.run(statement, [parameter], kind="letters")}


def _entries(part: ConformedTable, statuses: Sequence[str]) -> Iterable[tuple[ErrorEntry, bool]]:
    """The entries but those of losses told already, each with whether it is of a new one."""
    pairs = list(zip(part.dead_letters, statuses, strict=True))
    new = {_place(letter) for letter, status in pairs if status != TOLD}
    old = {_place(letter) for letter, _ in pairs} - new
    for entry in part.errors:
        place = (entry.error_type, entry.column, entry.primary_key)
        if place not in old:
            yield entry, place in new


def _place(letter: DeadLetter) -> Place:
    return letter.reason, letter.column, letter.primary_key
