"""Tables for people, lines for programs."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence


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
_WIDE = 160
_NARROW = 120
"""Columns of a terminal; below, tables do without what they can spare."""
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
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    level: str = "",
    spared: Collection[str] = (),
) -> None:
    """Write a table, in colour on a terminal; rows are coloured by their column `level`.

    `spared`: columns that a narrow terminal does without (a pipe is wide). Only the last column is
    cut into lines: half an address can't be copied. What an attacker wrote into a field must not
    colour or hide anything: neither markup nor control characters act.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from ai_suricata.core.text import visible, visible_lines

    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDE)  # `print` takes no more than the console has
    width = console.width
    narrow = width < _NARROW
    shown = [i for i, name in enumerate(columns) if not (narrow and name in spared)]
    table = Table(
        title=Text(visible(title), style="table.title"),
        title_justify="left",
        box=box.SIMPLE if narrow else box.HEAVY_HEAD,
    )
    for i in shown:
        last = i == shown[-1]
        table.add_column(columns[i], overflow="fold" if last else "ellipsis", no_wrap=not last)
    for row in rows:
        style = STYLE_OF_LEVEL.get(row[columns.index(level)], "") if level else ""
        cells = [*(visible(row[i]) for i in shown[:-1]), visible_lines(row[shown[-1]])]
        table.add_row(*map(Text, cells), style=style)
    console.print(table)
