"""The report of an evaluation: Markdown, and pictures where matplotlib is installed."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from ai_suricata.classify.artifact import default, digest
from ai_suricata.classify.rows import joined
from ai_suricata.core.verdict import Level
from ai_suricata.state.file import replace
from ai_suricata.study.ablation import ablate
from ai_suricata.study.dataset import Kind
from ai_suricata.study.importance import costs, importance
from ai_suricata.study.label import Truth
from ai_suricata.study.leak import changes
from ai_suricata.study.markdown import render
from ai_suricata.study.progress import part, silent
from ai_suricata.study.statistic import confusion

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from ai_suricata.classify.model import Model
    from ai_suricata.classify.rows import TrainingRows
    from ai_suricata.config.settings import Settings
    from ai_suricata.study.ablation import Loss
    from ai_suricata.study.evaluate import Evaluation
    from ai_suricata.study.importance import Cost, Importance
    from ai_suricata.study.leak import Change
    from ai_suricata.study.measure import Outcome
    from ai_suricata.study.progress import Progress
    from ai_suricata.study.statistic import Confusion

INSTALL = "no pictures: matplotlib is not installed; pip install 'ai-suricata[report]'"
PICTURES = ("precision-recall", "roc", "calibration", "confusion", "importance", "ablation")
NAMES = {Kind.RECORDED: "recorded files", Kind.LAB: "lab test seeds"}


@dataclass(frozen=True, slots=True)
class Findings:
    """All that a report says beyond the table."""

    evaluation: Evaluation
    digest: str
    version: str
    by_source: dict[str, tuple[NDArray[np.float64], NDArray[np.bool_]]]
    """By population: the highest score of each source, and whether it attacks."""
    by_row: dict[str, tuple[NDArray[np.float64], NDArray[np.bool_]]]
    """The same of up to 16 rows of each source, as they were served."""
    confusions: dict[str, Confusion]
    """At HIGH."""
    importance: list[Importance]
    costs: list[Cost]
    ablation: dict[str, list[Loss]]
    leaks: dict[str, list[Change]]
    """By recording."""


def write_report(
    found: Evaluation,
    folder: Path,
    settings: Settings,
    model: Model | None = None,
    progress: Progress = silent,
) -> list[str]:
    """Write report.md and its pictures into a folder; return what there is to say of them.

    `model`: None for the one that ships. Raises OSError, and `ArtifactError` where the shipped
    model is not there.
    """
    findings = investigate(found, settings, model or default(), progress)
    folder.mkdir(parents=True, exist_ok=True)
    drawn = find_spec("matplotlib") is not None
    if drawn:
        _draw(findings, folder)
    path = folder / "report.md"
    replace(path, render(findings, PICTURES if drawn else ()).encode())
    return [f"report: {path}"] if drawn else [f"report: {path}", INSTALL]


def investigate(
    found: Evaluation, settings: Settings, model: Model, progress: Progress = silent
) -> Findings:
    """Return what a report says. Raises OSError where a recording can't be read."""
    rows = {name: _rows_of(found, kind) for kind, name in NAMES.items()}
    rows = {name: part_ for name, part_ in rows.items() if len(part_)}
    sources = {name: _sources(found, kind) for kind, name in NAMES.items()}
    sources = {name: some for name, some in sources.items() if some}
    judged = next((rows[name] for name in reversed(NAMES.values()) if name in rows), joined([]))
    return Findings(
        evaluation=found,
        digest=digest(model),
        version=model.version,
        by_source={name: _highest(some) for name, some in sources.items()},
        by_row={name: _each(some) for name, some in sources.items()},
        confusions={name: _confused(some) for name, some in sources.items()},
        importance=importance(model, judged, part(progress, 0.0, 0.5)),
        costs=costs(),
        ablation=ablate(model, found.training, rows, part(progress, 0.5, 0.8)),
        leaks=_leaks(found, settings, model, part(progress, 0.8, 1.0)),
    )


def _leaks(
    found: Evaluation, settings: Settings, model: Model, progress: Progress
) -> dict[str, list[Change]]:
    """Change addresses and dates in one recording of each kind, the smallest that has attackers."""
    chosen = {}
    for file in sorted(found.files, key=lambda file: -file.data.path.stat().st_size):
        if len(set(file.rows.labels.tolist())) > 1:
            chosen[file.data.kind] = file.data
    leaks: dict[str, list[Change]] = {}
    for data in chosen.values():
        progress(f"other addresses and dates: {data.name}", len(leaks) / len(chosen))
        leaks[data.name] = changes(data, settings, model)
    return leaks


def _rows_of(found: Evaluation, kind: Kind) -> TrainingRows:
    return joined(file.rows for file in found.files if file.data.kind is kind)


def _sources(found: Evaluation, kind: Kind) -> list[Outcome]:
    """Return the attackers and the others of a kind of recording who did anything at all."""
    return [
        source
        for file in found.files
        for source in file.outcomes
        if file.data.kind is kind
        and source.label.truth in {Truth.MALICIOUS, Truth.BENIGN}
        and not source.label.allowed
        and source.scores
    ]


def _highest(sources: list[Outcome]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    return np.array([source.score for source in sources]), _truth(sources)


def _each(sources: list[Outcome]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    counts = [len(source.scores) for source in sources]
    scores = np.array([score for source in sources for score in source.scores])
    return scores, np.repeat(_truth(sources), counts)


def _confused(sources: list[Outcome]) -> Confusion:
    said = [source.level >= Level.HIGH for source in sources]
    return confusion(_truth(sources).tolist(), said)


def _truth(sources: list[Outcome]) -> NDArray[np.bool_]:
    return np.array([source.label.truth is Truth.MALICIOUS for source in sources], dtype=np.bool_)


def _draw(findings: Findings, folder: Path) -> None:
    from ai_suricata.study import plot  # noqa: PLC0415 - needs an extra

    paths = {name: folder / f"{name}.png" for name in PICTURES}
    plot.draw_precision_recall(paths["precision-recall"], findings.by_source)
    plot.draw_roc(paths["roc"], findings.by_source)
    plot.draw_calibration(paths["calibration"], findings.by_row)
    plot.draw_confusion(paths["confusion"], findings.confusions)
    plot.draw_importance(paths["importance"], findings.importance)
    plot.draw_ablation(paths["ablation"], findings.ablation)
