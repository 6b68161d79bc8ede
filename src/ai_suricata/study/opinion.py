"""What a detector says of a source: ours, and the simpler ones that it is held against."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ai_suricata.core.verdict import Level

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from ai_suricata.study.measure import Outcome

Key = tuple[str, str]
"""Name of the data set, and address."""


class Opinion(NamedTuple):
    """What is thought of one source, as the figures ask for it."""

    medium: bool
    """At MEDIUM or above."""
    high: bool
    """At HIGH or above."""
    blocked: bool
    """In the firewall's table."""


class Detector(NamedTuple):
    """One way of telling attackers from clients."""

    name: str
    opinion: Callable[[Outcome], Opinion] | None
    """None where it can't be asked."""
    absent: str = ""
    """Why it can't be."""


OURS, UNGUARDED = "ours", "ours, guard off"


def ours() -> Detector:
    """Return the live code with the spoof guard on."""
    return Detector(OURS, lambda source: _of_level(source, blocked=source.blocked))


def unguarded() -> Detector:
    """Return the live code with SPOOF_GUARD=off."""
    return Detector(UNGUARDED, lambda source: _of_level(source, blocked=source.blocked_unguarded))


def any_alert() -> Detector:
    """Return the rule by which many live: whoever raises an alert is blocked."""
    return Detector("any alert", lambda source: _flagged(source, said=source.facts.named > 0))


def severe_alert() -> Detector:
    """Return the same for alerts of severity 1 and 2 alone."""
    name = "severity 1, 2"
    return Detector(name, lambda source: _flagged(source, said=source.facts.named_severe > 0))


def banned(name: str, addresses: Mapping[str, Collection[str]]) -> Detector:
    """Return a detector that bans `addresses`, by data set, and says nothing else."""
    return Detector(
        name,
        lambda source: _flagged(
            source, said=source.label.address in addresses.get(source.data.name, ())
        ),
    )


def scored(
    name: str, scores: Mapping[Key, float], medium: float, high: float, critical: float
) -> Detector:
    """Return a detector by the highest score of each source, under the given thresholds."""

    def opinion(source: Outcome) -> Opinion:
        score = scores.get((source.data.name, source.label.address), 0.0)
        return Opinion(score >= medium, score >= high, score >= critical and can_be_blocked(source))

    return Detector(name, opinion)


def can_be_blocked(source: Outcome) -> bool:
    """Whether anybody may block it: a public address outside that is on no list of the operator."""
    return source.public and not source.home and not source.label.allowed


def _of_level(source: Outcome, *, blocked: bool) -> Opinion:
    return Opinion(source.level >= Level.MEDIUM, source.level >= Level.HIGH, blocked)


def _flagged(source: Outcome, *, said: bool) -> Opinion:
    return Opinion(said, said, said and can_be_blocked(source))
