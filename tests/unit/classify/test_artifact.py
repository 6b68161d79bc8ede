"""A stored model serves what was trained, or is refused with the reason."""

from __future__ import annotations

import copy
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

from ai_suricata.classify import estimator, storage
from ai_suricata.classify.artifact import digest, dump, load, metadata_of
from ai_suricata.classify.model import Model, unlabelled
from ai_suricata.core.errors import ArtifactError
from ai_suricata.core.schema import FEATURE_NAMES, FEATURES
from fakes import model as fake

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="module")
def model() -> Model:
    """Return a small model."""
    return fake.trained()


@pytest.fixture(scope="module")
def stored(model: Model) -> bytes:
    """Return its artifact."""
    return dump(model)


def rebuilt(
    stored: bytes, change: Callable[[dict[str, Any]], None] = lambda _: None, parts: bytes = b""
) -> bytes:
    """Return the artifact with its metadata changed, and with other parts where they are given.

    The digest of the bytes fits the other parts: whoever writes an artifact can write that too.
    """
    with zipfile.ZipFile(io.BytesIO(stored)) as archive:
        metadata = json.loads(archive.read("model.json"))
        content = parts or archive.read("parts.skops")
    metadata["parts_digest"] = blake2b(content, digest_size=16).hexdigest()
    change(metadata)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("model.json", json.dumps(metadata))
        archive.writestr("parts.skops", content)
    return buffer.getvalue()


def exchanged(model: Model, stored: bytes, **parts: object) -> bytes:
    """Return the artifact with some of its parts exchanged."""
    return rebuilt(stored, parts=dumps(storage.stored(model) | parts))


def test_a_model_that_was_stored_gives_the_same_scores_to_the_digit(
    model: Model, stored: bytes
) -> None:
    """And keeps its version, its figures and what is usual."""
    loaded = load(stored)
    matrix = np.vstack([fake.vectors(200, 2), fake.guesses(fake.vectors(50, 3))])

    assert model.score(matrix).tolist() == loaded.score(matrix).tolist()
    assert model.usual.high.tolist() == loaded.usual.high.tolist()
    assert (model.version, model.rows, model.trained_at, model.data_digest, model.figures) == (
        loaded.version,
        loaded.rows,
        loaded.trained_at,
        loaded.data_digest,
        loaded.figures,
    )
    assert model.reference is not None
    assert loaded.reference is not None
    assert model.reference.edges.tolist() == loaded.reference.edges.tolist()


def test_a_model_of_local_traffic_alone_is_stored_too() -> None:
    """Where there was no shipped one."""
    matrix = fake.vectors(90, 4)
    alone = unlabelled(estimator.fit(matrix), matrix)
    loaded = load(dump(alone))

    assert (None, True, alone.version) == (loaded.judge, loaded.local, loaded.version)
    assert alone.score(matrix).tolist() == loaded.score(matrix).tolist()


def test_two_artifacts_of_one_model_have_one_digest(model: Model, stored: bytes) -> None:
    """It goes over arrays and parameters; a zip holds times besides."""
    again = dump(load(stored))

    assert digest(model) == digest(load(again))
    assert digest(model) == metadata_of(stored).digest


def test_what_an_artifact_says_that_it_is(model: Model, stored: bytes) -> None:
    """Without loading a tree of it."""
    metadata = metadata_of(stored)

    assert (model.version, FEATURE_NAMES, ("normal", "attack"), "log1p float32") == (
        metadata.version,
        metadata.features,
        metadata.labels,
        metadata.scaling,
    )
    assert {"scikit-learn"} == set(metadata.libraries)
    with pytest.raises(ArtifactError, match="no model artifact"):
        metadata_of(b"not a zip")


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
    try:
        loaded = load(damaged)
    except ArtifactError:
        return
    assert digest(model) == digest(loaded)


def test_a_flipped_byte_of_the_parts_is_refused(stored: bytes) -> None:
    """The zip's own checksum finds it; where that fits too, the digest does."""
    place = stored.index(b"parts.skops") + len(stored) // 3
    with pytest.raises(ArtifactError, match="damaged"):
        load(stored[:place] + bytes([stored[place] ^ 1]) + stored[place + 1 :])
    with pytest.raises(ArtifactError, match="its parts are not the ones that were stored"):
        load(rebuilt(stored, lambda metadata: metadata.__setitem__("parts_digest", "00" * 16)))


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("format", 1, "format 1, this version reads 2"),
        ("schema", "0123456789abcdef", "feature schema 0123456789abcdef"),
        ("features", list(reversed(FEATURE_NAMES)), "features in another order"),
        ("features", list(FEATURE_NAMES[:-1]), "features in another order"),
        ("labels", ["attack", "normal"], "labels .'attack', 'normal'., not .'normal', 'attack'."),
        ("scaling", "sqrt", "scaling 'sqrt', not 'log1p float32'"),
        ("patterns", ["port_scan"], "other patterns"),
        ("libraries", {"scikit-learn": "0.1"}, "made by scikit-learn 0.1, here is scikit-learn"),
        ("digest", "00" * 16, "its arrays are not those that were stored"),
    ],
)
def test_an_artifact_that_does_not_fit_is_refused_with_the_reason(
    stored: bytes, field: str, value: object, reason: str
) -> None:
    """What serves must be what was trained."""
    with pytest.raises(ArtifactError, match=reason):
        load(rebuilt(stored, lambda metadata: metadata.__setitem__(field, value)))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("usual", "usual of shape"),
        ("prototypes", "prototypes of shape"),
        ("sum", "sum of shape"),
        ("edges", "edges of shape"),
    ],
)
def test_arrays_of_another_width_are_refused_by_name(
    model: Model, stored: bytes, name: str, reason: str
) -> None:
    """They would be compared with the wrong features, or break the first verdict."""
    narrow = storage.stored(model)[name][..., :-1]
    with pytest.raises(ArtifactError, match=reason):
        load(exchanged(model, stored, **{name: narrow}))


def test_learners_with_swapped_labels_are_refused(model: Model, stored: bytes) -> None:
    """They would call every client an attacker."""
    assert model.judge is not None
    swapped = copy.deepcopy(model.judge.vote.fitted.forest)
    swapped.classes_ = swapped.classes_[::-1].copy()
    with pytest.raises(ArtifactError, match="labels of its forest are not 0 and 1 in order"):
        load(exchanged(model, stored, forest=swapped))


def test_shuffled_columns_are_refused(model: Model, stored: bytes) -> None:
    """Of any array: its digest is another."""
    shuffled = storage.stored(model)["prototypes"][:, ::-1].copy()
    with pytest.raises(ArtifactError, match="its arrays are not those that were stored"):
        load(exchanged(model, stored, prototypes=shuffled))


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("scale", np.array([0.6, 0.5]), "scale runs backwards"),
        ("curve", np.array([[0.0, 1.0], [1.0, 0.0]]), "its curve falls"),
        ("usual", np.full((3, len(FEATURES)), np.nan), "usual of shape"),
        ("steps", "many", "no numbers as its steps"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(
    model: Model, stored: bytes, name: str, value: object, reason: str
) -> None:
    """Each with its own reason."""
    with pytest.raises(ArtifactError, match=reason):
        load(exchanged(model, stored, **{name: value}))


def test_trees_whose_branches_form_a_ring_are_refused(model: Model, stored: bytes) -> None:
    """The first score would never end."""
    forest = copy.deepcopy(model.novelty.forest)
    state = forest.estimators_[3].tree_.__getstate__()
    state["nodes"]["left_child"][2] = state["nodes"]["right_child"][2] = 0
    forest.estimators_[3].tree_.__setstate__(state)
    with pytest.raises(ArtifactError, match="a walk through its trees has no end"):
        load(exchanged(model, stored, novelty=forest))


def test_trees_that_ask_for_a_feature_that_is_not_there_are_refused(
    model: Model, stored: bytes
) -> None:
    """They would read foreign memory. Boosting has trees of its own kind."""
    assert model.judge is not None
    boosting = copy.deepcopy(model.judge.vote.fitted.boosting)
    boosting._predictors[1][0].nodes["feature_idx"][0] = len(FEATURES)
    with pytest.raises(ArtifactError, match="a walk through its trees has no end"):
        load(exchanged(model, stored, boosting=boosting))


def test_a_part_that_claims_to_be_huge_is_refused() -> None:
    """Before it is unpacked."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.json", b" " * (65 << 20))
    with pytest.raises(ArtifactError, match="over 64 MiB"):
        load(buffer.getvalue())


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
    """Neither in the place of the parts nor inside of a skops archive."""
    bait = tmp_path / "sprung"
    trap = pickle.dumps(Trap(bait))
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("schema.json", trap)

    for parts in (trap, inner.getvalue()):
        with pytest.raises(ArtifactError, match="holds no model"):
            load(rebuilt(stored, parts=parts))
    assert not bait.exists()
    pickle.loads(trap)  # noqa: S301 - our own: shows that the trap works
    assert bait.exists()


@pytest.mark.parametrize("strange", [FunctionTransformer(os.system), Path("/"), os.system])
def test_strange_types_are_refused_by_name(stored: bytes, strange: object) -> None:
    """Only what a model needs is loaded."""
    with pytest.raises(ArtifactError, match="types that no model needs: "):
        load(rebuilt(stored, parts=dumps(strange)))


def test_something_else_than_a_forest_is_refused(model: Model, stored: bytes) -> None:
    """Though all of its types are harmless."""
    with pytest.raises(ArtifactError, match="no isolation forest"):
        load(exchanged(model, stored, novelty={"n_features_in_": len(FEATURES)}))
    with pytest.raises(ArtifactError, match="something else as its tree"):
        load(exchanged(model, stored, tree=[1, 2]))


def test_a_forest_of_another_width_is_refused(model: Model, stored: bytes) -> None:
    """It would answer with the wrong features."""
    narrow = IsolationForest(n_estimators=2, random_state=1).fit(np.ones((4, 3)))
    with pytest.raises(ArtifactError, match="3 features"):
        load(exchanged(model, stored, novelty=narrow))


def test_a_forest_that_was_never_trained_is_refused(model: Model, stored: bytes) -> None:
    """It has no width at all."""
    with pytest.raises(ArtifactError, match="0 features"):
        load(exchanged(model, stored, novelty=IsolationForest()))
