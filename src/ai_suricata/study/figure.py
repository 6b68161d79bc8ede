"""The figures by which detection is judged, each with its goal, fixed before any measurement.

A figure is taken of one detector over the outcomes of all recordings; the same code takes it of
ours and of the baselines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ai_suricata.study.opinion import OURS
from ai_suricata.study.question import (
    NONE,
    SHARES,
    at_least,
    at_most,
    benign,
    held_out,
    lab,
    malicious,
    strong,
)
from ai_suricata.study.statistic import (
    Interval,
    calibration_interval,
    confusion,
    f1_interval,
    wilson,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ai_suricata.study.measure import FileOutcome, Outcome
    from ai_suricata.study.opinion import Detector
    from ai_suricata.study.question import Choice, Goal, Question


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of one detector."""

    name: str
    detector: str
    goal: Goal | None
    """None where the figure is only shown."""
    interval: Interval
    n: int
    """Sources (or rows, or verdicts) that it was taken over; 0: it could not be taken."""
    cases: bool = False
    """Whether people read it as a number of cases rather than as a share."""

    @property
    def measured(self) -> bool:
        """Whether there was anything to measure."""
        return self.n > 0

    @property
    def missed(self) -> bool:
        """Whether it has a goal and does not keep it."""
        return self.measured and self.goal is not None and not self.goal.holds(self.interval.value)


@dataclass(frozen=True, slots=True)
class Row:
    """A figure of ours, and the same of each baseline."""

    ours: Figure
    baselines: tuple[Figure | None, ...]
    """None where the figure says nothing of a baseline."""


def rows(
    files: Sequence[FileOutcome],
    own: Sequence[Detector],
    baselines: Sequence[Detector],
) -> list[Row]:
    """Return every figure; `own`: ours with the guard on and off."""
    sources = [source for file in files for source in file.outcomes]
    by_name = {detector.name: detector for detector in own}
    found = [
        Row(
            _share(question, by_name[question.detector], sources),
            tuple(_share(question, baseline, sources) for baseline in baselines),
        )
        for question in SHARES
    ]
    for name, among in (
        ("F1 of HIGH and above, sources with 5 flows or 2 alerts, lab test seeds", _anyone),
        ("the same, of attack tools never trained on alone", held_out),
    ):
        found.append(
            Row(
                _f1(name, among, by_name[OURS], sources),
                tuple(_f1(name, among, baseline, sources) for baseline in baselines),
            )
        )
    nothing = tuple(None for _ in baselines)
    found.extend(Row(figure, nothing) for figure in (_blamed(sources), _calibrated(sources)))
    found.append(Row(_explained(files), nothing))
    return found


def _anyone(source: Outcome) -> bool:
    return bool(source)


def _share(question: Question, detector: Detector, sources: Iterable[Outcome]) -> Figure:
    ask = detector.opinion
    chosen = [source for source in sources if question.among(source)] if ask else []
    hits = sum(question.answer(ask(source)) for source in chosen) if ask else 0
    return Figure(
        question.name,
        detector.name,
        question.goal,
        wilson(hits, len(chosen)),
        len(chosen),
        cases=question.cases,
    )


def _f1(name: str, among: Choice, detector: Detector, sources: Iterable[Outcome]) -> Figure:
    """Return F1 over the benign and those attackers that `among` chooses.

    A campaign's sources are in rows of their own: one login each is no evidence.
    """
    ask = detector.opinion
    chosen = [
        source
        for source in sources
        if ask
        and lab(source)
        and strong(source)
        and not source.label.allowed
        and (benign(source) or _single(source, among))
    ]
    truth = [malicious(source) for source in chosen]
    n = len(chosen) if any(truth) else 0
    interval = Interval(float("nan"), 0.0, 1.0)
    if n and ask:
        interval = f1_interval(confusion(truth, [ask(source).high for source in chosen]))
    return Figure(name, detector.name, at_least(0.98), interval, n)


def _single(source: Outcome, among: Choice) -> bool:
    return malicious(source) and not source.label.campaign and among(source)


def _blamed(sources: Iterable[Outcome]) -> Figure:
    """Return how many hosts at home are accused though all that they ever did was to answer."""
    answering = [
        source
        for source in sources
        if source.home and benign(source) and source.facts.flows == 0 and source.facts.answered
    ]
    hits = sum(source.score > 0 and bool(source.reasons) for source in answering)
    interval = wilson(hits, len(answering))
    name = "hosts of the home network blamed for answering"
    return Figure(name, OURS, NONE, interval, len(answering), cases=True)


def _calibrated(sources: Iterable[Outcome]) -> Figure:
    """Return the calibration error over at most 16 scores of each source of the lab."""
    chosen = [
        source
        for source in sources
        if lab(source) and (malicious(source) or benign(source)) and not source.label.allowed
    ]
    scores = np.array([score for source in chosen for score in source.scores])
    counts = [len(source.scores) for source in chosen]
    truth = np.repeat(np.array([malicious(source) for source in chosen], np.bool_), counts)
    groups = np.repeat(np.arange(len(chosen)), counts)
    interval = calibration_interval(scores, truth, groups)
    name = "expected calibration error, lab test seeds"
    return Figure(name, OURS, at_most(0.05), interval, len(scores))


def _explained(files: Iterable[FileOutcome]) -> Figure:
    """Return the share of verdicts above INFO with a reason that names a feature and its value."""
    counts = [(file.explained, file.accused) for file in files]
    explained, accused = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0)
    name = "verdicts with a reason that names a feature and its value"
    return Figure(name, OURS, at_least(1.0), wilson(explained, accused), accused)
