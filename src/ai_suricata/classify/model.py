"""The model: patterns, the vote of what was learnt from labelled rows, and what is odd here."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from ai_suricata.classify.ceiling import below, things_done
from ai_suricata.classify.drift import reference
from ai_suricata.classify.patterns import PATTERNS, combine
from ai_suricata.classify.vectors import Vectors, scaled
from ai_suricata.core.schema import PROVEN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ai_suricata.classify.drift import Reference
    from ai_suricata.classify.estimator import Novelty, Usual
    from ai_suricata.classify.stack import Stack
    from ai_suricata.classify.vote import Vote

ANOMALY_WEIGHT = 0.32
"""Without a vote, what the oddest behaviour adds where there is no pattern: it is only logged."""
_PROVEN = np.array(PROVEN, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the members of a model say of some rows, each 0..1."""

    patterns: NDArray[np.float64]
    """Shape (patterns, rows), in the order of `PATTERN_NAMES`."""
    vote: NDArray[np.float64]
    """Shape (rows,); 0 where nothing was learnt from labels."""
    anomaly: NDArray[np.float64]
    """Shape (rows,)."""
    done: NDArray[np.float64]
    """How many things the source is known to have done, shape (rows,): see `things_done`."""

    def take(self, chosen: NDArray[np.int64]) -> Parts:
        """Return the parts of some of the rows."""
        return Parts(
            self.patterns[:, chosen], self.vote[chosen], self.anomaly[chosen], self.done[chosen]
        )


@dataclass(frozen=True, slots=True)
class Judge:
    """What was learnt from labelled rows."""

    vote: Vote
    stack: Stack


@dataclass(frozen=True, slots=True)
class Model:
    """All that gives a score, and where it comes from.

    `judge` is None where there was no shipped artifact: patterns and the forest of local traffic
    then are all there is, and scores are not calibrated.
    """

    version: str
    novelty: Novelty
    judge: Judge | None = None
    rows: int = 0
    """Labelled rows that it was trained on; of local ones, those that the forest was."""
    trained_at: str = ""
    """Event time of the latest labelled row, ISO 8601; empty where none."""
    data_digest: str = ""
    """Of the labelled rows; empty where none."""
    local: bool = False
    """Whether what is odd is measured by this network's own traffic."""
    figures: dict[str, float] = field(default_factory=dict)
    """How it measured when it was trained, by name."""
    reference: Reference | None = None
    """How features and scores lay among rows of sources that do no harm: what drifts, drifts away
    from there."""

    @property
    def usual(self) -> Usual:
        """What is usual, feature by feature."""
        return self.novelty.usual

    def parts(self, matrix: NDArray[np.float64]) -> Parts:
        """Return what each member says of feature vectors, shape (rows, features)."""
        rows, patterns = scaled(matrix), pattern_scores(matrix)
        return Parts(
            patterns=patterns,
            vote=self.judge.vote.probability(rows) if self.judge else np.zeros(len(rows)),
            anomaly=self.novelty.anomaly(rows),
            done=things_done(matrix, patterns),
        )

    def joined(self, parts: Parts, home: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
        """Return the score of each row of the parts, 0..1.

        `home`: which rows are of hosts of the home network. The vote was taught by strangers who
        come in; a host that goes out meets closed ports and dead peers all day. It is judged by
        patterns, and by what is odd here.
        """
        known = join(combine(parts.patterns), parts.anomaly)
        if self.judge is None:
            return known
        stack = self.judge.stack
        judged = below(stack.odds(parts.patterns, parts.vote, parts.anomaly), parts.done)
        return judged if home is None else np.where(home, known, judged)

    def score(
        self, matrix: NDArray[np.float64], home: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float64]:
        """Return 0..1 for each feature vector, calibrated: of rows at 0.85, 85% are attackers."""
        return self.joined(self.parts(matrix), home)

    def localised(self, novelty: Novelty, matrix: NDArray[np.float64] | None = None) -> Model:
        """Return the same with the forest of local traffic in place of the shipped one.

        `matrix`: the local rows, by which drift is measured from then on.
        """
        base = self.version.split("+", 1)[0]
        model = replace(
            self,
            version=f"{base}+{novelty.version}" if self.judge else novelty.version,
            novelty=novelty,
            local=True,
            rows=self.rows if self.judge else novelty.rows,
        )
        if matrix is None or not len(matrix):
            return model
        return replace(model, reference=reference(matrix, model.score(matrix)))


def unlabelled(novelty: Novelty, matrix: NDArray[np.float64] | None = None) -> Model:
    """Return a model of patterns and local traffic alone: nobody has labelled a row for it."""
    return Model(novelty.version, novelty).localised(novelty, matrix)


def pattern_scores(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what each pattern says of feature vectors, shape (patterns, rows)."""
    vectors = Vectors(matrix)
    return np.array([pattern.score(vectors) for pattern in PATTERNS])


def proven(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return feature vectors with 0 where packets with a forged source could make the value."""
    return matrix * _PROVEN


def join(patterns: NDArray[np.float64], anomaly: NDArray[np.float64]) -> NDArray[np.float64]:
    """Join the patterns' score and the anomaly, both 0..1, into one, 0..1, where there is no vote.

    What is unusual makes a pattern weigh more; by itself it is no reason to act.
    """
    joined: NDArray[np.float64] = 1 - (1 - patterns) * (1 - ANOMALY_WEIGHT * anomaly)
    return joined
