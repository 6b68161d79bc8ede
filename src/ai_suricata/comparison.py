"""Two models over the same recorded events: what one would have blocked and the other would not."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from ai_suricata.replay import Replay

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from ai_suricata.classify.model import Model
    from ai_suricata.config.settings import Settings
    from ai_suricata.core.verdict import Level, Verdict
    from ai_suricata.replay import SourceReport


class Disagreement(StrEnum):
    """How two models differ on a source."""

    ONLY_FIRST = "blocked_by_first_only"
    ONLY_SECOND = "blocked_by_second_only"
    LEVEL = "level"
    """Blocked by both or by neither, with another worst level."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The worst that one source reached under either model."""

    first: SourceReport
    second: SourceReport

    @property
    def disagreement(self) -> Disagreement | None:
        """How the two differ, or None."""
        if self.first.blocked != self.second.blocked:
            only_first = self.first.blocked
            return Disagreement.ONLY_FIRST if only_first else Disagreement.ONLY_SECOND
        same = self.first.verdict.level is self.second.verdict.level
        return None if same else Disagreement.LEVEL


@dataclass(slots=True)
class ComparisonReport:
    """What came of one file, or of one run of Suricata over captures."""

    events: int = 0
    sources: int = 0
    """Source addresses that were scored."""
    rejected: dict[str, int] = field(default_factory=dict)
    """Lines that are no events, by reason."""
    blocked: tuple[int, int] = (0, 0)
    """Sources that the first and the second model would have blocked."""
    pairs: list[Pair] = field(default_factory=list)
    """Sources on which the two differ: blocks first, the worst first."""
    levels: Counter[tuple[Level, Level]] = field(default_factory=Counter)
    """Sources by worst level under the first and the second model."""
    rows: int = 0
    """Vectors that both have scored."""
    mean_difference: float = 0.0
    """Mean of the absolute difference of their scores, 0..1."""

    def count(self, disagreement: Disagreement) -> int:
        """Return how many sources the two differ on in this way."""
        return sum(pair.disagreement is disagreement for pair in self.pairs)


class Comparison:
    """Runs the same lines through two replays; nothing is sent anywhere."""

    def __init__(self, settings: Settings, first: Model, second: Model) -> None:
        """Both serve from the first event on, and learn nothing."""
        self.settings = settings
        self._replays = Replay(settings, first), Replay(settings, second)
        self.forget()

    def forget(self) -> None:
        """Begin anew: private addresses mean other hosts in another file."""
        self._tracks = _Track(), _Track()
        for replay, track in zip(self._replays, self._tracks, strict=True):
            replay.forget()
            replay.observe(track.observe)
        self._rows, self._difference = 0, 0.0

    def batches(self, batches: Iterable[list[bytes]]) -> ComparisonReport:
        """Compare over batches of lines; raises what their source raises."""
        for lines in batches:
            for replay in self._replays:
                replay.take(lines)
            self._join_tracks()
        return self._report()

    def _join_tracks(self) -> None:
        """Sum up how far the scores of this batch lie apart: both have the same points."""
        first, second = (track.taken() for track in self._tracks)
        self._rows += len(first)
        self._difference += float(np.abs(first - second).sum())

    def _report(self) -> ComparisonReport:
        first, second = (replay.report() for replay in self._replays)
        others = {source.verdict.address: source for source in second.sources}
        pairs = [Pair(source, others[source.verdict.address]) for source in first.sources]
        return ComparisonReport(
            events=first.events,
            sources=len(pairs),
            rejected=first.rejected,
            blocked=(
                sum(pair.first.blocked for pair in pairs),
                sum(pair.second.blocked for pair in pairs),
            ),
            pairs=sorted((pair for pair in pairs if pair.disagreement), key=_order),
            levels=Counter((p.first.verdict.level, p.second.verdict.level) for p in pairs),
            rows=self._rows,
            mean_difference=self._difference / max(self._rows, 1),
        )


class _Track:
    """The scores of one batch."""

    def __init__(self) -> None:
        self._scores: list[float] = []

    def observe(
        self,
        _addresses: Sequence[str],
        _home: NDArray[np.bool_],
        _times: NDArray[np.int64],
        _matrix: NDArray[np.float64],
        verdicts: Sequence[Verdict],
    ) -> None:
        """Take one wave."""
        self._scores.extend(verdict.score for verdict in verdicts)

    def taken(self) -> NDArray[np.float64]:
        """Return the scores since the last call."""
        scores, self._scores = np.array(self._scores), []
        return scores


def _order(pair: Pair) -> tuple[int, float, str]:
    """Put blocks before levels, and the highest score first."""
    rank = list(Disagreement).index(pair.disagreement or Disagreement.LEVEL)
    score = max(pair.first.verdict.score, pair.second.verdict.score)
    return rank, -score, pair.first.verdict.address
