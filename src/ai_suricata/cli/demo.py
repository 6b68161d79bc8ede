"""`ai-suricata demo`: the daemon at work on the sample, on one screen."""

from __future__ import annotations

import asyncio
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ai_suricata.cli.listing import STYLE_OF_LEVEL
from ai_suricata.cli.outcome import Exit

if TYPE_CHECKING:
    from collections import Counter

    from rich.console import Console, Group
    from rich.table import Table as RichTable

    from ai_suricata.demo import Demo

_ROWS = 12
_REFRESH = 0.25  # seconds
_PIPE_WIDTH = 140
_KINDS = (
    "attackers, handshakes completed",
    "attackers, half-open scans",
    "forged sources",
    "ordinary clients and servers",
)


def demo(
    *,
    seconds: Annotated[
        float, typer.Option(min=1, max=90, help="How long the sample is played.")
    ] = 40.0,
    svg: Annotated[Path | None, typer.Option(help="Also write the last screen as an SVG.")] = None,
) -> None:
    """Play the project's own sample to the real daemon, and show what it thinks and would do.

    Nothing leaves this machine and no firewall is touched: state in a temporary folder, a dry-run
    firewall, metrics on port 9100 (another one, where that is taken).

    Exit codes: 0 done, 1 an ordinary client or a forged source would have been blocked.

    Example: ai-suricata demo --seconds 20
    """
    from rich.console import Console

    console = Console()
    with tempfile.TemporaryDirectory(prefix="ai-suricata-demo-") as folder:
        summary = asyncio.run(_show(Path(folder), seconds, console, svg))
    harmed = sum(
        number
        for (kind, done), number in summary.items()
        if done != "left alone" and not kind.startswith("attackers")
    )
    if harmed:
        raise typer.Exit(Exit.FAILED)


async def _show(
    folder: Path, seconds: float, console: Console, svg: Path | None
) -> Counter[tuple[str, str]]:
    from rich.live import Live

    from ai_suricata.demo import Demo
    from ai_suricata.telemetry.logs import configure

    demo = Demo(folder, seconds)
    configure(demo.daemon.settings.telemetry)
    running = asyncio.ensure_future(demo.run())
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while not running.done():
            await asyncio.wait((running,), timeout=_REFRESH)
            if console.is_terminal:
                live.update(_screen(demo, brief=True), refresh=True)
    await running
    summary = demo.summary()
    for part in (_screen(demo, brief=False), _summary(summary)):
        console.print(part, width=None if console.is_terminal else _PIPE_WIDTH)
    if svg is not None:
        _export(demo, summary, svg)
    return summary


def _screen(demo: Demo, *, brief: bool) -> Group:
    """Return what is known by now; `brief`: one line a source, to fit a screen that moves."""
    from rich.console import Group
    from rich.text import Text

    board, port = demo.board, demo.port
    head = Text(
        f"{board.written:,} of {board.total:,} events played · {len(board.worst):,} sources · "
        f"{board.verdicts:,} verdicts · http://127.0.0.1:{port}/metrics"
    )
    return Group(head, _sources(demo, brief=brief))


def _sources(demo: Demo, *, brief: bool) -> RichTable:
    from rich.table import Table as RichTable
    from rich.text import Text

    from ai_suricata.core.decision import Table
    from ai_suricata.core.verdict import Level

    blocked, limited = demo.would_be(Table.BLOCK), demo.would_be(Table.LIMIT)
    table = RichTable(title="Sources, the worst first", title_justify="left", expand=True)
    for column, width in (("source", 16), ("score", 5), ("level", 8), ("would be", 12)):
        table.add_column(column, min_width=width, no_wrap=True)
    table.add_column("because", ratio=1, no_wrap=brief, overflow="ellipsis" if brief else "fold")
    worst = sorted(demo.board.worst.values(), key=lambda verdict: -verdict.score)
    for verdict in [v for v in worst if v.level > Level.INFO][:_ROWS]:
        done = "blocked" if verdict.address in blocked else ""
        done = done or ("rate-limited" if verdict.address in limited else verdict.action.lower())
        table.add_row(
            verdict.address,
            f"{verdict.score:.2f}",
            verdict.level.name,
            done,
            Text(verdict.reasons[0] if brief else "\n".join(verdict.reasons)),
            style=STYLE_OF_LEVEL.get(verdict.level.name, ""),
        )
    return table


def _summary(summary: Counter[tuple[str, str]]) -> RichTable:
    from rich.table import Table as RichTable

    table = RichTable(title="Against the labels", title_justify="left")
    for column in ("", "would be blocked", "rate-limited", "left alone"):
        table.add_column(column, justify="left" if not column else "right")
    for kind in _KINDS:
        counts = (summary[kind, done] for done in ("blocked", "limited", "left alone"))
        table.add_row(kind, *(str(count) for count in counts))
    return table


def _export(demo: Demo, summary: Counter[tuple[str, str]], svg: Path) -> None:
    import io

    from rich.console import Console

    console = Console(record=True, width=150, file=io.StringIO(), force_terminal=True)
    console.print(_screen(demo, brief=False))
    console.print(_summary(summary))
    drawing = console.export_svg(title="ai-suricata demo")
    # Whoever looks at the picture should not be made to fetch fonts from a third party.
    svg.write_text(re.sub(r"@font-face \{.*?\}", "", drawing, flags=re.DOTALL), encoding="utf-8")
