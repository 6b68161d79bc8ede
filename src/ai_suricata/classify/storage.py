"""The parts of a model as plain arrays and estimators of scikit-learn, there and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ai_suricata.classify.drift import BINS, Reference
from ai_suricata.classify.estimator import Novelty, Usual
from ai_suricata.classify.estimator import restored as novelty_of
from ai_suricata.classify.model import Judge, Model
from ai_suricata.classify.neighbour import Neighbours
from ai_suricata.classify.patterns import PATTERNS
from ai_suricata.classify.stack import Stack
from ai_suricata.classify.vote import Fitted, ready
from ai_suricata.core.errors import ArtifactError
from ai_suricata.core.schema import FEATURES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ai_suricata.classify.tree import Trees

Content = dict[str, Any]
"""What an artifact holds, by name: arrays, numbers, texts and fitted estimators."""


def stored(model: Model) -> Content:
    """Return what an artifact of the model holds."""
    content: Content = {"novelty": model.novelty.forest}
    if model.judge is not None:
        fitted = model.judge.vote.fitted
        content |= {"tree": fitted.tree, "forest": fitted.forest, "boosting": fitted.boosting}
    return content | dict(_numbers(model)) | {"novelty_version": model.novelty.version}


def restored(  # noqa: PLR0913 - what the metadata says
    content: Content,
    *,
    version: str,
    rows: int,
    trained_at: str,
    data_digest: str,
    local: bool,
    figures: dict[str, float],
) -> Model:
    """Return the model; raises `ArtifactError` where a part is of another kind, or does not fit."""
    return Model(
        version=version,
        novelty=_novelty(content),
        judge=_judge(content) if "forest" in content else None,
        rows=rows,
        trained_at=trained_at,
        data_digest=data_digest,
        local=local,
        figures=figures,
        reference=_reference(content),
    )


def arrays(model: Model) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield every array and parameter that a score comes from, by name, in a fixed order."""
    yield from ((f"novelty {i}", array) for i, array in enumerate(model.novelty.walk.arrays()))
    if model.judge is not None:
        vote = model.judge.vote
        for name, trees in (("tree", vote.tree), ("forest", vote.forest), ("boost", vote.boosting)):
            yield from ((f"{name} {index}", array) for index, array in enumerate(trees.arrays()))
    yield from _numbers(model)


def _numbers(model: Model) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield what is no tree."""
    novelty = model.novelty
    yield "scale", np.array([novelty.middle, novelty.top])
    yield "novelty_rows", np.array([novelty.rows])
    yield "usual", np.array([novelty.usual.low, novelty.usual.median, novelty.usual.high])
    if model.judge is not None:
        near, stack = model.judge.vote.fitted.neighbours, model.judge.stack
        yield "steps", near.steps
        yield "prototypes", near.prototypes
        yield "labels", near.labels
        yield (
            "sum",
            np.array([stack.bias, stack.vote, stack.anomaly, stack.certain, *stack.patterns]),
        )
        yield "curve", np.array([stack.places, stack.heights])
    if model.reference is not None:
        yield "edges", model.reference.edges
        yield "shares", model.reference.shares
        yield "reference_rows", np.array([model.reference.rows])


def _novelty(content: Content) -> Novelty:
    from sklearn.ensemble import IsolationForest  # noqa: PLC0415 - loads scikit-learn

    forest = content["novelty"]
    if not isinstance(forest, IsolationForest):
        raise ArtifactError("the model artifact holds something that is no isolation forest")
    _check_width(forest)
    middle, top = _array(content, "scale", (2,)).tolist()
    if not middle < top:
        raise ArtifactError("the model artifact does not fit: its scale runs backwards")
    usual = Usual(*_array(content, "usual", (3, len(FEATURES))))
    rows = int(_array(content, "novelty_rows", (1,))[0])
    if not isinstance(forest.max_samples_, int) or forest.max_samples_ < 1:
        raise ArtifactError("the model artifact does not fit: its forest was grown on no rows")
    novelty = novelty_of(forest, middle, top, usual, rows, str(content["novelty_version"]))
    _check_walk(novelty.walk)
    return novelty


def _judge(content: Content) -> Judge:
    from sklearn.ensemble import (  # noqa: PLC0415 - loads scikit-learn
        HistGradientBoostingClassifier,
        RandomForestClassifier,
    )
    from sklearn.tree import DecisionTreeClassifier  # noqa: PLC0415 - the same

    kinds = {
        "tree": DecisionTreeClassifier,
        "forest": RandomForestClassifier,
        "boosting": HistGradientBoostingClassifier,
    }
    for name, kind in kinds.items():
        if not isinstance(content[name], kind):
            raise ArtifactError(f"the model artifact holds something else as its {name}")
        _check_width(content[name])
        if content[name].classes_.tolist() != [0, 1]:
            raise ArtifactError(
                f"the model artifact does not fit: labels of its {name} are not 0 and 1 in order"
            )
    fitted = Fitted(content["tree"], content["forest"], content["boosting"], _neighbours(content))
    vote = ready(fitted)
    for trees in (vote.tree, vote.forest, vote.boosting):
        _check_walk(trees)
    return Judge(vote, _stack(content))


def _neighbours(content: Content) -> Neighbours:
    width = len(FEATURES)
    labels = _array(content, "labels", (-1,))
    return Neighbours(
        steps=_array(content, "steps", (width,)).astype(np.float32),
        prototypes=_array(content, "prototypes", (len(labels), width)).astype(np.float32),
        labels=labels.astype(np.int8),
    )


def _stack(content: Content) -> Stack:
    weights = _array(content, "sum", (4 + len(PATTERNS),))
    places, heights = _array(content, "curve", (2, -1))
    if not (np.diff(places) > 0).all() or not (np.diff(heights) > 0).all():
        raise ArtifactError("the model artifact does not fit: its curve falls")
    bias, vote, anomaly, certain = weights[:4].tolist()
    return Stack(bias, vote, anomaly, weights[4:], certain, places, heights)


def _reference(content: Content) -> Reference | None:
    if "edges" not in content:
        return None
    lines = len(FEATURES) + 1
    return Reference(
        edges=_array(content, "edges", (lines, BINS - 1)),
        shares=_array(content, "shares", (lines, BINS)),
        rows=int(_array(content, "reference_rows", (1,))[0]),
    )


def _array(content: Content, name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return an array of numbers, of this shape (-1: of any length)."""
    array = content[name]
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fi":
        raise ArtifactError(f"the model artifact holds no numbers as its {name}")
    fits = len(array.shape) == len(shape) and all(
        wanted in {-1, found} for wanted, found in zip(shape, array.shape, strict=True)
    )
    if not fits or not np.isfinite(array).all():
        raise ArtifactError(f"the model artifact does not fit: {name} of shape {array.shape}")
    return array


def _check_walk(trees: Trees) -> None:
    if not trees.sound(len(FEATURES)):
        raise ArtifactError("the model artifact does not fit: a walk through its trees has no end")


def _check_width(estimator: object) -> None:
    width = getattr(estimator, "n_features_in_", 0)  # only a trained one has it
    if width != len(FEATURES):
        raise ArtifactError(f"the forest takes {width} features, not {len(FEATURES)}")
