"""The questions that detection has to answer, each with its goal, fixed before any measurement.

A question chooses sources out of the outcomes of all recordings, and asks one thing of each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ai_suricata.study.dataset import Kind
from ai_suricata.study.label import Truth
from ai_suricata.study.opinion import OURS, UNGUARDED, Opinion

if TYPE_CHECKING:
    from collections.abc import Callable

    from ai_suricata.study.measure import Outcome

    Choice = Callable[[Outcome], bool]
    Answer = Callable[[Opinion], bool]


class Goal(NamedTuple):
    """A bound that a figure must keep."""

    bound: float
    at_least: bool
    shown: str

    def holds(self, value: float) -> bool:
        """Whether the figure keeps it."""
        return value >= self.bound if self.at_least else value <= self.bound


def at_least(bound: float) -> Goal:
    """Return the goal of a figure that should be great."""
    return Goal(bound, at_least=True, shown=f">= {bound:g}")


def at_most(bound: float) -> Goal:
    """Return the goal of a figure that should be small; shares below 0.1 are shown in percent."""
    return Goal(bound, at_least=False, shown=f"<= {bound:g}")


NONE = Goal(0, at_least=False, shown="0")
"""Not one."""


class Question(NamedTuple):
    """What is asked of a detector."""

    name: str
    detector: str
    goal: Goal | None
    among: Choice
    answer: Answer
    cases: bool = False


def strong(source: Outcome) -> bool:
    """Whether there is enough to see it by."""
    return source.facts.is_strong()


def malicious(source: Outcome) -> bool:
    """Whether it attacks."""
    return source.label.truth is Truth.MALICIOUS


def benign(source: Outcome) -> bool:
    """Whether it does not, by its label."""
    return source.label.truth is Truth.BENIGN


def recorded(source: Outcome) -> bool:
    """Whether it is of a recorded file."""
    return source.data.kind is Kind.RECORDED


def lab(source: Outcome) -> bool:
    """Whether it is of the lab."""
    return source.data.kind is Kind.LAB


def benign_opener(source: Outcome) -> bool:
    """Whether it is benign, opened a flow, and is no scanner that the operator ordered."""
    return benign(source) and source.facts.flows > 0 and not source.label.allowed


def held_out(source: Outcome) -> bool:
    """Whether it used a tool that no training set has."""
    return source.label.tool in source.data.held_out


def _all(*choices: Choice) -> Choice:
    return lambda source: all(choice(source) for choice in choices)


_medium: Answer = lambda opinion: opinion.medium  # noqa: E731 - three words for three columns
_high: Answer = lambda opinion: opinion.high  # noqa: E731
_blocked: Answer = lambda opinion: opinion.blocked  # noqa: E731

SHARES = (
    Question(
        "attackers at MEDIUM or above, days of a server on the Internet",
        OURS,
        at_least(0.85),
        _all(lambda source: source.data.internet, malicious),
        _medium,
    ),
    Question(
        "attackers with 5 flows or 2 alerts at HIGH or above, recorded files",
        OURS,
        at_least(0.95),
        _all(recorded, malicious, strong),
        _high,
    ),
    Question(
        "of those with a public address: blocked, guard off",
        UNGUARDED,
        at_least(0.90),
        _all(recorded, malicious, strong, lambda source: source.public),
        _blocked,
    ),
    Question(
        "of those with a public address: blocked, guard on",
        OURS,
        None,
        _all(recorded, malicious, strong, lambda source: source.public),
        _blocked,
    ),
    Question("benign sources blocked, guard on", OURS, NONE, benign, _blocked, cases=True),
    Question("benign sources blocked, guard off", UNGUARDED, NONE, benign, _blocked, cases=True),
    Question(
        "forged sources blocked, guard on",
        OURS,
        NONE,
        lambda source: source.label.truth is Truth.SPOOFED,
        _blocked,
        cases=True,
    ),
    Question(
        "forged sources blocked, guard off",
        UNGUARDED,
        NONE,
        lambda source: source.label.truth is Truth.SPOOFED,
        _blocked,
        cases=True,
    ),
    Question(
        "benign sources that opened a flow at MEDIUM or above, recorded files",
        OURS,
        at_most(0.01),
        _all(recorded, benign_opener),
        _medium,
    ),
    Question(
        "benign sources that opened a flow at HIGH or above, recorded files",
        OURS,
        NONE,
        _all(recorded, benign_opener),
        _high,
        cases=True,
    ),
    Question(
        "benign sources that opened a flow at MEDIUM or above, lab test seeds",
        OURS,
        at_most(0.01),
        _all(lab, benign_opener),
        _medium,
    ),
    Question(
        "benign sources that opened a flow at HIGH or above, lab test seeds",
        OURS,
        at_most(0.001),
        _all(lab, benign_opener),
        _high,
    ),
    Question(
        "attackers with tools never trained on, 5 flows or 2 alerts: at HIGH or above, lab",
        OURS,
        None,
        _all(lab, malicious, strong, held_out),
        _high,
    ),
    Question(
        "campaigns of many weak sources: at MEDIUM or above, lab test seeds",
        OURS,
        None,
        _all(lab, malicious, lambda source: bool(source.label.campaign)),
        _medium,
    ),
    Question(
        "campaigns of many weak sources: at HIGH or above, lab test seeds",
        OURS,
        None,
        _all(lab, malicious, lambda source: bool(source.label.campaign)),
        _high,
    ),
    Question(
        "compromised hosts at home at MEDIUM or above, lab test seeds",
        OURS,
        None,
        lambda source: source.label.truth is Truth.COMPROMISED,
        _medium,
    ),
    Question(
        "allowed scanners at MEDIUM or above (never blocked)",
        OURS,
        None,
        _all(benign, lambda source: source.label.allowed),
        _medium,
    ),
)
