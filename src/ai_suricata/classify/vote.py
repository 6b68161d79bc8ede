"""Four learners that were shown labelled rows, and their soft vote.

They err in different ways: a shallow tree is coarse and hard to mislead, the forest averages deep
ones, boosting fits what is left over, and neighbours know what looks like nothing that was shown.
The vote is the weighted mean of their probabilities.

All are kept small. What they learn is the laboratory, what they judge is another network; a leaf
that a handful of sources made there carries over to nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ai_suricata.classify.neighbour import Neighbours, neighbours
from ai_suricata.classify.tree import Trees, boosted, probabilities
from ai_suricata.core.schema import FEATURE_NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.tree import DecisionTreeClassifier

SEED = 20
WEIGHTS = (0.1, 0.3, 0.45, 0.15)
"""Of tree, forest, boosting and neighbours."""
UNHEARD = frozenset(
    {
        "age",
        "alerts",
        "alerts_severity_1",
        "alerts_severity_2",
        "attack_alerts",
        "bytes_per_packet",
        "bytes_received",
        "bytes_sent",
        "day_hours",
        "flow_duration",
        "flow_rate",
        "gap_mean",
        "gap_variation",
        "packets_received",
        "packets_sent",
        "proven_attack_alerts",
        "proven_bytes_per_flow",
        "proven_bytes_received",
        "proven_bytes_sent",
        "proven_flow_duration",
        "proven_flow_rate",
        "proven_received_ratio",
        "rare_alerts",
        "received_ratio",
    }
)
"""Features that the vote is not shown: they tell one laboratory, sensor or flow record from another
better than an attack from a client, or count how often one signature was raised, which it is as
often for a crawler on whom it is wrong. Patterns and the forest of what is usual have them."""
_HEARD = np.array([name not in UNHEARD for name in FEATURE_NAMES], dtype=np.float32)
_LEAST_SHARE = 0.0005  # of all weight, below which there is no leaf
RISING = frozenset(
    {
        "attack_signatures",
        "day_attack_signatures",
        "day_failed_destinations",
        "day_failed_ports",
        "day_login_attempts",
        "failed_destinations",
        "failed_flows",
        "failed_ports",
        "http_denied",
        "http_errors",
        "http_strange",
        "login_attempts",
        "proven_attack_signatures",
        "proven_trusted_alerts",
        "trusted_alerts",
    }
)
"""Features of which more never speaks for a source; boosting is held to that."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """The learners as scikit-learn fitted them: what an artifact stores."""

    tree: DecisionTreeClassifier
    forest: RandomForestClassifier
    boosting: HistGradientBoostingClassifier
    neighbours: Neighbours


@dataclass(frozen=True, slots=True)
class Vote:
    """The same learners, to be asked quickly."""

    fitted: Fitted
    tree: Trees
    forest: Trees
    boosting: Trees

    def members(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the probability of an attack by each learner, shape (4, rows), of scaled rows."""
        rows = heard(rows)
        return np.array(
            [
                self.tree.mean(rows),
                self.forest.mean(rows),
                1.0 / (1.0 + np.exp(-self.boosting.sum(rows))),
                self.fitted.neighbours.probability(rows),
            ]
        )

    def probability(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the vote, 0..1 for each scaled row."""
        total = np.zeros(len(rows))
        for weight, member in zip(WEIGHTS, self.members(rows), strict=True):
            total += weight * member
        return total


def ready(fitted: Fitted) -> Vote:
    """Return fitted learners as a vote.

    From then on the process multiplies matrices on one thread: ours are small, and on a busy
    machine a second one costs more in waiting than it saves.
    """
    # scikit-learn brings it; it has no types, and is not for --help.
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # noqa: PLC0415

    threadpool_limits(1, "blas")
    return Vote(
        fitted,
        probabilities([fitted.tree]),
        probabilities(fitted.forest.estimators_),
        boosted(fitted.boosting),
    )


def fit(rows: NDArray[np.float32], labels: NDArray[np.int8], weights: NDArray[np.float64]) -> Vote:
    """Fit all four on scaled rows. The same rows give the same vote; both labels must occur."""
    from sklearn.ensemble import (  # noqa: PLC0415 - a second to import, not for --help
        HistGradientBoostingClassifier,
        RandomForestClassifier,
    )
    from sklearn.tree import DecisionTreeClassifier  # noqa: PLC0415 - the same

    rows = heard(rows)
    least = max(5, len(rows) // 4000)
    bound = {"min_weight_fraction_leaf": _LEAST_SHARE, "min_samples_leaf": least}
    tree = DecisionTreeClassifier(max_depth=6, random_state=SEED, **bound)
    forest = RandomForestClassifier(
        n_estimators=30,
        max_depth=9,
        max_features=0.3,
        max_samples=0.3,
        random_state=SEED,
        n_jobs=1,
        **bound,
    )
    boosting = HistGradientBoostingClassifier(
        max_iter=90,
        learning_rate=0.1,
        max_leaf_nodes=8,
        min_samples_leaf=max(10, 2 * least),
        l2_regularization=1.0,
        max_features=0.5,
        early_stopping=False,
        monotonic_cst=rising(FEATURE_NAMES),
        random_state=SEED,
    )
    for learner in (tree, forest, boosting):
        learner.fit(rows, labels, sample_weight=weights)
    return ready(Fitted(tree, forest, boosting, neighbours(rows, labels, weights, SEED)))


def heard(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return scaled rows with 0 in place of what the vote is not shown."""
    return rows * _HEARD


def rising(names: Sequence[str]) -> list[int]:
    """Return the constraint of each feature: 1 where the probability only rises with it, else 0."""
    return [int(name in RISING) for name in names]
