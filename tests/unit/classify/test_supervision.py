"""Supervision: drift and shadow are told, and the verdicts stay."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from structlog.testing import capture_logs

from ai_suricata.classify.drift import LITTLE, MUCH, reference
from ai_suricata.classify.shadow import Shadow
from ai_suricata.classify.supervision import Supervision
from ai_suricata.core.schema import FEATURES, INDEX
from ai_suricata.core.verdict import Level
from ai_suricata.telemetry.health import Health
from ai_suricata.telemetry.metrics import Metrics
from fakes import eve
from fakes.pair import blind, by_patterns
from fakes.verdict import verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from ai_suricata.classify.model import Model

START = 1_700_000_000 * 1_000_000
HOUR = 3600 * 1_000_000
LOOK = 300 * 1_000_000


def model_of(seed: int = 1) -> Model:
    """Return a local model whose reference is spread evenly."""
    random = np.random.default_rng(seed)
    matrix = random.exponential(1.0, (4000, len(FEATURES)))
    return replace(by_patterns(), reference=reference(matrix, random.beta(1, 9, 4000)))


class Bench:
    """A supervision with what it tells."""

    def __init__(self, serving: Callable[[], Model | None], shadow: Shadow | None = None) -> None:
        self.metrics, self.health = Metrics(), Health()
        self.supervision = Supervision(serving, self.metrics, self.health, shadow)

    def wave(self, at: int, *, times: float = 1.0, rows: int = 1000, level: int = 0) -> None:
        """Hand a wave over: `times` how much larger than usual `flows` is."""
        random = np.random.default_rng(2)
        matrix = random.exponential(1.0, (rows, len(FEATURES)))
        matrix[:, INDEX["flows"]] *= times
        verdicts = [
            verdict(Level(level), f"::{n}", score)
            for n, score in enumerate(random.beta(1, 9, rows).tolist())
        ]
        addresses = [one.address for one in verdicts]
        moments = np.full(rows, at)
        self.supervision.observe(addresses, np.zeros(rows, np.bool_), moments, matrix, verdicts)

    def samples(self, name: str) -> dict[str, float]:
        """Return the series of a metric by their label."""
        lines = self.metrics.render().decode().splitlines()
        found = [line.rsplit(" ", 1) for line in lines if line.startswith(f"suricata_ai_{name}")]
        return {key.partition('"')[2].partition('"')[0]: float(value) for key, value in found}


def test_drift_is_told_for_the_features_that_drifted_most() -> None:
    """Ten of them, besides the score and all together."""
    model = model_of()
    bench = Bench(lambda: model)
    bench.wave(START, times=9.0)
    told = bench.samples("feature_drift")

    assert {"overall", "score", "flows"} <= set(told)
    assert 12 == len(told)
    assert told["flows"] > MUCH
    assert told["score"] < LITTLE


def test_much_drift_is_warned_of_once_until_it_has_gone() -> None:
    """Not at every look."""
    model = model_of()
    bench = Bench(lambda: model)
    with capture_logs() as logs:
        for step, times in enumerate((1.0, 1.0, 1.0)):
            bench.wave(START + step * LOOK, times=times)
    assert [] == [line for line in logs if line["log_level"] == "warning"]
    everything = np.full((1000, len(FEATURES)), 50.0)
    with capture_logs() as logs:
        for step in range(3):
            verdicts = [verdict(Level.INFO, f"::{n}", 0.9) for n in range(1000)]
            bench.supervision.observe(
                [one.address for one in verdicts],
                np.zeros(1000, np.bool_),
                np.full(1000, START + 30 * HOUR + step * LOOK),
                everything,
                verdicts,
            )
    warnings = [line for line in logs if line["log_level"] == "warning"]

    assert 1 == len(warnings)
    assert 3 == len(warnings[0]["features"])


def test_a_model_that_does_not_know_this_network_has_nothing_to_drift_from() -> None:
    """The shipped one was made from the laboratory's rows."""
    foreign = replace(model_of(), local=False)
    for model in (foreign, replace(model_of(), reference=None), None):
        bench = Bench(lambda model=model: model)  # type: ignore[misc] # bound for each round
        bench.wave(START, times=9.0)

        assert {} == bench.samples("feature_drift")


def test_another_model_begins_a_window_of_its_own() -> None:
    """What is told of the old one is gone at once."""
    serving = [model_of()]
    bench = Bench(lambda: serving[0])
    bench.wave(START, times=9.0)
    assert 12 == len(bench.samples("feature_drift"))
    serving[0] = model_of(3)
    bench.wave(START + LOOK, rows=10)

    assert {} == bench.samples("feature_drift")


def test_the_shadow_is_counted_and_told_in_health() -> None:
    """By kind; the sentence has the numbers."""
    shadow = Shadow(blind(), "blind", eve.settings().classify)
    bench = Bench(by_patterns, shadow)
    bench.wave(START, rows=20, level=Level.CRITICAL)
    detail = bench.health.snapshot()["parts"]["shadow model"]["detail"]

    assert detail == (
        "blind is scored beside: of 20 verdicts 20 came to another level; "
        "it would block 0 more and 20 fewer"
    )
    assert 20.0 == bench.samples("shadow_disagreements_total")["block_missed"]
    assert {"": 20.0} == bench.samples("shadow_rows_total")


def test_the_sentence_on_the_shadow_changes_once_an_hour() -> None:
    """Each change is a line in the log."""
    bench = Bench(by_patterns, Shadow(blind(), "blind", eve.settings().classify))
    said = []
    for at in (START, START + HOUR // 2, START + HOUR):
        bench.wave(at, rows=5)
        said.append(bench.health.snapshot()["parts"]["shadow model"]["detail"])

    assert ["of 5 ", "of 5 ", "of 15 "] == [text[24:].split("verdicts")[0] for text in said]


def test_without_a_shadow_nothing_is_said_of_one() -> None:
    """Neither in /health nor in the counters."""
    bench = Bench(by_patterns)
    bench.wave(START, rows=5)

    assert "shadow model" not in bench.health.snapshot()["parts"]
    assert {"": 0.0} == bench.samples("shadow_rows_total")
