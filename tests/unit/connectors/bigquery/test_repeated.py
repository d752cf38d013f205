"""REPEATED columns in BigQuery: what they are stored as, and what is said of columns that are none."""

from __future__ import annotations

from dataclasses import replace

from structlog.testing import capture_logs

from tests.contract.conformed import KEY, NAME, first_schema
from warp_resources.connectors.bigquery import ddl
from warp_resources.connectors.bigquery.conversions import column_image
from warp_resources.connectors.bigquery.layout import layout_of
from warp_resources.connectors.bigquery.narrowing import remade
from warp_resources.connectors.bigquery.options import BigQueryDestinationOptions
from warp_resources.connectors.bigquery.repeating import Unrepeated, as_chosen
from warp_resources.connectors.bigquery.staging import places_of
from warp_resources.connectors.bigquery.types import no_value
from warp_resources.model.tables import ChangeKind, Column, ColumnType, Kind, TableId

USERS = TableId("shop", "users")
PLAIN = Column("tags", "tags", ColumnType(Kind.JSON))
TAGS = replace(PLAIN, is_array=True)
LAYOUT = layout_of(
    BigQueryDestinationOptions(project="p", tables={"shop.*": {"repeated": ["id", "tags", "name", "unheard of"]}})
)


def test_a_repeated_column_is_an_array_of_json() -> None:
    # SPEC: E9
    schema = first_schema(USERS, TAGS, replace(PLAIN, name="body", stored="body"))
    assert {"tags": "ARRAY<JSON>", "body": "JSON"}.items() <= ddl.wanted_columns(schema).items()
    assert [its.expression for its in places_of(schema, ["tags", "body"])] == [
        "array(select ifnull(part, json 'null') from unnest(json_query_array(parse_json(S.s0))) as part"
        " with offset as place order by place)",
        "parse_json(S.s1)",
    ]
    assert (no_value(TAGS), no_value(PLAIN)) == ("ARRAY<JSON>[]", "cast(null as JSON)")
    assert remade(TAGS, replace(NAME, name="tags"), "T.x") == ("if(array_length(T.x) > 0, to_json_string(T.x), null)")
    assert remade(TAGS, TAGS, "T.x") == "T.x"
    assert column_image(TAGS, "T.x") == "to_json_string(ifnull(T.x, []))"
    assert column_image(PLAIN, "T.x") == "to_json_string(T.x)"


def test_a_table_that_is_made_again_is_as_is_chosen_by_then() -> None:
    before = first_schema(USERS, PLAIN, NAME)
    after, changes = as_chosen(before, LAYOUT)
    assert [(its.kind, its.before, its.after) for its in changes] == [(ChangeKind.ALTER_TYPE, PLAIN, TAGS)]
    assert (after.columns, after.version) == ((KEY, TAGS, NAME), 2)
    assert as_chosen(after, LAYOUT) == (after, ())
    back, _ = as_chosen(after, layout_of(BigQueryDestinationOptions(project="p")))
    assert (back.columns, back.version) == (before.columns, 3)


def test_columns_that_are_not_what_was_chosen_are_told_of_once() -> None:
    telling = Unrepeated(LAYOUT)
    with capture_logs() as logged:
        for tags in (PLAIN, PLAIN, TAGS):
            telling.tell([first_schema(USERS, tags, NAME), first_schema(TableId("else", "x"), PLAIN)])
    found = {line["column"]: line["remedy"] for line in logged}
    assert len(found) == len(logged)
    assert "resync --table shop.users" in found.pop("tags")
    assert all("destination.tables" in remedy for remedy in found.values())
    assert sorted(found) == ["id", "name"]
