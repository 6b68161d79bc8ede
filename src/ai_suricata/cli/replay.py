"""`ai-suricata replay`: what would have been thought and done of recorded events."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ai_suricata.cli.artifact import named
from ai_suricata.cli.comparing import compare_recording
from ai_suricata.cli.listing import Format, FormatOption, chosen, write_lines, write_table
from ai_suricata.cli.outcome import ConfigFile, Exit, fail, settings_of
from ai_suricata.cli.recording import (
    FilesArgument,
    RulesOption,
    SuricataConfigOption,
    ended_in_order,
    keep_eve,
    recordings,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from ai_suricata.cli.recording import Recording
    from ai_suricata.config.settings import Settings
    from ai_suricata.replay import FileReport, Replay, SourceReport

    Look = Callable[[Recording, Format], bool]
    """Lists one recording; returns whether it was one of events, read to its end."""

_MOST_ROWS = 50


def replay(
    files: FilesArgument,
    *,
    config: ConfigFile = None,
    home_net: Annotated[
        str, typer.Option(help="HOME_NET for these files: networks, with commas between.")
    ] = "",
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="The model: default, active, a number of `models list`, or an artifact's path.",
        ),
    ] = "",
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="NAME NAME",
            help="Two models, named as with --model: list what only one would have blocked.",
        ),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep what was learned from file to file.")
    ] = False,
    suricata_config: SuricataConfigOption = None,
    rules: RulesOption = None,
    keep_eve_as: Annotated[
        Path | None,
        typer.Option(
            "--keep-eve", metavar="FILE", help="Keep what Suricata writes for the captures."
        ),
    ] = None,
    output: FormatOption = None,
) -> None:
    """Run recorded events through the live code; list each source with the worst that it reached.

    Each file begins with fresh state unless --keep. Nothing is sent anywhere, and time is the
    events' own: the same events give the same output.

    Captures are read by the installed Suricata (7.0 or later), a folder of them in one run, in
    the order of the files' last change. What it writes lies in TMPDIR until the end. It orders its
    records anew in each run: with --keep-eve, a run can be repeated to the digit.

    With --compare, two models judge the same events; listed are the sources that one would have
    blocked and the other not, then those with another level, and at the end the counts.

    Exit codes: 0 done, whether two models differ or not, 1 a file could not be read or held no
    event, 2 an argument is wrong or a model does not fit.

    Example: ai-suricata replay --home-net 192.0.2.0/24 samples/lab.json.gz
    """
    if model and compare:
        fail(
            Exit.USAGE, "--model and --compare exclude each other; name both models with --compare"
        )
    settings = settings_of(config, **({"HOME_NET": home_net} if home_net else {}))
    found = recordings(files, settings, suricata_config, rules)
    if keep_eve_as is not None:
        keep_eve(found, keep_eve_as)
    look = (
        _comparing(settings, compare, keep=keep)
        if compare
        else _replaying(settings, model, keep=keep)
    )
    with ended_in_order():
        broken = [one for one in found if not look(one, chosen(output))]
    if broken:
        raise typer.Exit(Exit.FAILED)


def _replaying(settings: Settings, model: str, *, keep: bool) -> Look:
    from ai_suricata.replay import Replay

    runner = Replay(settings, named(settings, model) if model else None)
    return lambda recording, output: _one(runner, recording, output, keep=keep)


def _comparing(settings: Settings, names: tuple[str, str], *, keep: bool) -> Look:
    from ai_suricata.comparison import Comparison

    comparison = Comparison(settings, named(settings, names[0]), named(settings, names[1]))

    def look(recording: Recording, output: Format) -> bool:
        if not keep:
            comparison.forget()
        return compare_recording(comparison, recording, names, output)

    return look


def _one(runner: Replay, recording: Recording, output: Format, *, keep: bool) -> bool:
    """Replay and list one recording; return whether it was one of events, read to its end."""
    from ai_suricata.source.pcap.run import SuricataError

    if not keep:
        runner.forget()
    try:
        with closing(recording.batches(runner.settings)) as batches:
            report = runner.batches(batches)
    except (OSError, SuricataError) as error:
        typer.echo(f"ai-suricata: {recording.path}: {error}", err=True)
        return False
    _list(recording.path, report, output)
    rejected = {**recording.rejected, **report.rejected}
    if rejected:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(rejected.items()))
        typer.echo(f"ai-suricata: {recording.path}: lines rejected: {reasons}", err=True)
    for sentence in recording.hints + recording.damage:
        typer.echo(f"ai-suricata: {sentence}", err=True)
    if not report.events and not rejected:
        typer.echo(f"ai-suricata: {recording.path} holds no event", err=True)
    return not recording.damage and bool(report.events)


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
        spared=("action", "alerts", "events"),
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
