"""Shows the metadata of all schemas under the names and columns of the contract (SPEC 4)."""

from __future__ import annotations

from collections.abc import Sequence

from google.cloud import bigquery

from warp_resources.connectors.bigquery.merge import literal
from warp_resources.connectors.bigquery.session import ONCE, quoted
from warp_resources.connectors.bigquery.warehouse import Warehouse, make_table

_PREFIX = "control__"
_STREAM = """select {schema} as schema_name, '' as table_name, 'stream' as marker_type, '' as slice,
    parse_json(json_query(body, '$.stream.position')) as position,
    cast(json_value(body, '$.stream.sequence') as int64) as sequence,
    cast(json_value(body, '$.stream.epoch') as int64) as epoch, updated_at
from {control} where kind = 'schema' and json_value(body, '$.stream.epoch') is not null"""
_TABLES = """select {schema}, name, json_value(body, '$.state.mode'), '',
    parse_json(json_query(body, '$.state.position')),
    cast(json_value(body, '$.state.sequence') as int64), cast(json_value(body, '$.state.epoch') as int64), updated_at
from {control} where kind = 'table'"""
_SNAPSHOTS = """select {schema}, T.name, 'snapshot', json_value(S, '$.slice'), json_query(S, '$.position'),
    cast(json_value(T.body, '$.state.sequence') as int64), cast(json_value(S, '$.epoch') as int64), T.updated_at
from {control} as T, unnest(json_query_array(parse_json(T.body), '$.slices')) as S where T.kind = 'table'"""
_SLICES = """select {schema} as schema_name, T.name as table_name, json_value(S, '$.generation') as generation,
    json_value(S, '$.slice') as slice, json_value(S, '$.lower') as lower_bound, json_value(S, '$.upper') as upper_bound,
    json_value(S, '$.position.resume') as resume, json_value(S, '$.position.done') = 'true' as is_done, T.updated_at
from {control} as T, unnest(json_query_array(parse_json(T.body), '$.slices')) as S where T.kind = 'table'"""
_RUNS = """select json_value(body, '$.run_id') as run_id, {schema} as schema_name, name as table_name,
    json_value(body, '$.mode') as mode, json_value(body, '$.status') as status,
    timestamp(json_value(body, '$.started_at')) as started_at,
    timestamp(json_value(body, '$.finished_at')) as finished_at, written as rows_written, deleted as rows_deleted,
    cast(ifnull(json_value(body, '$.rows_rejected'), '0') as int64) as rows_rejected,
    cast(ifnull(json_value(body, '$.byte_count'), '0') as int64) as bytes_transferred,
    parse_json(json_query(body, '$.start')) as start_position, parse_json(json_query(body, '$.end')) as end_position,
    json_value(body, '$.error') as error
from {control} where kind = 'run'"""
_ENDED = """select run_id, schema_name, table_name, mode, status, started_at, finished_at, rows_written, rows_deleted,
    rows_rejected, bytes_transferred, start_position, end_position, error from {ended}"""


def show_schemas(warehouse: Warehouse) -> None:
    """Make the views anew over the schemas that there are, also over those that come meanwhile."""
    shown, schemas = list[str](), schemas_of(warehouse)
    while schemas != shown:
        _show_all(warehouse, schemas)
        # Whoever made one meanwhile may have been faster with the views.
        shown, schemas = schemas, schemas_of(warehouse)


def _show_all(warehouse: Warehouse, schemas: Sequence[str]) -> None:
    ended = _ENDED.format(ended=warehouse.log("ended_runs"))
    views = {
        "sync_markers": [part for schema in schemas for part in _of(warehouse, schema, _STREAM, _TABLES, _SNAPSHOTS)],
        "slices": [part for schema in schemas for part in _of(warehouse, schema, _SLICES)],
        "sync_runs": [*(part for schema in schemas for part in _of(warehouse, schema, _RUNS)), ended],
        "dead_letters": [f"select * from {warehouse.own('dead_letters', schema)}" for schema in schemas],
        "tombstones": [f"select * from {warehouse.own('tombstones', schema)}" for schema in schemas],
    }
    for name, parts in views.items():
        _show(warehouse, name, "\nunion all\n".join(parts))


def _show(warehouse: Warehouse, name: str, query: str) -> None:
    full = f"{warehouse.session.project}.{warehouse.metadata}.{name}"
    known = warehouse.session.table(full)
    if known is not None and known.view_query == query:
        return
    view = bigquery.Table(full)
    view.view_query = query
    session = warehouse.session
    if known is None:
        make_table(session, view, "make a view")
    else:
        session.answered(
            lambda: session.client.update_table(view, ["view_query"], retry=ONCE, timeout=session.patience),
            "make a view",
        )


def schemas_of(warehouse: Warehouse) -> list[str]:
    """The schemas that have control rows, in name order; none before the metadata is made."""
    return sorted(name.removeprefix(_PREFIX) for name in warehouse.tables() if name.startswith(_PREFIX))


def _of(warehouse: Warehouse, schema: str, *parts: str) -> list[str]:
    control = quoted(warehouse.session.project, warehouse.metadata, f"{_PREFIX}{schema}")
    return [part.format(schema=literal(schema), control=control) for part in parts]
