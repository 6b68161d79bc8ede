"""A stored model serves what was trained, or is refused with the reason."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import FunctionTransformer
from skops.io import dumps

from ai_suricata.classify.artifact import dump, load
from ai_suricata.classify.estimator import Model, fit
from ai_suricata.core.errors import ArtifactError
from ai_suricata.core.schema import FEATURE_NAMES, FEATURES

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="module")
def model() -> Model:
    """Return a small model."""
    return fit(np.random.default_rng(1).poisson(2.0, (120, len(FEATURES))).astype(np.float64))


@pytest.fixture(scope="module")
def stored(model: Model) -> bytes:
    """Return its artifact."""
    return dump(model)


def rebuilt(stored: bytes, change: Callable[[dict[str, Any]], None], forest: bytes = b"") -> bytes:
    """Return the artifact with its metadata changed, and with another forest where one is given.

    The digest fits the other forest: whoever writes an artifact can write that too.
    """
    with zipfile.ZipFile(io.BytesIO(stored)) as archive:
        metadata = json.loads(archive.read("model.json"))
        content = forest or archive.read("forest.skops")
    metadata["forest_digest"] = blake2b(content, digest_size=16).hexdigest()
    change(metadata)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("model.json", json.dumps(metadata))
        archive.writestr("forest.skops", content)
    return buffer.getvalue()


def test_a_model_that_was_stored_gives_the_same_scores_to_the_digit(
    model: Model, stored: bytes
) -> None:
    """And keeps its version, its scale and what is usual."""
    loaded = load(stored)
    matrix = np.random.default_rng(2).poisson(9.0, (200, len(FEATURES))).astype(np.float64)

    assert model.anomaly(matrix).tolist() == loaded.anomaly(matrix).tolist()
    assert (model.version, model.rows, model.middle, model.top) == (
        loaded.version,
        loaded.rows,
        loaded.middle,
        loaded.top,
    )
    assert model.usual.median.tolist() == loaded.usual.median.tolist()
    assert model.usual.high.tolist() == loaded.usual.high.tolist()
    assert load(rebuilt(stored, lambda _: None)).version == model.version


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04", b"\x80\x04\x95" * 40])
def test_what_is_no_zip_is_refused(content: bytes) -> None:
    """A pickle, for one."""
    with pytest.raises(ArtifactError, match="no model artifact, or a damaged one"):
        load(content)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_artifact_is_refused(stored: bytes, share: float) -> None:
    """As a full disk leaves it."""
    with pytest.raises(ArtifactError):
        load(stored[: int(len(stored) * share)])


@pytest.mark.parametrize("part", range(40))
def test_a_flipped_byte_is_refused_or_changes_nothing(
    model: Model, stored: bytes, part: int
) -> None:
    """Whichever byte it is: never another model under the same name, never another error."""
    place = len(stored) * part // 40
    damaged = stored[:place] + bytes([stored[place] ^ 0xFF]) + stored[place + 1 :]
    matrix = np.ones((3, len(FEATURES))) * 5
    try:
        loaded = load(damaged)
    except ArtifactError:
        return
    assert model.anomaly(matrix).tolist() == loaded.anomaly(matrix).tolist()


def test_a_flipped_byte_of_the_forest_is_refused(stored: bytes) -> None:
    """The zip's own checksum finds it."""
    place = stored.index(b"forest.skops") + len(stored) // 3
    with pytest.raises(ArtifactError, match="damaged"):
        load(stored[:place] + bytes([stored[place] ^ 1]) + stored[place + 1 :])


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("format", 2, "format 2"),
        ("schema", "0123456789abcdef", "feature schema 0123456789abcdef"),
        ("features", list(reversed(FEATURE_NAMES)), "features in another order"),
        ("features", list(FEATURE_NAMES[:-1]), "features in another order"),
        ("forest_digest", "00" * 16, "not the one that was stored"),
        ("top", -1.0, "scale runs backwards"),
    ],
)
def test_an_artifact_that_does_not_fit_is_refused_with_the_reason(
    stored: bytes, field: str, value: object, reason: str
) -> None:
    """What serves must be what was trained."""
    with pytest.raises(ArtifactError, match=reason):
        load(rebuilt(stored, lambda metadata: metadata.__setitem__(field, value)))


@pytest.mark.parametrize("field", ["median", "high"])
def test_usual_values_of_another_width_are_refused(stored: bytes, field: str) -> None:
    """They would be compared with the wrong features, or break the first verdict."""
    with pytest.raises(ArtifactError, match="usual values"):
        load(rebuilt(stored, lambda metadata: metadata[field].pop()))


@pytest.mark.parametrize(
    "change",
    [
        lambda metadata: metadata.pop("schema"),
        lambda metadata: metadata.__setitem__("rows", "many"),
        lambda metadata: metadata.__setitem__("extra", 1),
    ],
    ids=["missing", "wrong type", "unknown"],
)
def test_metadata_of_another_shape_is_refused(
    stored: bytes, change: Callable[[dict[str, Any]], None]
) -> None:
    """Nothing is filled in or left out."""
    with pytest.raises(ArtifactError):
        load(rebuilt(stored, change))


class Trap:
    """What a pickle can do to whoever loads it."""

    def __init__(self, path: Path) -> None:
        """`path`: is made when the trap springs."""
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return os.mkdir, (str(self.path),)


def test_a_pickle_inside_is_refused_and_not_executed(stored: bytes, tmp_path: Path) -> None:
    """Neither in the place of the forest nor inside of a skops archive."""
    bait = tmp_path / "sprung"
    trap = pickle.dumps(Trap(bait))
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("schema.json", trap)

    for forest in (trap, inner.getvalue()):
        with pytest.raises(ArtifactError):
            load(rebuilt(stored, lambda _: None, forest))
    assert not bait.exists()
    pickle.loads(trap)  # noqa: S301 - our own: shows that the trap works
    assert bait.exists()


@pytest.mark.parametrize("strange", [FunctionTransformer(os.system), Path("/"), os.system])
def test_a_forest_of_strange_types_is_refused_by_name(stored: bytes, strange: object) -> None:
    """Only what a forest needs is loaded."""
    with pytest.raises(ArtifactError, match="types that no model needs: "):
        load(rebuilt(stored, lambda _: None, dumps(strange)))


def test_something_else_than_a_forest_is_refused(stored: bytes) -> None:
    """Though all of its types are harmless."""
    with pytest.raises(ArtifactError, match="no isolation forest"):
        load(rebuilt(stored, lambda _: None, dumps({"n_features_in_": len(FEATURES)})))


def test_a_forest_of_another_width_is_refused(stored: bytes) -> None:
    """It would answer with the wrong features."""
    narrow = IsolationForest(n_estimators=2, random_state=1).fit(np.ones((4, 3)))
    with pytest.raises(ArtifactError, match="3 features"):
        load(rebuilt(stored, lambda _: None, dumps(narrow)))


def test_a_forest_that_was_never_trained_is_refused(stored: bytes) -> None:
    """It has no width at all."""
    with pytest.raises(ArtifactError):
        load(rebuilt(stored, lambda _: None, dumps(IsolationForest())))
