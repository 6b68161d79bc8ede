"""Which model serves: kept in the state directory, told in /health and the metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from ai_suricata.classify.artifact import dump, load
from ai_suricata.classify.ensemble import NO_MODEL
from ai_suricata.core.errors import ArtifactError, StateError
from ai_suricata.state.file import replace
from ai_suricata.telemetry.health import Status

if TYPE_CHECKING:
    from pathlib import Path

    from ai_suricata.classify.estimator import Model
    from ai_suricata.telemetry.health import Health
    from ai_suricata.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)


class Serving:
    """The model of this instance, as a file."""

    def __init__(self, path: Path, health: Health, metrics: Metrics) -> None:
        """`path`: the artifact."""
        self._path = path
        self._health = health
        self._metrics = metrics

    def stored(self) -> Model | None:
        """Return the model that an earlier run left, if it fits this version.

        Raises `StateError` where it is there and can't be read: learning anew would replace it.
        """
        model: Model | None = None
        try:
            model = load(self._path.read_bytes())
        except FileNotFoundError:
            pass
        except OSError as error:
            raise StateError(
                f"{self._path} can't be read ({error.strerror}); let this user read it, or move it "
                "away to learn a new model"
            ) from error
        except ArtifactError as error:
            log.error("the stored model is not used; a new one is learned", problem=str(error))
        self._tell(model)
        return model

    def begin(self, model: Model) -> None:
        """Keep a model that serves from now on. A disk that fails is told, and it serves."""
        self._tell(model)
        log.info("a model serves", model=model.version, rows=model.rows)
        try:
            replace(self._path, dump(model))
        except StateError as error:
            log.error(
                "the model can't be stored; it is learned anew after a restart", problem=str(error)
            )

    def _tell(self, model: Model | None) -> None:
        if model is None:
            self._health.set("model", Status.OK, "learning; patterns judge alone")
            self._metrics.model(NO_MODEL, 0)
        else:
            self._health.set("model", Status.OK, f"{model.version} serves")
            self._metrics.model(model.version, model.rows)
