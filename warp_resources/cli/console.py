"""Writes tables and JSON to standard output, notes to standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import typer

from warp_resources.config import duration_text
from warp_resources.masking import mask


def show_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Rows in aligned columns, numbers to the right; the same on a terminal and in a pipe."""
    values = list(rows)
    cells = [[text_of(cell) for cell in row] for row in values]
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
    is_number = [
        bool(values) and all(isinstance(row[at], int) and not isinstance(row[at], bool) for row in values)
        for at in range(len(headings))
    ]
    for line in [list(headings), *cells]:
        padded = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, is_number, strict=True)
        ]
        typer.echo("  ".join(padded).rstrip())


def show_json(value: Any) -> None:
    """A value as indented JSON, times in ISO 8601."""
    typer.echo(json.dumps(value, indent=2, default=_plain, ensure_ascii=False))


def show_json_line(value: Any) -> None:
    """A value as JSON in one line, at once: one of several that a script reads as they come."""
    typer.echo(json.dumps(value, default=_plain, ensure_ascii=False))
    sys.stdout.flush()


def say(text: str) -> None:
    """A line of the command's answer."""
    typer.echo(mask(text))


def note(text: str) -> None:
    """A line for the person at the terminal, kept out of what a script reads."""
    typer.echo(mask(text), err=True)


def note_exactly(text: str) -> None:
    """The same for a text that is to be used again, such as a position: without anything hidden."""
    typer.echo(text, err=True)


def text_of(value: object) -> str:
    """A cell as people read it: nothing as ``-``, numbers with separators, times to the second."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    return duration_text(value) if isinstance(value, timedelta) else str(value)


def bytes_text(count: int) -> str:
    """A size to two or three digits, in the unit that fits."""
    size, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        units.pop(0)
    return f"{size:.0f} {units[0]}" if size >= 10 or units[0] == "B" else f"{size:.1f} {units[0]}"


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return value.total_seconds() if isinstance(value, timedelta) else str(value)
