"""Which model serves: MODEL_PATH, else the promoted one, else the shipped one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from ai_suricata.classify import artifact
from ai_suricata.classify.artifact import dump
from ai_suricata.classify.store import Origin
from ai_suricata.core.clock import ManualClock
from ai_suricata.core.errors import ArtifactError, ConfigError, StateError
from ai_suricata.serving import Serving, fields_of
from ai_suricata.telemetry.health import Health
from ai_suricata.telemetry.metrics import Metrics
from fakes import eve
from fakes.pair import blind, by_patterns

if TYPE_CHECKING:
    from pathlib import Path

    from ai_suricata.classify.model import Model

SHIPPED = replace(by_patterns(), version="shipped", local=False)


@pytest.fixture(autouse=True)
def _shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a known model be the shipped one."""
    monkeypatch.setattr(artifact, "default", lambda: SHIPPED)


def serving_in(folder: Path, **variables: str) -> Serving:
    """Return what serves with this STATE_DIR."""
    settings = eve.settings(STATE_DIR=str(folder), **variables)
    return Serving(settings, ManualClock(1_700_000_000.0), Health(), Metrics())


def promoted(serving: Serving, model: Model) -> str:
    """Store and promote a model, as an operator does."""
    return serving.store.promote(serving.store.add(model, Origin.IMPORTED, 0.0).name).name


def version(model: Model | None) -> str:
    """Return its version, or none."""
    return model.version if model is not None else "none"


def test_without_a_choice_the_shipped_model_serves(tmp_path: Path) -> None:
    """And /health says that it learns."""
    serving = serving_in(tmp_path)

    assert "shipped" == version(serving.stored())
    detail = serving._health.snapshot()["parts"]["model"]["detail"]
    assert "shipped serves; it learns what is usual on this network" == detail


def test_a_promoted_model_serves(tmp_path: Path) -> None:
    """Until it is rolled back."""
    serving = serving_in(tmp_path)
    promoted(serving, blind())
    assert "blind" == version(serving.stored())
    serving.store.rollback()

    assert "shipped" == version(serving_in(tmp_path).stored())


def test_what_was_learned_serves_after_a_restart(tmp_path: Path) -> None:
    """It is stored as learned, and chosen."""
    serving = serving_in(tmp_path)
    serving.stored()
    serving.begin(by_patterns())
    (entry,) = serving.store.entries()

    assert (Origin.LEARNED, 1_700_000_000.0) == (entry.origin, entry.added)
    assert "by-patterns" == version(serving_in(tmp_path).stored())
    assert serving.promoted() is None


def test_a_model_that_was_promoted_since_is_returned_once(tmp_path: Path) -> None:
    """For SIGHUP."""
    serving = serving_in(tmp_path)
    serving.stored()
    promoted(serving, blind())

    assert ["blind", "none"] == [version(serving.promoted()), version(serving.promoted())]


def test_a_promoted_model_that_does_not_fit_changes_nothing(tmp_path: Path) -> None:
    """At SIGHUP it is told; at the next start the shipped one serves."""
    serving = serving_in(tmp_path)
    serving.stored()
    name = promoted(serving, blind())
    (tmp_path / f"models/{int(name):04d}.model").write_bytes(b"damaged")
    with capture_logs() as logs:
        assert serving.promoted() is None
        assert "shipped" == version(serving_in(tmp_path).stored())

    assert 2 == len([line for line in logs if line["log_level"] == "error"])


def test_a_chosen_model_that_is_gone_gives_way_to_the_shipped_one(tmp_path: Path) -> None:
    """Somebody has removed its file."""
    name = promoted(serving_in(tmp_path), blind())
    (tmp_path / f"models/{int(name):04d}.model").unlink()

    assert "shipped" == version(serving_in(tmp_path).stored())


def test_where_not_even_the_shipped_model_fits_patterns_judge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a line in the log that says why."""

    def refused() -> Model:
        raise ArtifactError("the shipped model is not there")

    monkeypatch.setattr(artifact, "default", refused)
    with capture_logs() as logs:
        assert "none" == version(serving_in(tmp_path).stored())

    assert "the shipped model is not there" in [line.get("problem") for line in logs]


def test_a_choice_that_can_not_be_read_stops_the_start(tmp_path: Path) -> None:
    """Learning anew would replace it."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models/active").write_bytes(b"{")

    with pytest.raises(StateError, match="active is damaged"):
        serving_in(tmp_path).stored()


def test_model_path_wins_over_what_was_promoted(tmp_path: Path) -> None:
    """At SIGHUP too."""
    (tmp_path / "named.model").write_bytes(dump(blind()))
    promoted(serving_in(tmp_path), replace(by_patterns(), version="other+forest"))
    serving = serving_in(tmp_path, MODEL_PATH=str(tmp_path / "named.model"))
    assert "blind" == version(serving.stored())
    promoted(serving, by_patterns())

    assert serving.promoted() is None


def test_what_model_path_has_learned_here_is_not_learned_again(tmp_path: Path) -> None:
    """The learned model carries the version of the one that it was made from."""
    (tmp_path / "named.model").write_bytes(dump(blind()))
    promoted(serving_in(tmp_path), replace(blind(), version="blind+forest-1", local=True))
    serving = serving_in(tmp_path, MODEL_PATH=str(tmp_path / "named.model"))

    assert "blind+forest-1" == version(serving.stored())


def test_a_model_path_that_is_wrong_stops_the_start(tmp_path: Path) -> None:
    """It is a setting, and named."""
    (tmp_path / "named.model").write_bytes(b"no model")

    with pytest.raises(ConfigError, match=r"MODEL_PATH: .*no model artifact"):
        serving_in(tmp_path, MODEL_PATH=str(tmp_path / "named.model")).stored()


def test_the_shadow_is_named_like_any_model(tmp_path: Path) -> None:
    """By number or path; without a name there is none."""
    name = promoted(serving_in(tmp_path), blind())

    assert serving_in(tmp_path).shadow() is None
    for setting, expected in ((name, "blind"), ("default", "shipped")):
        assert expected == version(serving_in(tmp_path, SHADOW_MODEL=setting).shadow())


def test_others_are_told_version_and_figures() -> None:
    """As text, each figure by its name."""
    expected = {
        "version": "blind",
        "trained_at": "2026-01-02T03:04:05Z",
        "rows": "120",
        "local": "false",
        "figure:recall": "0",
    }

    assert expected == fields_of(blind())
    assert {} == fields_of(None)
