"""Tables for people, lines for programs."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class Format(StrEnum):
    """How a list is written."""

    TABLE = "table"
    JSONL = "jsonl"


FormatOption = Annotated[
    Format | None,
    typer.Option(
        "--format", help="table, or jsonl: one JSON object a line. Default: jsonl in a pipe."
    ),
]
STYLE_OF_LEVEL = {"CRITICAL": "bold red", "HIGH": "red", "MEDIUM": "yellow", "LOW": "cyan"}


def chosen(wanted: Format | None) -> Format:
    """Return the wanted format, or what suits where the output goes."""
    if wanted is not None:
        return wanted
    return Format.TABLE if sys.stdout.isatty() else Format.JSONL


def write_lines(objects: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object a line."""
    import orjson

    for entry in objects:
        sys.stdout.buffer.write(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()


def write_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], level: str = ""
) -> None:
    """Write a table, in colour on a terminal; rows are coloured by their column `level`."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        style = STYLE_OF_LEVEL.get(row[columns.index(level)], "") if level else ""
        # Text, not markup: what an attacker wrote into a field must not colour or hide anything.
        table.add_row(*(Text(cell) for cell in row), style=style)
    console = Console()
    console.print(table, width=None if console.is_terminal else 160)
