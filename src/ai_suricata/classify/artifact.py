"""A model as a file: what serves must be what was trained.

The file is a zip of `model.json` (what the model is, and the digests of the rest) and
`parts.skops`. skops stores arrays and parameters and loads only the types named here: no pickle
is ever loaded (skops.readthedocs.io, "Secure persistence").

`digest` goes over arrays and parameters in a fixed order: two files of one model differ, since a
zip holds times and skops the order in which it met things.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from functools import lru_cache
from hashlib import blake2b
from importlib.metadata import version as version_of
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from ai_suricata.classify import storage
from ai_suricata.classify.vectors import SCALING
from ai_suricata.core.errors import ArtifactError
from ai_suricata.core.schema import FEATURE_NAMES, SCHEMA_DIGEST
from ai_suricata.core.verdict import PATTERN_NAMES

if TYPE_CHECKING:
    from ai_suricata.classify.model import Model

_METADATA, _PARTS = "model.json", "parts.skops"
_TRUSTED = frozenset(
    {
        "sklearn.tree._tree.Tree",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    }
)
"""The types that skops does not trust by itself: arrays of nodes, both of them."""
_MOST_BYTES = 64 << 20
"""Of one part, unpacked: a small file can claim to hold anything."""
_DAMAGED = (
    zipfile.BadZipFile,
    KeyError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    zlib.error,
    msgspec.DecodeError,
    UnicodeDecodeError,
)
"""What a zip or a JSON that was cut off or changed ends in."""
DEFAULT = "default.model"
FORMAT = 2
LABELS = ("normal", "attack")
"""What 0 and 1 mean."""


class Metadata(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a model is."""

    format: int
    version: str
    schema: str
    features: tuple[str, ...]
    labels: tuple[str, ...]
    patterns: tuple[str, ...]
    scaling: str
    rows: int
    trained_at: str
    data_digest: str
    local: bool
    figures: dict[str, float]
    libraries: dict[str, str]
    """Those that made it, with their versions: trees of another one may answer otherwise."""
    digest: str
    """Of arrays and parameters, as `digest` returns it."""
    parts_digest: str
    """Hex BLAKE2b of the bytes of the parts."""


def dump(model: Model) -> bytes:
    """Return the artifact of a model."""
    from skops.io import dumps  # noqa: PLC0415 - loads scikit-learn

    parts = dumps(storage.stored(model))
    metadata = Metadata(
        format=FORMAT,
        version=model.version,
        schema=SCHEMA_DIGEST,
        features=FEATURE_NAMES,
        labels=LABELS,
        patterns=PATTERN_NAMES,
        scaling=SCALING,
        rows=model.rows,
        trained_at=model.trained_at,
        data_digest=model.data_digest,
        local=model.local,
        figures=model.figures,
        libraries=_libraries(),
        digest=digest(model),
        parts_digest=_digest(parts),
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(_METADATA, msgspec.json.encode(metadata))
        archive.writestr(_PARTS, parts)
    return buffer.getvalue()


def load(content: bytes) -> Model:
    """Return the model of an artifact. Raises `ArtifactError` with the check that failed."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            metadata = msgspec.json.decode(_read(archive, _METADATA), type=Metadata)
            parts = _read(archive, _PARTS)
    except _DAMAGED as error:
        raise ArtifactError(f"this is no model artifact, or a damaged one: {error}") from error
    _check(metadata, parts)
    model = _restored(metadata, parts)
    if digest(model) != metadata.digest:
        raise _misfit("its arrays are not those that were stored")
    return model


def metadata_of(content: bytes) -> Metadata:
    """Return what an artifact says that it is, loading no part; raises `ArtifactError`."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return msgspec.json.decode(_read(archive, _METADATA), type=Metadata)
    except _DAMAGED as error:
        raise ArtifactError(f"this is no model artifact, or a damaged one: {error}") from error


@lru_cache(maxsize=1)
def default() -> Model:
    """Return the model that ships with the program; raises `ArtifactError` where it can't serve."""
    return load(shipped())


def shipped() -> bytes:
    """Return the artifact that ships with the program; raises `ArtifactError` without one."""
    try:
        return (files("ai_suricata.classify") / DEFAULT).read_bytes()
    except OSError as error:
        raise ArtifactError(f"the shipped model is not there: {error}") from error


def digest(model: Model) -> str:
    """Return the hex BLAKE2b over arrays and parameters, which the same training gives again."""
    total = blake2b(digest_size=16)
    for name, array in storage.arrays(model):
        plain = np.ascontiguousarray(array)
        total.update(f"{name} {plain.dtype.str} {plain.shape};".encode())
        total.update(plain.tobytes())
    return total.hexdigest()


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).file_size > _MOST_BYTES:
        raise ArtifactError(f"the model artifact claims {name} of over {_MOST_BYTES >> 20} MiB")
    return archive.read(name)


def _check(metadata: Metadata, parts: bytes) -> None:
    wrong = {
        f"format {metadata.format}, this version reads {FORMAT}": metadata.format != FORMAT,
        f"feature schema {metadata.schema}, this version serves {SCHEMA_DIGEST}": (
            metadata.schema != SCHEMA_DIGEST
        ),
        "features in another order": metadata.features != FEATURE_NAMES,
        f"labels {metadata.labels}, not {LABELS}": metadata.labels != LABELS,
        "other patterns": metadata.patterns != PATTERN_NAMES,
        f"scaling {metadata.scaling!r}, not {SCALING!r}": metadata.scaling != SCALING,
        f"made by {_told(metadata.libraries)}, here is {_told(_libraries())}": (
            metadata.libraries != _libraries()
        ),
        "its parts are not the ones that were stored": metadata.parts_digest != _digest(parts),
    }
    for problem, found in wrong.items():
        if found:
            raise _misfit(problem)


def _restored(metadata: Metadata, parts: bytes) -> Model:
    try:
        return storage.restored(
            _loaded(parts),
            version=metadata.version,
            rows=metadata.rows,
            trained_at=metadata.trained_at,
            data_digest=metadata.data_digest,
            local=metadata.local,
            figures=metadata.figures,
        )
    except ArtifactError:
        raise
    # skops takes the shape of what it reads for granted: a damaged file ends in whatever error
    # its own code comes upon first.
    except Exception as error:
        raise ArtifactError(f"the model artifact holds no model: {error}") from error


def _loaded(content: bytes) -> Any:  # noqa: ANN401 - checked by `storage`, field by field
    from skops.io import get_untrusted_types, loads  # noqa: PLC0415 - loads scikit-learn

    strange = sorted(set(get_untrusted_types(data=content)) - _TRUSTED)
    if strange:
        raise ArtifactError(
            f"the model artifact holds types that no model needs: {', '.join(strange)}"
        )
    return loads(content, trusted=sorted(_TRUSTED))


def _misfit(problem: str) -> ArtifactError:
    return ArtifactError(f"the model artifact does not fit: {problem}; train a new one")


def _libraries() -> dict[str, str]:
    """Return the version of scikit-learn without its last place: fixes change no tree."""
    return {"scikit-learn": ".".join(version_of("scikit-learn").split(".")[:2])}


def _told(libraries: dict[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(libraries.items()))


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=16).hexdigest()
