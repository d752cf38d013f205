"""What each BigQuery type becomes in PostgreSQL; the values are written as SQL."""

from __future__ import annotations

from tests.type_tables.table import Sample, TypeRow


def _sql(text: str, stored: str | None, lost: str | None = None) -> Sample:
    return Sample(text, text, stored, lost)


BIGQUERY_TYPES = (
    TypeRow(
        "INT64",
        "bigint",
        (
            _sql("0", "0"),
            _sql("9223372036854775807", "9223372036854775807"),
            _sql("-9223372036854775808", "-9223372036854775808"),
            _sql("null", None),
        ),
    ),
    TypeRow(
        "FLOAT64",
        "double precision",
        (
            _sql("1.5", "1.5"),
            _sql("1e308", "1e+308"),
            _sql("cast('-0.0' as float64)", "-0"),
            _sql("cast('nan' as float64)", "NaN"),
            _sql("cast('-inf' as float64)", "-Infinity"),
        ),
    ),
    TypeRow("BOOL", "boolean", (_sql("true", "true"), _sql("false", "false"))),
    TypeRow(
        "STRING",
        "text",
        (
            _sql("''", ""),
            _sql("'Zoë 李雷'", "Zoë 李雷"),
            _sql("'say \"hi\"'", 'say "hi"'),
            _sql("concat('a', code_points_to_string([0]), 'b')", "ab", lost="character_removed"),
        ),
    ),
    TypeRow("BYTES", "bytea", (_sql(r"b'\x00\xff'", "\\x00ff"), _sql("b''", "\\x"))),
    TypeRow(
        "NUMERIC",
        "numeric",
        (
            _sql("numeric '1.10'", "1.1"),
            _sql("numeric '100'", "100"),
            _sql("numeric '-0.000000001'", "-0.000000001"),
            _sql("numeric '99999999999999999999999999999.999999999'", "99999999999999999999999999999.999999999"),
        ),
        "BigQuery keeps no zeros at the end.",
    ),
    TypeRow(
        "NUMERIC(10,2)",
        "numeric",
        (_sql("numeric '2.5'", "2.50"), _sql("numeric '-99999999.99'", "-99999999.99")),
        "With the same precision and scale.",
    ),
    TypeRow(
        "BIGNUMERIC",
        "numeric",
        (
            _sql("bignumeric '12345678901234567890.123456789012345678'", "12345678901234567890.123456789012345678"),
            _sql("bignumeric '0.000000000000000001'", "0.000000000000000001"),
        ),
    ),
    TypeRow(
        "TIMESTAMP",
        "timestamp with time zone",
        (
            _sql("timestamp '2024-05-01 12:30:00.000001+02:00'", "2024-05-01 10:30:00.000001+00"),
            _sql("timestamp '0001-01-01 00:00:00+00'", "0001-01-01 00:00:00+00"),
            _sql("timestamp '9999-12-31 23:59:59.999999+00'", "9999-12-31 23:59:59.999999+00"),
        ),
    ),
    TypeRow(
        "DATETIME",
        "timestamp without time zone",
        (
            _sql("datetime '2024-05-01 12:30:00'", "2024-05-01 12:30:00"),
            _sql("datetime '0001-01-01 00:00:00'", "0001-01-01 00:00:00"),
            _sql("datetime '9999-12-31 23:59:59.999999'", "9999-12-31 23:59:59.999999"),
        ),
    ),
    TypeRow("DATE", "date", (_sql("date '0001-01-01'", "0001-01-01"), _sql("date '9999-12-31'", "9999-12-31"))),
    TypeRow(
        "TIME",
        "time without time zone",
        (_sql("time '00:00:00'", "00:00:00"), _sql("time '23:59:59.999999'", "23:59:59.999999")),
    ),
    TypeRow(
        "JSON",
        "jsonb",
        (
            _sql("""json '{"a": [1, "x", null, true]}'""", '{"a": [1, "x", null, true]}'),
            _sql("json '9007199254740993'", "9007199254740993"),
        ),
    ),
    TypeRow(
        "STRUCT<n NUMERIC, at TIMESTAMP, raw BYTES, big INT64, bad FLOAT64>",
        "jsonb",
        (
            _sql(
                "(numeric '1.10', timestamp '2024-01-01 00:00:00+00', b'\\x00\\xff', 9223372036854775807, "
                "cast('nan' as float64))",
                '{"n": 1.1, "at": "2024-01-01T00:00:00Z", "bad": "NaN", "big": 9223372036854775807, "raw": "AP8="}',
            ),
            _sql(
                "(null, null, null, null, -0.0)",
                '{"n": null, "at": null, "bad": 0, "big": null, "raw": null}',
                lost="negative_zero",
            ),
        ),
        "Canonical JSON, no digit lost; `json_format: extended` tells the types of its values apart.",
    ),
    TypeRow(
        "ARRAY<STRING>",
        "jsonb",
        (_sql("['a', 'b\"c']", '["a", "b\\"c"]'), _sql("[]", "[]")),
        "An array that is NULL is stored as an empty one by BigQuery itself.",
    ),
    TypeRow(
        "ARRAY<STRUCT<d DATE, j JSON>>",
        "jsonb",
        (_sql("""[struct(date '2024-01-01', json '{"x": 1}')]""", '[{"d": "2024-01-01", "j": {"x": 1}}]'),),
    ),
    TypeRow("GEOGRAPHY", "text", (_sql("st_geogpoint(1, 2)", "POINT(1 2)"),), "As WKT."),
    TypeRow(
        "INTERVAL",
        "text",
        (_sql("interval '1-2 3 4:5:6.7' year to second", "1-2 3 4:5:6.7"),),
        "As BigQuery prints it.",
    ),
    TypeRow(
        "RANGE<DATE>",
        "jsonb",
        (_sql("range(date '2024-01-01', null)", '{"end": null, "start": "2024-01-01"}'),),
        "Its two bounds; null for one that is open.",
    ),
)
