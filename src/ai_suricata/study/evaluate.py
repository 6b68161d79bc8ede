"""Evaluation: all recordings through the live code, and the table that comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from ai_suricata.classify.rows import joined
from ai_suricata.core.verdict import Level
from ai_suricata.study.baseline import CROWDSEC, ask_crowdsec, forest
from ai_suricata.study.dataset import portions
from ai_suricata.study.figure import rows as figures
from ai_suricata.study.label import Truth
from ai_suricata.study.measure import measure
from ai_suricata.study.opinion import Detector, any_alert, ours, severe_alert, unguarded
from ai_suricata.study.progress import part, silent
from ai_suricata.study.training import gather

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ai_suricata.classify.model import Model
    from ai_suricata.classify.rows import TrainingRows
    from ai_suricata.config.settings import Settings
    from ai_suricata.study.dataset import DataSet
    from ai_suricata.study.figure import Row
    from ai_suricata.study.measure import FileOutcome, Outcome
    from ai_suricata.study.progress import Progress


class Study(NamedTuple):
    """What is measured, and on what."""

    tests: Sequence[DataSet]
    training: Sequence[DataSet]
    """What the plain forest is fitted on."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All that came of a study."""

    study: Study
    files: tuple[FileOutcome, ...]
    rows: TrainingRows
    """Of the tests."""
    training: TrainingRows
    baselines: tuple[Detector, ...]
    table: tuple[Row, ...]

    def missed(self) -> list[str]:
        """Return the figures that have a goal and do not keep it."""
        return [row.ours.name for row in self.table if row.ours.missed]

    def holds(self) -> bool:
        """Whether every goal that could be measured is kept, and one could be."""
        return not self.missed() and any(row.ours.measured and row.ours.goal for row in self.table)


def evaluate(
    study: Study,
    settings: Settings,
    model: Model | None = None,
    *,
    crowdsec: bool = True,
    progress: Progress = silent,
) -> Evaluation:
    """Measure everything. `model`: None for what a freshly installed daemon serves.

    Raises OSError where a recording can't be read.
    """
    files: list[FileOutcome] = []
    for data, first, last in portions(study.tests):
        files.append(measure(data, settings, model, part(progress, 0.8 * first, 0.8 * last)))
    training = gather(study.training, settings, part(progress, 0.8, 0.9))
    tests = [file.rows for file in files]
    others = [
        any_alert(),
        severe_alert(),
        ask_crowdsec(study.tests, lambda what: progress(what, 0.95))
        if crowdsec
        else Detector(CROWDSEC, None, "not asked for"),
        forest(training, tests, settings.classify),
    ]
    table = figures(files, (ours(), unguarded()), others)
    return Evaluation(study, tuple(files), joined(tests), training, tuple(others), tuple(table))


def errors(files: Sequence[FileOutcome]) -> Iterator[dict[str, Any]]:
    """Yield who was missed and who was wrongly accused, with what there was to see, as JSON."""
    for file in files:
        for source in file.outcomes:
            fault = _fault(source)
            if fault:
                yield {"fault": fault, **_as_object(source)}


def line(fault: dict[str, Any]) -> bytes:
    """Return one of the errors as a line."""
    return orjson.dumps(fault, option=orjson.OPT_APPEND_NEWLINE)


def _fault(source: Outcome) -> str:
    """Name what is wrong with an outcome; empty where nothing is."""
    truth, needed = source.label.truth, Level.HIGH if source.facts.is_strong() else Level.MEDIUM
    if truth is Truth.MALICIOUS and source.level < needed:
        return "missed"
    if truth is Truth.SPOOFED and (source.blocked or source.blocked_unguarded):
        return "forged and blocked"
    if truth is not Truth.BENIGN or source.label.allowed:
        return ""
    if source.blocked or source.blocked_unguarded:
        return "benign and blocked"
    return "benign and accused" if source.level >= Level.MEDIUM else ""


def _as_object(source: Outcome) -> dict[str, Any]:
    facts = source.facts
    return {
        "file": source.data.name,
        "ip": source.label.address,
        "role": source.label.role,
        "tool": source.label.tool,
        "campaign": source.label.campaign,
        "home": source.home,
        "flows": facts.flows,
        "alerts": facts.alerts,
        "ports": facts.ports,
        "level": source.level.name,
        "score": round(source.score, 4),
        "blocked": source.blocked,
        "blocked_unguarded": source.blocked_unguarded,
        "reasons": list(source.reasons),
    }
