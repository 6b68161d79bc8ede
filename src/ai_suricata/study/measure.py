"""What the live code comes to on a labelled recording: one outcome for each labelled address.

The recording goes through `Replay`, which is the code that serves. Each file begins with fresh
state and its own home network. What SPOOF_GUARD=off would change is asked at each verdict.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from ai_suricata.classify.ensemble import Classifier
from ai_suricata.classify.rows import TrainingRows, joined
from ai_suricata.core.address import parse_address
from ai_suricata.core.decision import Table
from ai_suricata.core.timestamp import MICROSECONDS
from ai_suricata.core.verdict import Level
from ai_suricata.replay import Replay
from ai_suricata.respond.never_block import NeverBlock
from ai_suricata.respond.policy import BlankHistory, rule
from ai_suricata.study.fact import Facts, facts_of
from ai_suricata.study.progress import by_bytes, silent
from ai_suricata.study.reason import names_a_feature
from ai_suricata.study.vector import Gathering

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ai_suricata.classify.model import Model
    from ai_suricata.config.settings import Settings
    from ai_suricata.core.verdict import Verdict
    from ai_suricata.study.dataset import DataSet
    from ai_suricata.study.label import Label
    from ai_suricata.study.progress import Progress


@dataclass(frozen=True, slots=True)
class Outcome:
    """One labelled address of one recording: what it was, and what came of it."""

    data: DataSet
    label: Label
    facts: Facts
    home: bool
    public: bool
    """Whether it can be blocked at all: no private, reserved or local address."""
    level: Level = Level.INFO
    """The worst that it reached."""
    score: float = 0.0
    blocked: bool = False
    """With the spoof guard, as it is on by default."""
    blocked_unguarded: bool = False
    """With SPOOF_GUARD=off."""
    reasons: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    """Of some of its verdicts, spread over its life."""


@dataclass(slots=True)
class FileOutcome:
    """What came of one recording."""

    data: DataSet
    outcomes: list[Outcome] = field(default_factory=list)
    """In the order of the labels."""
    rows: TrainingRows = field(default_factory=lambda: joined([]))
    """What was scored of the malicious and benign sources, at most 16 of each."""
    accused: int = 0
    """Verdicts above INFO."""
    explained: int = 0
    """Those of them whose reasons name a feature and its value."""


def measure(
    data: DataSet,
    settings: Settings,
    model: Model | None = None,
    progress: Progress = silent,
) -> FileOutcome:
    """Replay a recording, guard on and off, and return what came of each labelled address.

    `model`: None for what a daemon serves that was just installed. Raises OSError where the file
    can't be read.
    """
    watch = _Watch(data, settings)
    replay = Replay(data.settings(settings), model)
    replay.observe(watch)
    report = replay.file(data.path, by_bytes(progress, data.name, data.path))
    worst = {source.verdict.address: source for source in report.sources}
    result = watch.result
    result.rows = watch.gathering.rows()
    facts, builtin = facts_of(data.path), NeverBlock({})
    for address, label in data.labels.items():
        known = worst.get(address)
        result.outcomes.append(
            Outcome(
                data=data,
                label=label,
                facts=facts.get(address, Facts()),
                home=_is_home(address, data),
                public=builtin.reason_for_text(address) is None,
                level=known.verdict.level if known else Level.INFO,
                score=known.verdict.score if known else 0.0,
                blocked=known.blocked if known else False,
                blocked_unguarded=address in watch.blocked,
                reasons=known.verdict.reasons if known else (),
                scores=watch.gathering.scores_of(address),
            )
        )
    return result


class _Watch:
    """Looks at each verdict of a replay, and asks what would be done without the spoof guard.

    The guard moves no score, so the same verdicts stand for both: what the classifier makes of a
    score without it, and what the policy makes of that, is asked of the classifier and the policy.
    """

    def __init__(self, data: DataSet, settings: Settings) -> None:
        self.result = FileOutcome(data)
        self.gathering = Gathering(data)
        self.blocked: set[str] = set()
        """Whom nothing but the guard keeps from being blocked, and who is blocked anyway."""
        unguarded = data.settings(settings, spoof_guard=False)
        self._respond = unguarded.respond
        self._classifier = Classifier(unguarded.classify)
        self._never_block = NeverBlock(
            {"NEVER_BLOCK": unguarded.respond.never_block, "home network": data.home}
        )

    def __call__(
        self,
        addresses: Sequence[str],
        _home: NDArray[np.bool_],
        times: NDArray[np.int64],
        matrix: NDArray[np.float64],
        verdicts: Sequence[Verdict],
    ) -> None:
        """Take what was scored, and the verdicts on it."""
        self.gathering.add(addresses, times, matrix, [verdict.score for verdict in verdicts])
        for verdict in verdicts:
            if verdict.level > Level.INFO:
                self.result.accused += 1
                self.result.explained += names_a_feature(verdict.reasons)
            if verdict.level is Level.CRITICAL and verdict.address not in self.blocked:
                self._block(verdict)

    def _block(self, verdict: Verdict) -> None:
        action = self._classifier.opinion(verdict.address, verdict.score, home=verdict.home).action
        open_ = msgspec.structs.replace(verdict, action=action)
        now = verdict.time / MICROSECONDS
        ruling = rule(open_, BlankHistory(), self._never_block, self._respond, now)
        if ruling is not None and not ruling.refused and ruling.decision.table is Table.BLOCK:
            self.blocked.add(verdict.address)


def _is_home(address: str, data: DataSet) -> bool:
    parsed = parse_address(address)
    return any(parsed.version == network.version and parsed in network for network in data.home)
