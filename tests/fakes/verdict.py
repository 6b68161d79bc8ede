"""Verdicts as a classifier would give them, for those who only read them."""

from __future__ import annotations

from ai_suricata.core.verdict import ACTION_OF_LEVEL, Level, Verdict


def verdict(level: Level = Level.INFO, address: str = "192.0.2.1", score: float = 0.5) -> Verdict:
    """Return a verdict of this level on a stranger."""
    return Verdict(
        address=address,
        time=0,
        score=score,
        proven_score=score,
        level=level,
        action=ACTION_OF_LEVEL[level],
        home=False,
        reasons=(),
        patterns=(),
        model_version="fake",
    )
