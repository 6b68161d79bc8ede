"""Models by name, as commands take them, and what can be said of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ai_suricata.cli.outcome import Exit, fail

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ai_suricata.classify.model import Model
    from ai_suricata.classify.store import ModelStore
    from ai_suricata.config.settings import Settings

_MOST_FEATURES = 15
"""Features whose usual values are told where two models differ."""


def store_of(settings: Settings) -> ModelStore:
    """Return the model store of STATE_DIR."""
    from ai_suricata.classify.store import ModelStore

    return ModelStore(settings.state.directory / "models")


def named(settings: Settings, name: str) -> Model:
    """Return a model by name or path, or end the program with what is wrong with it."""
    from ai_suricata.core.errors import ArtifactError, StateError

    try:
        return store_of(settings).load(name)
    except (ArtifactError, StateError) as error:
        fail(Exit.USAGE, f"{name}: {error}")


def facts_of(model: Model) -> dict[str, Any]:
    """Return what a model says of itself, its figures and usual values aside."""
    from ai_suricata.core.schema import FEATURES

    return {
        "version": model.version,
        "trained_at": str(model.trained_at),
        "rows": model.rows,
        "local": model.local,
        "calibrated": model.judge is not None,
        "features": len(FEATURES),
        "data_digest": model.data_digest,
    }


def usual_of(model: Model) -> list[dict[str, Any]]:
    """Return each feature with its meaning and what is usual of it."""
    from ai_suricata.core.schema import FEATURES

    columns = zip(
        FEATURES,
        model.usual.low.tolist(),
        model.usual.median.tolist(),
        model.usual.high.tolist(),
        strict=True,
    )
    return [
        {"feature": feature.name, "meaning": feature.meaning, "low": a, "median": b, "high": c}
        for feature, a, b, c in columns
    ]


def differences(one: Model, other: Model) -> Iterator[tuple[str, Any, Any]]:
    """Yield (what, first, second) of what differs; of the usual values, the most different."""
    from math import log1p

    first, second = facts_of(one), facts_of(other)
    yield from ((key, first[key], second[key]) for key in first if first[key] != second[key])
    for name in sorted({*one.figures, *other.figures}):
        a, b = one.figures.get(name), other.figures.get(name)
        if a != b:
            yield f"figure {name}", a, b
    pairs = list(zip(usual_of(one), usual_of(other), strict=True))

    def far(pair: tuple[dict[str, Any], dict[str, Any]]) -> float:
        return abs(log1p(max(pair[0]["high"], 0)) - log1p(max(pair[1]["high"], 0)))

    for pair in sorted(pairs, key=far, reverse=True)[:_MOST_FEATURES]:
        if far(pair) > 0:
            yield f"usual {pair[0]['feature']}, 95%", pair[0]["high"], pair[1]["high"]


def text_of(value: object) -> str:
    """Return a value as a table shows it."""
    if value is None:
        return "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def as_object(name: str, model: Model) -> dict[str, Any]:
    """Return a model as the JSON object that `models show` writes."""
    return {
        "name": name,
        **facts_of(model),
        "figures": model.figures,
        "usual": [{key: one[key] for key in one if key != "meaning"} for one in usual_of(model)],
    }
