"""From labelled rows to a model. The same rows give the same model, to the digit.

What is fitted on other learners' answers (the stack and its curve) is fitted on answers about
sources that those learners had not been shown: the rows are parted by source and data set, and the
sources of one campaign, which do the same, stay together.

A source is judged by its worst moment. An attacker need not have shown himself from the first row
on, so his later ones count for more; a client must be spared in every one of them, so it counts for
more the more rows it gave. Attackers count as the share of all that `PRIOR` says: how many there
were in the laboratory is an accident, and a calibrated score has to know how rare attacks are.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from ai_suricata.classify import estimator, stack, vote
from ai_suricata.classify.ceiling import below, things_done
from ai_suricata.classify.drift import reference
from ai_suricata.classify.model import (
    Judge,
    Model,
    Parts,
    pattern_scores,
    proven,
)
from ai_suricata.classify.rows import ATTACK, NORMAL, TrainingRows, joined
from ai_suricata.classify.vectors import SCALING, scaled
from ai_suricata.core.schema import PROVEN, SCHEMA_DIGEST
from ai_suricata.core.timestamp import MICROSECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

FOLDS = 3
ROWS_PER_SOURCE = 6
PRIOR = 0.08
"""Share of attackers among the strangers who come to a host on the Internet, as far as is known."""
MASKED = 0.5
"""Weight of a row's copy without what could have been forged."""
_MOST_BENIGN = 60_000  # rows for the forest of what is usual


def fit(rows: TrainingRows, progress: Callable[[float], None] = lambda _share: None) -> Model:
    """Return a model of labelled rows. `progress` is told which share of the work is done, 0..1.

    Raises ValueError where one of the labels does not occur among the sources of each fold.
    """
    # scikit-learn brings it; it is not for --help.
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # noqa: PLC0415

    # One thread: where other work shares the cores, scikit-learn's wait for each other actively.
    with threadpool_limits(1):
        return _fitted(rows, progress)


def _fitted(rows: TrainingRows, progress: Callable[[float], None]) -> Model:
    seen = _balanced(_masked(_lived(_capped(rows))))
    folds = _folds(seen)
    _check(seen, folds)
    parts = _unseen(seen, folds, progress)
    members = (parts.patterns, parts.vote, parts.anomaly)
    fitted = stack.fit(members, seen.labels, seen.weights)
    figures = _figures(below(fitted.odds(*members), parts.done), seen)
    digest = data_digest(rows)
    benign = _benign(_capped(rows))
    # The forest also meets rows without what could have been forged; what is usual is whole rows.
    novelty = replace(estimator.fit(_benign(seen)), usual=estimator.usual_of(benign))
    model = Model(
        version=f"model-{digest[:10]}",
        novelty=novelty,
        judge=Judge(vote.fit(scaled(seen.matrix), seen.labels, seen.weights), fitted),
        rows=len(rows),
        trained_at=_moment(int(rows.times.max())),
        data_digest=digest,
        figures=figures,
    )
    progress(1.0)
    return replace(model, reference=reference(benign, model.score(benign)))


def data_digest(rows: TrainingRows) -> str:
    """Name the labelled rows, the schema and the scaling: hex BLAKE2b."""
    digest = blake2b(digest_size=16)
    digest.update(f"{SCHEMA_DIGEST} {SCALING} {FOLDS} {ROWS_PER_SOURCE} {PRIOR}".encode())
    digest.update(np.ascontiguousarray(rows.matrix, dtype="<f8").tobytes())
    digest.update(np.ascontiguousarray(rows.labels, dtype="<i1").tobytes())
    digest.update(np.ascontiguousarray(rows.weights, dtype="<f8").tobytes())
    digest.update("\n".join([*rows.groups, *rows.campaigns]).encode())
    return digest.hexdigest()


def _moment(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds // MICROSECONDS, UTC).isoformat()


def _capped(rows: TrainingRows) -> TrainingRows:
    """Return at most so many rows of each source, evenly from its first to its last."""
    places: dict[str, list[int]] = {}
    for index, group in enumerate(rows.groups):
        places.setdefault(group, []).append(index)
    kept: list[int] = []
    for indices in places.values():
        even = np.linspace(0, len(indices) - 1, min(len(indices), ROWS_PER_SOURCE))
        kept.extend(indices[place] for place in np.rint(even).astype(int).tolist())
    return rows.take(np.array(sorted(kept), dtype=np.int64))


def _masked(rows: TrainingRows) -> TrainingRows:
    """Return the rows, and copies with only what is proven, where there is such.

    The spoof guard asks for the score of those. A row with nothing in it is of nobody who attacks.
    """
    matrix = proven(rows.matrix)
    some = (matrix[:, np.array(PROVEN, dtype=np.bool_)] != 0).any(axis=1)
    masked = replace(rows, matrix=matrix, weights=rows.weights * MASKED).take(some)
    nothing = TrainingRows(
        matrix=np.zeros((FOLDS, matrix.shape[1])),
        labels=np.full(FOLDS, NORMAL, dtype=np.int8),
        groups=[f"nothing {fold}" for fold in range(FOLDS)],
        sets=["nothing"] * FOLDS,
        times=np.zeros(FOLDS, dtype=np.int64),
        weights=np.ones(FOLDS),
    )
    return joined((rows, masked, nothing))


def _balanced(rows: TrainingRows) -> TrainingRows:
    """Return the rows weighed so that attackers count as `PRIOR`."""
    weights, attack = rows.weights.copy(), rows.labels == ATTACK
    for chosen, share in ((attack, PRIOR), (~attack, 1.0 - PRIOR)):
        weights[chosen] *= share * len(rows) / max(float(weights[chosen].sum()), 1e-12)
    return replace(rows, weights=weights)


def _lived(rows: TrainingRows) -> TrainingRows:
    """Return the rows weighed by their place in the life of their source.

    An attacker's weights rise evenly from the first row to the last, and sum up to one. A client's
    are equal, and sum up to the square root of their number.
    """
    place = {group: index for index, group in enumerate(dict.fromkeys(rows.groups))}
    of = np.array([place[group] for group in rows.groups], dtype=np.int64)
    order = np.lexsort((rows.times, of))
    count = np.bincount(of, minlength=len(place)).astype(np.float64)
    rank = np.empty(len(rows))
    rank[order] = np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count.astype(int)) + 1
    n = count[of]
    shares = np.where(rows.labels == ATTACK, 2.0 * rank / (n * (n + 1.0)), n**-0.5)
    return replace(rows, weights=rows.weights * shares)


def _folds(rows: TrainingRows) -> NDArray[np.int64]:
    """Return the fold of each row, by its campaign in its data set, or by its source."""
    campaigns = rows.campaigns or [""] * len(rows)
    keys = (
        f"{campaign} {name}" if campaign else group
        for group, name, campaign in zip(rows.groups, rows.sets, campaigns, strict=True)
    )
    return np.array([_fold(key) for key in keys], dtype=np.int64)


def _fold(group: str) -> int:
    """Return the fold of a source or campaign: the same wherever its rows stand."""
    if group.startswith("nothing "):
        return int(group.removeprefix("nothing "))
    return blake2b(group.encode(), digest_size=2).digest()[0] % FOLDS


def _check(rows: TrainingRows, folds: NDArray[np.int64]) -> None:
    for fold in range(FOLDS):
        for label, name in ((ATTACK, "attacker"), (NORMAL, "client")):
            if not ((folds == fold) & (rows.labels == label)).any():
                raise ValueError(
                    f"too few sources to learn from: no {name} in one of {FOLDS} parts; give more"
                )


def _unseen(
    rows: TrainingRows, folds: NDArray[np.int64], progress: Callable[[float], None]
) -> Parts:
    """Return what learners say of each row that were fitted on the other folds."""
    answers, odd = np.zeros(len(rows)), np.zeros(len(rows))
    for fold in range(FOLDS):
        held = folds == fold
        others = rows.take(~held)
        shown, asked = scaled(others.matrix), scaled(rows.matrix[held])
        answers[held] = vote.fit(shown, others.labels, others.weights).probability(asked)
        odd[held] = estimator.fit(_benign(others)).anomaly(asked)
        progress((fold + 1) / (FOLDS + 1))
    patterns = pattern_scores(rows.matrix)
    return Parts(patterns, answers, odd, things_done(rows.matrix, patterns))


def _benign(rows: TrainingRows) -> NDArray[np.float64]:
    """Return vectors of sources that do no harm, at most so many, evenly."""
    matrix = rows.matrix[(rows.labels == NORMAL) & (rows.times > 0)]
    step = -(-len(matrix) // _MOST_BENIGN) or 1
    chosen: NDArray[np.float64] = matrix[::step]
    return chosen


def _figures(scores: NDArray[np.float64], rows: TrainingRows) -> dict[str, float]:
    """Return how the rows measured that were held back, each by its weight."""
    attack, weights = rows.labels == ATTACK, rows.weights / rows.weights.sum()
    wrong = scores - attack
    error = 0.0
    for low in np.arange(0.0, 1.0, 0.1).tolist():
        inside = (scores >= low) & ((scores < low + 0.1) | (low + 0.1 >= 1.0))
        error += abs(float(weights[inside] @ wrong[inside]))
    figures = {
        "sources": float(len(set(rows.groups))),
        "brier": float(weights @ wrong**2),
        "calibration_error": error,
    }
    for name, bound in (("medium", 0.5), ("high", 0.7), ("critical", 0.85)):
        above = scores >= bound
        figures[f"attackers_{name}"] = float(weights[attack & above].sum() / weights[attack].sum())
        figures[f"clients_{name}"] = float(weights[~attack & above].sum() / weights[~attack].sum())
    return {name: round(value, 6) for name, value in figures.items()}
