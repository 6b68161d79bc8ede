"""Two models that disagree: one goes by patterns alone, the other sees nothing."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from ai_suricata.classify import vote
from ai_suricata.classify.estimator import fit
from ai_suricata.classify.model import Judge, Model, unlabelled
from ai_suricata.classify.patterns import PATTERNS
from ai_suricata.classify.stack import Stack
from ai_suricata.classify.vectors import scaled
from ai_suricata.core.schema import FEATURES


@lru_cache(maxsize=1)
def by_patterns() -> Model:
    """Return a model without a vote: patterns judge, and it knows this network."""
    matrix = np.random.default_rng(5).poisson(1.0, (60, len(FEATURES))).astype(np.float64)
    nothing_odd = replace(fit(matrix), middle=10.0, top=11.0)
    model = unlabelled(nothing_odd, matrix)
    return replace(model, version="by-patterns", figures={"recall": 0.75})


@lru_cache(maxsize=1)
def blind() -> Model:
    """Return a model with a vote that scores every row near 0: nothing is ever blocked."""
    random = np.random.default_rng(6)
    matrix = random.poisson(1.0, (120, len(FEATURES))).astype(np.float64)
    labels = (np.arange(120) % 2).astype(np.int8)
    stack = Stack(
        bias=-9.0,
        vote=0.0,
        anomaly=0.0,
        patterns=np.zeros(len(PATTERNS)),
        certain=0.0,
        places=np.array([-6.0, 6.0]),
        heights=np.array([-6.0, 6.0]),
    )
    learned = vote.fit(scaled(matrix), labels, np.ones(120))
    return Model(
        version="blind",
        novelty=by_patterns().novelty,
        judge=Judge(learned, stack),
        rows=120,
        trained_at="2026-01-02T03:04:05Z",
        figures={"recall": 0.0},
    )
