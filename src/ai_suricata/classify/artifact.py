"""A model as a file: what serves must be what was trained.

The file is a zip of `model.json` (what the model is, and the digest of the rest) and
`forest.skops`. skops stores arrays and parameters and loads only the types named here: no pickle
is ever loaded (skops.readthedocs.io, "Secure persistence").
"""

from __future__ import annotations

import io
import zipfile
import zlib
from hashlib import blake2b
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from ai_suricata.classify.estimator import Model, Usual
from ai_suricata.core.errors import ArtifactError
from ai_suricata.core.schema import FEATURE_NAMES, SCHEMA_DIGEST

if TYPE_CHECKING:
    from sklearn.ensemble import IsolationForest

_METADATA, _FOREST = "model.json", "forest.skops"
_TRUSTED = {"sklearn.tree._tree.Tree"}
"""The one type of a forest that skops does not trust by itself: its arrays of nodes."""
FORMAT = 1


class Metadata(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a model is."""

    format: int
    version: str
    schema: str
    features: tuple[str, ...]
    middle: float
    top: float
    median: tuple[float, ...]
    high: tuple[float, ...]
    rows: int
    forest_digest: str
    """Hex BLAKE2b of the forest's bytes."""


def dump(model: Model) -> bytes:
    """Return the artifact of a model."""
    from skops.io import dumps  # noqa: PLC0415 - loads scikit-learn

    forest = dumps(model.forest)
    metadata = Metadata(
        format=FORMAT,
        version=model.version,
        schema=SCHEMA_DIGEST,
        features=FEATURE_NAMES,
        middle=model.middle,
        top=model.top,
        median=tuple(model.usual.median.tolist()),
        high=tuple(model.usual.high.tolist()),
        rows=model.rows,
        forest_digest=_digest(forest),
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(_METADATA, msgspec.json.encode(metadata))
        archive.writestr(_FOREST, forest)
    return buffer.getvalue()


def load(content: bytes) -> Model:
    """Return the model of an artifact. Raises `ArtifactError` with the check that failed."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            metadata = msgspec.json.decode(archive.read(_METADATA), type=Metadata)
            forest = archive.read(_FOREST)
    except (zipfile.BadZipFile, KeyError, EOFError, msgspec.DecodeError, zlib.error) as error:
        raise ArtifactError(f"this is no model artifact, or a damaged one: {error}") from error
    _check(metadata, forest)
    return Model(
        forest=_forest(forest),
        middle=metadata.middle,
        top=metadata.top,
        usual=Usual(np.array(metadata.median), np.array(metadata.high)),
        rows=metadata.rows,
        version=metadata.version,
    )


def _check(metadata: Metadata, forest: bytes) -> None:
    wrong = {
        f"format {metadata.format}, this version reads {FORMAT}": metadata.format != FORMAT,
        f"feature schema {metadata.schema}, this version serves {SCHEMA_DIGEST}": (
            metadata.schema != SCHEMA_DIGEST
        ),
        "features in another order": metadata.features != FEATURE_NAMES,
        "its forest is not the one that was stored": metadata.forest_digest != _digest(forest),
        "its scale runs backwards": not metadata.middle < metadata.top,
        "usual values of another number of features": (
            {len(metadata.median), len(metadata.high)} != {len(FEATURE_NAMES)}
        ),
    }
    for problem, found in wrong.items():
        if found:
            raise ArtifactError(f"the model artifact does not fit: {problem}; train a new one")


def _forest(content: bytes) -> IsolationForest:
    from sklearn.ensemble import IsolationForest  # noqa: PLC0415 - loads scikit-learn

    try:
        forest = _loaded(content)
    except ArtifactError:
        raise
    # skops takes the shape of what it reads for granted: a damaged file ends in whatever error
    # its own code comes upon first.
    except Exception as error:
        raise ArtifactError(f"the model artifact holds no forest: {error}") from error
    if not isinstance(forest, IsolationForest):
        raise ArtifactError("the model artifact holds something that is no isolation forest")
    width = getattr(forest, "n_features_in_", 0)  # only a trained one has it
    if width != len(FEATURE_NAMES):
        raise ArtifactError(f"the forest takes {width} features, not {len(FEATURE_NAMES)}")
    return forest


def _loaded(content: bytes) -> object:
    from skops.io import get_untrusted_types, loads  # noqa: PLC0415 - loads scikit-learn

    strange = sorted(set(get_untrusted_types(data=content)) - _TRUSTED)
    if strange:
        raise ArtifactError(
            f"the model artifact holds types that no model needs: {', '.join(strange)}"
        )
    loaded: object = loads(content, trusted=sorted(_TRUSTED))
    return loaded


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=16).hexdigest()
