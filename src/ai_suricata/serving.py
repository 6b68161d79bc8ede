"""Which model serves: chosen in the model store, told in /health and the metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from ai_suricata.classify.ensemble import NO_MODEL
from ai_suricata.classify.store import DEFAULT, ModelStore, Origin
from ai_suricata.core.errors import ArtifactError, ConfigError, StateError
from ai_suricata.telemetry.health import Status

if TYPE_CHECKING:
    from pathlib import Path

    from ai_suricata.classify.model import Model
    from ai_suricata.config.settings import Settings
    from ai_suricata.core.clock import Clock
    from ai_suricata.telemetry.health import Health
    from ai_suricata.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)


def fields_of(model: Model | None) -> dict[str, str]:
    """Return what others are told of the model that serves; nothing where none does."""
    if model is None:
        return {}
    figures = {f"figure:{name}": f"{value:.6g}" for name, value in sorted(model.figures.items())}
    return {
        "version": model.version,
        "trained_at": str(model.trained_at),
        "rows": str(model.rows),
        "local": str(model.local).lower(),
        **figures,
    }


class Serving:
    """The model of this instance: MODEL_PATH, else the promoted one, else the shipped one."""

    def __init__(self, settings: Settings, clock: Clock, health: Health, metrics: Metrics) -> None:
        """`clock`: wall clock. Nothing is read yet."""
        self._settings = settings
        self._clock = clock
        self._health = health
        self._metrics = metrics
        self.store = ModelStore(settings.state.directory / "models")
        self._chosen = ""
        """What was chosen in the store when it was last looked at."""

    def stored(self) -> Model | None:
        """Return the model that serves from the start; None where not even a shipped one fits.

        An artifact that does not fit this version is told, and the shipped one serves. Raises
        `ConfigError` where MODEL_PATH can't be used, `StateError` where the store can't be read:
        learning anew would replace what is chosen there.
        """
        path = self._settings.classify.model_path
        self._chosen = self.store.choice().name
        model = self._promoted() if path is None else self._named(path)
        if model is None and self._chosen != DEFAULT:
            model = self._shipped()
        self._tell(model)
        return model

    def promoted(self) -> Model | None:
        """Return the model that was promoted since the last look, or None (for SIGHUP).

        What can't be read or does not fit is told, and nothing changes.
        """
        if self._settings.classify.model_path is not None:
            return None
        try:
            choice = self.store.choice().name
            if choice == self._chosen:
                return None
            model = self.store.load(choice)
        except (StateError, ArtifactError) as error:
            log.error("the promoted model does not serve; nothing changes", problem=str(error))
            return None
        self._chosen = choice
        log.info("a promoted model serves", model=model.version, name=choice)
        self._tell(model)
        return model

    def shadow(self) -> Model | None:
        """Return the model of SHADOW_MODEL, which is scored beside the one that serves, or None.

        Raises `ConfigError` where it can't be used.
        """
        name = self._settings.classify.shadow_model
        try:
            return self.store.load(name) if name else None
        except (StateError, ArtifactError) as error:
            raise ConfigError([f"SHADOW_MODEL: {error}"]) from error

    def begin(self, model: Model) -> None:
        """Keep and choose a model that serves from now on. A disk that fails is told."""
        self._tell(model)
        log.info("a model serves", model=model.version, rows=model.rows)
        try:
            entry = self.store.add(model, Origin.LEARNED, self._clock.now())
            self._chosen = self.store.promote(entry.name).name
        except StateError as error:
            log.error(
                "the model can't be stored; it is learned anew after a restart", problem=str(error)
            )

    def _named(self, path: Path) -> Model:
        """Return the model of MODEL_PATH, with what was learned here since, if anything was."""
        try:
            named = self.store.load(str(path.absolute()))
        except (StateError, ArtifactError) as error:
            raise ConfigError([f"MODEL_PATH: {error}"]) from error
        if named.local or self._chosen == DEFAULT:
            return named
        entry = self.store.entry(self._chosen)
        if entry is None or not entry.local or entry.version.split("+", 1)[0] != named.version:
            return named
        return self._promoted() or named

    def _promoted(self) -> Model | None:
        try:
            return self.store.load(self._chosen)
        except ArtifactError as error:
            log.error("the chosen model is not used", name=self._chosen, problem=str(error))
            return None

    def _shipped(self) -> Model | None:
        try:
            return self.store.load(DEFAULT)
        except (StateError, ArtifactError) as error:
            log.error("the shipped model is not used; patterns judge alone", problem=str(error))
            return None

    def _tell(self, model: Model | None) -> None:
        if model is None:
            self._health.set("model", Status.OK, "learning; patterns judge alone")
            self._metrics.model(NO_MODEL, 0)
        else:
            learns = "" if model.local else "; it learns what is usual on this network"
            self._health.set("model", Status.OK, f"{model.version} serves{learns}")
            self._metrics.model(model.version, model.rows)
