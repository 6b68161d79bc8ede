"""How `replay --compare` and `models diff` tell what two models do differently."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ai_suricata.cli.listing import Format, write_lines, write_table

if TYPE_CHECKING:
    from ai_suricata.cli.recording import Recording
    from ai_suricata.comparison import Comparison, ComparisonReport, Pair
    from ai_suricata.replay import SourceReport

_MOST_ROWS = 50


def compare_recording(
    comparison: Comparison, recording: Recording, names: tuple[str, str], output: Format
) -> bool:
    """Compare over one recording and list it; return whether it held events, read to its end."""
    from ai_suricata.source.pcap.run import SuricataError

    try:
        with closing(recording.batches(comparison.settings)) as batches:
            report = comparison.batches(batches)
    except (OSError, SuricataError) as error:
        typer.echo(f"ai-suricata: {recording.path}: {error}", err=True)
        return False
    write_report(recording.path, report, names, output)
    for sentence in recording.hints + recording.damage:
        typer.echo(f"ai-suricata: {sentence}", err=True)
    if not report.events:
        typer.echo(f"ai-suricata: {recording.path} holds no event", err=True)
    return not recording.damage and bool(report.events)


def write_report(
    path: Path, report: ComparisonReport, names: tuple[str, str], output: Format
) -> None:
    """Write the sources on which the two differ, and the counts."""
    if output is Format.JSONL:
        write_lines(
            [*(_object(path, pair) for pair in report.pairs), _summary(path, report, names)]
        )
        return
    shown = report.pairs[:_MOST_ROWS]
    write_table(
        _title(path, report, names, len(shown)),
        ("source", "difference", names[0], names[1], "reasons"),
        (_row(pair) for pair in shown),
    )


def _title(path: Path, report: ComparisonReport, names: tuple[str, str], shown: int) -> str:
    from ai_suricata.comparison import Disagreement

    first, second = report.blocked
    alone = report.count(Disagreement.ONLY_FIRST), report.count(Disagreement.ONLY_SECOND)
    more = f" (the first {shown} are listed)" if shown < len(report.pairs) else ""
    return (
        f"{path}: {report.events} events of {report.sources} sources. {names[0]} would have "
        f"blocked {first}, {names[1]} {second}; only {names[0]}: {alone[0]}, "
        f"only {names[1]}: {alone[1]}; another level: "
        f"{report.count(Disagreement.LEVEL)}{more}. Scores differ by {report.mean_difference:.4f} "
        f"in the mean of {report.rows} rows"
    )


def _row(pair: Pair) -> tuple[str, ...]:
    from ai_suricata.comparison import Disagreement

    # The reasons of whoever blocks; where both or neither do, those of the greater score.
    told = max(pair.first, pair.second, key=lambda one: (one.blocked, one.verdict.score))
    difference = pair.disagreement or Disagreement.LEVEL
    return (
        pair.first.verdict.address,
        difference.value.replace("_", " "),
        _cell(pair.first),
        _cell(pair.second),
        "\n".join(told.verdict.reasons),
    )


def _cell(source: SourceReport) -> str:
    blocked = " blocked" if source.blocked else ""
    return f"{source.verdict.level.name} {source.verdict.score:.3f}{blocked}"


def _object(path: Path, pair: Pair) -> dict[str, Any]:
    return {
        "file": str(path),
        "ip": pair.first.verdict.address,
        "difference": pair.disagreement,
        "first": _half(pair.first),
        "second": _half(pair.second),
    }


def _half(source: SourceReport) -> dict[str, Any]:
    verdict = source.verdict
    return {
        "score": round(verdict.score, 9),
        "level": verdict.level.name,
        "action": verdict.action.value,
        "blocked": source.blocked,
        "reasons": list(verdict.reasons),
    }


def _summary(path: Path, report: ComparisonReport, names: tuple[str, str]) -> dict[str, Any]:
    from ai_suricata.comparison import Disagreement

    return {
        "file": str(path),
        "summary": True,
        "first": names[0],
        "second": names[1],
        "events": report.events,
        "sources": report.sources,
        "blocked_by_first": report.blocked[0],
        "blocked_by_second": report.blocked[1],
        **{kind.value: report.count(kind) for kind in Disagreement},
        "levels": {
            f"{first.name}>{second.name}": count
            for (first, second), count in sorted(report.levels.items())
        },
        "rows": report.rows,
        "mean_score_difference": round(report.mean_difference, 9),
    }
