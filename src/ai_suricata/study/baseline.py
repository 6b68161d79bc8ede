"""What others would have done: alerts alone, a plain random forest, CrowdSec.

A figure says little by itself. The forest gets the rows and the thresholds that we have, and
nothing of the rest: no patterns, no calibration, no guard.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ai_suricata.study.opinion import Detector, banned, scored
from ai_suricata.study.vector import address_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ai_suricata.classify.rows import TrainingRows
    from ai_suricata.config.settings import ClassifySettings
    from ai_suricata.study.dataset import DataSet
    from ai_suricata.study.opinion import Key

FOREST, CROWDSEC = "plain forest", "CrowdSec"
_TREES, _SEED = 100, 6


def forest(
    training: TrainingRows, rows: Iterable[TrainingRows], thresholds: ClassifySettings
) -> Detector:
    """Return a random forest that was fitted on `training` and judges each source by its rows."""
    if len(set(training.labels.tolist())) < 2:  # noqa: PLR2004 - attacks and normal
        return Detector(FOREST, None, "no labelled rows to train it on")
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415 - a second to import

    fitted = RandomForestClassifier(_TREES, random_state=_SEED).fit(
        training.matrix, training.labels
    )
    scores: dict[Key, float] = {}
    for part in rows:
        if not len(part):
            continue
        likely = fitted.predict_proba(part.matrix)[:, 1]
        for group, name, score in zip(part.groups, part.sets, likely.tolist(), strict=True):
            key = (name, address_of(group))
            scores[key] = max(score, scores.get(key, 0.0))
    return scored(FOREST, scores, thresholds.medium, thresholds.high, thresholds.critical)


def ask_crowdsec(sets: Iterable[DataSet], progress: Callable[[str], None]) -> Detector:
    """Return whom CrowdSec bans for each recording, or why it could not be asked."""
    try:
        study = import_module("ai_suricata.study.crowdsec")
    except ModuleNotFoundError:
        return Detector(CROWDSEC, None, "this version has no way to ask it")
    found: dict[str, frozenset[str]] = {}
    for data in sets:
        progress(f"CrowdSec: {data.name}")
        try:
            found[data.name] = frozenset(study.banned(data.path, data.home))
        except study.CrowdSecAbsentError as error:
            return Detector(CROWDSEC, None, str(error))
        except (OSError, study.CrowdSecError) as error:
            return Detector(CROWDSEC, None, f"{data.name}: {error}")
    return banned(CROWDSEC, found)
