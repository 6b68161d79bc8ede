"""The text of a report, in Markdown. The same findings give the same text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai_suricata.study.label import Truth
from ai_suricata.study.leak import direction_alone
from ai_suricata.study.opinion import ours
from ai_suricata.study.question import benign_opener, malicious
from ai_suricata.study.statistic import area_under_roc, average_precision, calibration, wilson
from ai_suricata.study.table import cells, heading, notes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ai_suricata.study.ablation import Loss, Worth
    from ai_suricata.study.importance import Importance
    from ai_suricata.study.measure import FileOutcome
    from ai_suricata.study.opinion import Detector
    from ai_suricata.study.report import Findings

_MOST_FEATURES = 40
_HOW = (
    "Each recording begins with fresh state and its own home network; thresholds are those "
    "of the settings, fixed beforehand. Intervals are of 95%: Wilson for shares, bootstrap "
    "over sources for F1 and the calibration error."
)
_ABL = (
    "Left: the served model, the features at their usual values. Right: a plain forest that "
    "learnt without them. ROC area and average precision, by source."
)
_LEAK = (
    "No feature holds an address or a date. Other addresses and another date therefore "
    "leave the scores as they are, but for sketches in which other addresses collide:"
)
_IMP = (
    "Loss of average precision over rows when one feature is shuffled, and the spread "
    "between three shuffles. Features that say the same stand in for each other."
)


def render(found: Findings, pictures: Sequence[str] = ()) -> str:
    """Return the report; `pictures`: names of those that were drawn beside it."""
    sections = (
        _head(found),
        _table(found),
        _populations(found),
        _calibration(found),
        _ablation(found),
        _leaks(found),
        _importance(found),
        _costs(found),
    )
    shown = "\n\n".join(f"![{name}]({name}.png)" for name in pictures)
    return "\n\n".join([*sections[:3], *([shown] if shown else []), *sections[3:]]) + "\n"


def _head(found: Findings) -> str:
    study = found.evaluation.study
    taught = ", ".join(data.name for data in study.training) or "nothing"
    files = [
        (
            file.data.name,
            file.data.kind.value,
            file.data.home_in_words(),
            _count(file, Truth.MALICIOUS),
            _count(file, Truth.BENIGN),
            _count(file, Truth.SPOOFED),
            _count(file, Truth.COMPROMISED),
        )
        for file in found.evaluation.files
    ]
    columns = ("recording", "kind", "HOME_NET", "malicious", "benign", "forged", "compromised")
    return "\n".join(
        (
            "# Evaluation",
            "",
            (
                f"Model `{found.version}`, digest `{found.digest}`. The plain forest and those of "
                f"the ablation learnt from: {taught}."
            ),
            "",
            _HOW,
            "",
            _markdown(columns, files),
        )
    )


def _count(file: FileOutcome, truth: Truth) -> str:
    return str(sum(source.label.truth is truth for source in file.outcomes))


def _table(found: Findings) -> str:
    evaluation = found.evaluation
    said = [f"{sentence}." for sentence in notes(evaluation.baselines)]
    rows = [cells(row) for row in evaluation.table]
    return "\n".join(
        ("## Figures", "", _markdown(heading(evaluation.baselines), rows), "", *said)
    ).rstrip()


def _populations(found: Findings) -> str:
    rows = []
    for name, (scores, truth) in found.by_source.items():
        cell = found.confusions[name]
        area, precision = area_under_roc(scores, truth), average_precision(scores, truth)
        rows.append((name, f"{area:.4f}", f"{precision:.4f}", *map(str, cell)))
    columns = (
        "by source",
        "ROC area",
        "average precision",
        "attackers at HIGH",
        "others at HIGH",
        "attackers below",
        "others below",
    )
    return "\n".join(("## Curves and confusion", "", _markdown(columns, rows)))


def _calibration(found: Findings) -> str:
    lines = ["## Calibration", ""]
    for name, (scores, truth) in found.by_row.items():
        bins = calibration(scores, truth)
        rows = [(f"{said:.4f}", f"{so:.4f}", str(count)) for said, so, count in bins]
        lines += [f"{name}:", "", _markdown(("mean score", "attackers", "rows"), rows), ""]
    return "\n".join(lines).rstrip()


def _ablation(found: Findings) -> str:
    lines = [
        "## Ablation",
        "",
        _ABL,
        "",
    ]
    columns = ("without", "features", "served", "refitted forest")
    for name, losses in found.ablation.items():
        lines += [f"{name}:", "", _markdown(columns, map(_loss, losses)), ""]
    return "\n".join(lines).rstrip()


def _loss(loss: Loss) -> tuple[str, ...]:
    features = str(loss.features) if loss.features else ""
    return loss.without, features, _worth(loss.served), _worth(loss.refitted)


def _worth(worth: Worth | None) -> str:
    return f"{worth.area:.4f} / {worth.precision:.4f}" if worth is not None else ""


def _leaks(found: Findings) -> str:
    rows = [
        (name, one.what, f"{one.points:,}", f"{one.moved:,}", f"{one.largest:.4f}")
        for name, changed in found.leaks.items()
        for one in changed
    ]
    columns = ("recording", "changed", "scored moments", "at another level", "greatest difference")
    rules = [_rule(found, detector) for detector in (ours(), direction_alone())]
    return "\n".join(
        (
            "## What could give a label away",
            "",
            _LEAK,
            "",
            _markdown(columns, rows),
            "",
            "Direction alone, as a rule of its own (at MEDIUM or above, all recordings):",
            "",
            _markdown(("rule", "attackers found", "benign openers accused"), rules),
        )
    )


def _rule(found: Findings, detector: Detector) -> tuple[str, ...]:
    sources = [source for file in found.evaluation.files for source in file.outcomes]
    shares = []
    for among in (malicious, benign_opener):
        chosen = [source for source in sources if among(source)]
        ask = detector.opinion
        hits = sum(ask(source).medium for source in chosen) if ask else 0
        share = wilson(hits, len(chosen))
        shares.append(f"{share.value:.4f} ({share.low:.4f}-{share.high:.4f})")
    return detector.name, *shares


def _importance(found: Findings) -> str:
    shown = found.importance[:_MOST_FEATURES]
    return "\n".join(
        (
            "## Importance",
            "",
            _IMP,
            "",
            _markdown(("feature", "loss", "spread"), map(_important, shown)),
        )
    )


def _important(one: Importance) -> tuple[str, ...]:
    return one.name, f"{one.loss:.5f}", f"{one.spread:.5f}"


def _costs(found: Findings) -> str:
    rows = [
        (
            cost.kind,
            str(cost.features),
            str(cost.bytes_each),
            f"{cost.microseconds_each:.2f}",
        )
        for cost in found.costs
    ]
    columns = ("kind", "features", "bytes of an address, each", "microseconds a row, each")
    return "\n".join(("## Cost of each feature", "", _markdown(columns, rows)))


def _markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "/") for cell in line) + " |" for line in lines
    )
