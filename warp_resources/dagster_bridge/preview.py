"""Shows a few rows of a table as Markdown."""

from __future__ import annotations

import dagster as dg
import pyarrow as pa

ROWS = 5
_MOST_COLUMNS = 12
_LONGEST_VALUE = 40


def preview(rows: pa.Table) -> dg.MarkdownMetadataValue:
    """The rows as a Markdown table: text cut, columns beyond the first dozen counted."""
    if not rows.num_columns:
        return dg.MetadataValue.md("No table yet")
    shown = rows.select(list(range(min(rows.num_columns, _MOST_COLUMNS))))
    frame = shown.to_pandas().astype(object).map(_cell)
    frame.columns = [escaped(name) for name in shown.column_names]
    text = frame.to_markdown(index=False, disable_numparse=True)
    more = rows.num_columns - shown.num_columns
    return dg.MetadataValue.md(f"{text}\n\n… and {more} more columns" if more else text)


def _cell(value: str | None) -> str:
    if value is None:
        return ""
    return escaped(value if len(value) <= _LONGEST_VALUE else value[: _LONGEST_VALUE - 1] + "…")


def escaped(text: str) -> str:
    """Text that neither ends the cell nor becomes markup."""
    one_line = " ".join(text.split())
    for mark in "\\`*_[]<>|":
        one_line = one_line.replace(mark, f"\\{mark}")
    return one_line
