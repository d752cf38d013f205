"""Runs local-bigquery on a DuckDB whose extensions come as packages; a script for the emulator's own environment.

It is started by its path, by another Python than ours, so it imports nothing of ours.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
import threading
from pathlib import Path
from typing import Any

EXTENSIONS = ("icu", "ducklake", "spatial")
_KEPT = ("HOME", "LANG", "PATH", "TMPDIR", "TZ")


def main() -> None:
    """Serve until SIGTERM, or only make DuckDB's extensions ready in the home folder."""
    parser = argparse.ArgumentParser(description="A BigQuery on this machine")
    parser.add_argument("--prepare", action="store_true", help="Only unpack DuckDB's extensions into $HOME.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--storage-port", type=int, default=0)
    parser.add_argument("--project", default="local")
    parser.add_argument("--data", type=Path, default=Path())
    arguments = parser.parse_args()
    if arguments.prepare:
        unpack_extensions()
        return
    _forget_settings()
    _spare()
    repair()
    serve(arguments)


def _forget_settings() -> None:
    """local-bigquery takes its own from variables with names such as GROUPS, which may mean something else here."""
    for name in set(os.environ).difference(_KEPT):
        del os.environ[name]


def _spare() -> None:
    """Take a quarter less of the processor: statements here are many and small."""
    import duckdb

    connect = duckdb.connect

    def connect_with_one_thread(*arguments: Any, config: dict[str, Any] | None = None, **others: Any) -> Any:
        return connect(*arguments, config={**(config or {}), "threads": 1}, **others)

    duckdb.connect = connect_with_one_thread
    # DuckDB looks for it at every statement, and a package that is missing is searched for each time anew.
    sys.modules["pandas"] = None  # type: ignore[assignment]


def unpack_extensions() -> None:
    """Copy the extensions from their packages to where DuckDB looks for them, which would else download them."""
    from duckdb_extensions import import_extension

    for name in EXTENSIONS:
        import_extension(name)


def serve(arguments: argparse.Namespace) -> None:
    """The REST API and the Storage API, until a signal."""
    import grpc
    import uvicorn
    from local_bigquery.grpc import server as storage
    from local_bigquery.settings import settings

    settings.data_dir = arguments.data
    settings.default_project_id = arguments.project
    # Two servers would else share a port without a word, and each get some of the requests.
    grpc.server = functools.partial(grpc.server, options=[("grpc.so_reuseport", 0)])
    streams, _ = storage.start(arguments.host, arguments.storage_port)
    uvicorn.run(
        "local_bigquery:app",
        host=arguments.host,
        port=arguments.port,
        log_level="warning",
        timeout_graceful_shutdown=2,
    )
    streams.stop(None)


def repair() -> None:
    """Mend what local-bigquery 0.4.0 gets wrong, or gets wrong on this DuckDB."""
    _merge_inside_a_transaction()
    _bytes_of_typed_files()
    _several_alterations()
    _options_of_parse_json()
    _assignments_of_json()
    _queries_of_views()


class _Cursor:
    """A cursor that refuses BEGIN inside a transaction, where DuckDB 1.5 also aborts the transaction."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def execute(self, sql: str, *arguments: Any) -> Any:
        if sql == "BEGIN" and is_in_transaction(self._cursor):
            import duckdb

            raise duckdb.TransactionException("cannot start a transaction within a transaction")
        return self._cursor.execute(sql, *arguments)


def is_in_transaction(cursor: Any) -> bool:
    """``now()`` is when the transaction began, and outside of one, every statement is a transaction of its own."""
    first, second = (cursor.execute("select epoch_us(now())").fetchone() for _ in range(2))
    return bool(first == second)


def _merge_inside_a_transaction() -> None:
    from local_bigquery.jobs import merge

    run = merge.run
    merge.run = lambda cursor, tree, context: run(_Cursor(cursor), tree, context)


def _bytes_of_typed_files() -> None:
    """A load decodes base64 also where BYTES come from Parquet, which has them as they are."""
    from local_bigquery.jobs import load

    decoded, projection = load._decoded, load._projection
    is_typed = threading.local()

    def project(config: Any, fields: Any, columns: Any) -> Any:
        is_typed.now = (config.sourceFormat or "CSV") not in load.TEXT_FORMATS
        return projection(config, fields, columns)

    def decode(expression: str, field: Any, depth: int = 0) -> Any:
        return expression if getattr(is_typed, "now", False) else decoded(expression, field, depth)

    load._projection, load._decoded = project, decode


def _several_alterations() -> None:
    """``alter table`` adds, renames or drops several columns, in their order, all or none."""
    from local_bigquery.catalog import ddl as catalog
    from local_bigquery.jobs import query
    from local_bigquery.sql import rules
    from local_bigquery.sql.dialect import BigQueryDialect
    from local_bigquery.sql.rules import typing
    from sqlglot import exp

    parser: Any = BigQueryDialect.Parser
    parse_one, run = parser._parse_alter_table_rename, query._run
    apply, annotate = catalog.apply, typing.annotate

    def parse(self: Any) -> Any:
        renames = [parse_one(self)]
        while isinstance(renames[-1], exp.RenameColumn) and self._match_text_seq(","):
            self._match_text_seq("RENAME")
            renames.append(parse_one(self))
        return renames

    def run_as_one(cursor: Any, tree: Any, *arguments: Any) -> Any:
        if not is_of_columns(tree) or len(tree.args["actions"]) == 1:
            return run(cursor, tree, *arguments)
        cursor.execute("BEGIN")
        try:
            statistics = run(cursor, tree, *arguments)
            cursor.execute("COMMIT")
        except Exception:
            cursor.execute("ROLLBACK")
            raise
        return statistics

    def is_of_columns(tree: Any) -> bool:
        actions = tree.args.get("actions") or [] if isinstance(tree, exp.Alter) else []
        return bool(actions) and all(map(is_of_column, actions))

    def is_of_column(action: Any) -> bool:
        is_drop = isinstance(action, exp.Drop) and (action.args.get("kind") or "").upper() == "COLUMN"
        return is_drop or isinstance(action, exp.ColumnDef | exp.RenameColumn)

    # Each looks at all columns of the table, for each of those that are altered, and has nothing to do.
    catalog.apply = lambda tree, *others: None if is_of_columns(tree) else apply(tree, *others)
    index = rules.STATEMENT_RULES.index(annotate)
    rules.STATEMENT_RULES[index] = lambda tree, its: tree if is_of_columns(tree) else annotate(tree, its)
    parser._parse_alter_table_rename, query._run = parse, run_as_one


def _options_of_parse_json() -> None:
    """``parse_json(text, wide_number_mode => 'round')`` also inside ``merge``, whose parts are parsed once more."""
    from local_bigquery.sql import rules
    from sqlglot import exp

    def unnamed(node: Any, context: Any) -> Any:
        if isinstance(node, exp.Anonymous) and node.name.lower() == "parse_json":
            arguments = [one.expression if isinstance(one, exp.Kwarg) else one for one in node.expressions]
            node.set("expressions", arguments)
        return node

    rules.NODE_RULES.append(unnamed)


def _assignments_of_json() -> None:
    """``update .. set j = json '1'`` is no comparison of JSON, which is refused."""
    from local_bigquery.sql import rules
    from local_bigquery.sql.rules import json
    from sqlglot import exp

    def equality(node: Any, context: Any) -> Any:
        is_assignment = isinstance(node.parent, exp.Update) and node.arg_key == "expressions"
        return node if is_assignment else json.equality(node, context)

    rules.NODE_RULES[rules.NODE_RULES.index(json.equality)] = equality


def _queries_of_views() -> None:
    """A request that changes the query of a view changes what readers see, not its description alone."""
    from local_bigquery.catalog import tables
    from local_bigquery.engine import database
    from local_bigquery.jobs.query import translate_view

    update = tables.update

    def update_with_query(project: str, dataset: str, table: str, body: Any, *others: Any) -> Any:
        updated = update(project, dataset, table, body, *others)
        if body.view and body.view.query:
            query = translate_view(project, dataset, body.view.query)
            database.execute(f"CREATE OR REPLACE VIEW {tables.name(project, dataset, table)} AS {query}")
        return updated

    tables.update = update_with_query


if __name__ == "__main__":
    main()
