"""`ai-suricata replay`: what would have been thought and done of recorded events."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ai_suricata.cli.listing import Format, FormatOption, chosen, write_lines, write_table
from ai_suricata.cli.outcome import ConfigFile, Exit, check_files, fail, settings_of

if TYPE_CHECKING:
    from ai_suricata.classify.estimator import Model
    from ai_suricata.replay import FileReport, Replay, SourceReport

_MOST_ROWS = 50


def replay(
    files: Annotated[list[Path], typer.Argument(help="eve.json files, plain or .gz.")],
    *,
    config: ConfigFile = None,
    home_net: Annotated[
        str, typer.Option(help="HOME_NET for these files: networks, with commas between.")
    ] = "",
    model: Annotated[Path | None, typer.Option(help="A model artifact (see `train`).")] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep what was learned from file to file.")
    ] = False,
    output: FormatOption = None,
) -> None:
    """Run recorded events through the live code; list each source with the worst that it reached.

    Each file begins with fresh state unless --keep. Nothing is sent anywhere, and time is the
    events' own: the same input gives the same output.

    Exit codes: 0 done, 1 a file could not be read or held no event, 2 an argument is wrong.

    Example: ai-suricata replay --home-net 192.0.2.0/24 samples/lab.json.gz
    """
    check_files(files)
    settings = settings_of(config, **({"HOME_NET": home_net} if home_net else {}))
    from ai_suricata.replay import Replay

    runner = Replay(settings, _model(model))
    broken = [path for path in files if not _one(runner, path, chosen(output), keep=keep)]
    if broken:
        raise typer.Exit(Exit.FAILED)


def _one(runner: Replay, path: Path, output: Format, *, keep: bool) -> bool:
    """Replay and list one file; return whether it was one of events, and readable to its end."""
    from rich.console import Console
    from rich.progress import Progress

    if not keep:
        runner.forget()
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(path.name, total=path.stat().st_size)
        try:
            report = runner.file(path, lambda done: bar.update(task, completed=done))
        except OSError as error:
            typer.echo(f"ai-suricata: {path}: {error}", err=True)
            return False
    _list(path, report, output)
    if report.rejected:
        reasons = ", ".join(
            f"{count} {reason}" for reason, count in sorted(report.rejected.items())
        )
        typer.echo(f"ai-suricata: {path}: lines rejected: {reasons}", err=True)
    return bool(report.events or not report.rejected)


def _list(path: Path, report: FileReport, output: Format) -> None:
    if output is Format.JSONL:
        write_lines(as_object(path, source) for source in report.sources)
        return
    shown = report.sources[:_MOST_ROWS]
    more = f", the worst {len(shown)}" if len(shown) < len(report.sources) else ""
    write_table(
        f"{path}: {report.events} events of {len(report.sources)} sources{more}",
        ("source", "score", "level", "action", "blocked", "alerts", "events", "reasons"),
        (
            (
                source.verdict.address,
                f"{source.verdict.score:.3f}",
                source.verdict.level.name,
                source.verdict.action.value,
                "blocked" if source.blocked else "",
                str(source.alerts),
                str(source.events),
                "\n".join(source.verdict.reasons),
            )
            for source in shown
        ),
        level="level",
    )


def as_object(path: Path, source: SourceReport) -> dict[str, Any]:
    """Return one source as the JSON object that `--format jsonl` writes."""
    from ai_suricata.core.timestamp import format_timestamp

    verdict = source.verdict
    return {
        "file": str(path),
        "ip": verdict.address,
        "score": round(verdict.score, 9),
        "level": verdict.level.name,
        "action": verdict.action.value,
        "blocked": source.blocked,
        "alerts": source.alerts,
        "events": source.events,
        "first_seen": format_timestamp(source.first_seen) if source.events else None,
        "last_seen": format_timestamp(source.last_seen) if source.events else None,
        "reasons": list(verdict.reasons),
    }


def _model(path: Path | None) -> Model | None:
    if path is None:
        return None
    from ai_suricata.classify.artifact import load
    from ai_suricata.core.errors import ArtifactError

    try:
        return load(path.read_bytes())
    except (OSError, ArtifactError) as error:
        fail(Exit.USAGE, f"{path}: {error}")
