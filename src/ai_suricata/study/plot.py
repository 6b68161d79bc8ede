"""Pictures of a report, as PNG, by matplotlib (the extra `report`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ai_suricata.study.statistic import calibration, precision_recall, roc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from ai_suricata.study.ablation import Loss
    from ai_suricata.study.importance import Importance
    from ai_suricata.study.statistic import Confusion

    Scored = tuple[NDArray[np.float64], NDArray[np.bool_]]
    """Scores, and whether each is an attack's."""

_DPI, _MOST_BARS = 110, 25
_PLAIN = {"Software": None}
"""Without the version of matplotlib in the file, the same figures make the same bytes."""


def draw_precision_recall(path: Path, curves: dict[str, Scored]) -> None:
    """Draw precision over recall for each population, by source."""
    figure, axes = _empty("recall", "precision")
    for name, (scores, truth) in curves.items():
        recall, precision = precision_recall(scores, truth)
        axes.step(recall, precision, where="post", label=name)
    _finish(figure, axes, path, "Precision and recall, each source by its highest score")


def draw_roc(path: Path, curves: dict[str, Scored]) -> None:
    """Draw the receiver operating characteristic for each population, by source."""
    figure, axes = _empty("others accused", "attackers found")
    for name, (scores, truth) in curves.items():
        false_rate, true_rate = roc(scores, truth)
        axes.plot(false_rate, true_rate, label=name)
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
    _finish(figure, axes, path, "ROC, each source by its highest score")


def draw_calibration(path: Path, curves: dict[str, Scored]) -> None:
    """Draw what a score says against what is so, in bins of equally many rows."""
    figure, axes = _empty("score", "attackers among the rows")
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
    for name, (scores, truth) in curves.items():
        bins = calibration(scores, truth)
        axes.plot([said for said, _, _ in bins], [so for _, so, _ in bins], "o-", label=name)
    _finish(figure, axes, path, "Calibration, 15 bins of equally many rows")


def draw_confusion(path: Path, counts: dict[str, Confusion]) -> None:
    """Draw the counts of right and wrong answers at HIGH, a square for each population."""
    from matplotlib.figure import Figure as NewFigure  # noqa: PLC0415 - an extra, loaded when drawn

    figure = NewFigure(figsize=(4 * max(len(counts), 1), 4), layout="constrained")
    for index, (name, cells) in enumerate(counts.items()):
        axes = figure.add_subplot(1, len(counts), index + 1)
        square = np.array(
            [
                [cells.true_positive, cells.false_negative],
                [cells.false_positive, cells.true_negative],
            ]
        )
        axes.imshow(np.log1p(square), cmap="Blues", vmin=0)
        for (row, column), number in np.ndenumerate(square):
            dark = np.log1p(number) > np.log1p(square.max()) / 2
            axes.text(column, row, f"{number:,}", ha="center", color="white" if dark else "black")
        axes.set_xticks([0, 1], ["HIGH or above", "below"])
        axes.set_yticks([0, 1], ["attackers", "others"])
        axes.set_title(name)
    _save(figure, path)


def draw_importance(path: Path, found: Sequence[Importance]) -> None:
    """Draw the features that matter most."""
    shown = found[:_MOST_BARS][::-1]
    figure, axes = _empty("loss of average precision when shuffled", "", size=(8, 7), square=False)
    axes.barh([one.name for one in shown], [one.loss for one in shown])
    _finish(figure, axes, path, "Permutation importance", legend=False)


def draw_ablation(path: Path, losses: Mapping[str, Sequence[Loss]]) -> None:
    """Draw what is left without each group, a colour for each population."""
    figure, axes = _empty("average precision", "", size=(9, 6), square=False)
    height = 0.8 / max(len(losses), 1)
    for index, (name, found) in enumerate(losses.items()):
        places = np.arange(len(found))[::-1] - index * height
        axes.barh(places, [one.served.precision for one in found], height, label=name)
        axes.set_yticks(np.arange(len(found))[::-1], [one.without for one in found])
    axes.set_xlim(0, 1)
    _finish(
        figure, axes, path, "What is left without: the served model, features at their usual values"
    )


def _empty(
    x: str, y: str, *, size: tuple[float, float] = (6, 5), square: bool = True
) -> tuple[Figure, Axes]:
    """Return an empty picture; `square`: both axes go from 0 to 1."""
    # Not pyplot: it keeps what it draws, and wants to know of a screen.
    from matplotlib.figure import Figure as NewFigure  # noqa: PLC0415 - an extra, loaded when drawn

    figure = NewFigure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if square:
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)
        axes.grid(alpha=0.3)
    return figure, axes


def _finish(figure: Figure, axes: Axes, path: Path, title: str, *, legend: bool = True) -> None:
    axes.set_title(title)
    if legend and axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower left")
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=_DPI, metadata=_PLAIN)
