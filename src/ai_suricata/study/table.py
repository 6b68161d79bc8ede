"""The figures as text and as objects: one form for the screen, the report and scripts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ai_suricata.study.figure import Figure, Row
    from ai_suricata.study.opinion import Detector

NOT_MEASURED = "-"


def heading(baselines: Sequence[Detector]) -> list[str]:
    """Return the names of the columns."""
    return ["figure", "goal", "ours", "", "95% interval", "n", *(one.name for one in baselines)]


def cells(row: Row) -> list[str]:
    """Return one row under that heading."""
    ours = row.ours
    goal = ours.goal.shown if ours.goal is not None else ""
    return [
        ours.name,
        goal,
        value(ours),
        mark(ours),
        interval(ours),
        f"{ours.n:,}",
        *(value(baseline) for baseline in row.baselines),
    ]


def value(figure: Figure | None) -> str:
    """Return the figure: a number of cases, or a share to four places."""
    if figure is None or not figure.measured:
        return NOT_MEASURED
    if figure.cases:
        return f"{round(figure.interval.value * figure.n):,}"
    return f"{figure.interval.value:.4f}"


def interval(figure: Figure) -> str:
    """Return where the share lies with 95% confidence."""
    if not figure.measured:
        return NOT_MEASURED
    return f"{figure.interval.low:.4f}-{figure.interval.high:.4f}"


def mark(figure: Figure) -> str:
    """Return whether the goal is kept; empty where there is none."""
    if figure.goal is None:
        return ""
    if not figure.measured:
        return "no data"
    return "MISSED" if figure.missed else "kept"


def as_object(row: Row, baselines: Sequence[Detector]) -> dict[str, Any]:
    """Return one row as the JSON object that `--format jsonl` writes."""
    ours = row.ours
    return {
        "figure": ours.name,
        "goal": ours.goal.shown if ours.goal is not None else None,
        "value": _number(ours),
        "low": ours.interval.low if ours.measured else None,
        "high": ours.interval.high if ours.measured else None,
        "n": ours.n,
        "kept": None if ours.goal is None or not ours.measured else not ours.missed,
        "baselines": {
            detector.name: _number(figure) if figure is not None else None
            for detector, figure in zip(baselines, row.baselines, strict=True)
        },
    }


def notes(baselines: Sequence[Detector]) -> list[str]:
    """Return a sentence on each baseline that could not be asked."""
    return [f"{one.name}: {one.absent}" for one in baselines if one.opinion is None]


def _number(figure: Figure) -> float | None:
    number = figure.interval.value
    return round(number, 6) if figure.measured and not math.isnan(number) else None
