"""How hard the data sets are: what a decision tree of two questions makes of them.

`python -m lab.compose.hardness samples/lab`: the F1 of attackers, over the last feature vector of
each source that is labelled malicious or benign. A set that such a tree can tell apart to 0.9 or
better would teach and measure nothing. The tree is fitted on the very set that it then judges,
which flatters it, and on the training sets, which does not; with and without weights for balance,
the better of both counts.
"""

from __future__ import annotations

import argparse
import gzip
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ai_suricata.config.load import load
from ai_suricata.core.event import Event, decode
from ai_suricata.core.schema import FEATURE_NAMES
from ai_suricata.features.extract import Extractor
from lab.compose.listing import read_sets
from lab.label import Label, read_labels

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sklearn.tree import DecisionTreeClassifier

    from lab.compose.listing import DataSet

DEPTH, LIMIT = 2, 0.9
"""Questions in a row, and the F1 from which a set is too easy."""
_BATCH = 2_000


class Sources(NamedTuple):
    """The sources of a set."""

    matrix: NDArray[np.float64]
    """(sources, features): the last vector of each."""
    attacks: NDArray[np.bool_]
    """(sources,)."""


def sources(folder: Path, one: DataSet) -> Sources:
    """Return the labelled sources of a set, as the analysis knows them at its end."""
    actors = read_labels(folder / f"{one.name}.labels.csv")
    last: dict[str, NDArray[np.float64]] = {}
    extractor = Extractor(load(None, {"HOME_NET": one.home_net}).features)
    with gzip.open(folder / f"{one.name}.json.gz") as file:
        events = [event for line in file if isinstance(event := decode(line), Event)]
    for first in range(0, len(events), _BATCH):
        points = extractor.observe(events[first : first + _BATCH])
        last.update(zip(points.addresses, points.matrix, strict=True))
    told = {Label.MALICIOUS, Label.BENIGN}
    chosen = [a for a in last if a in actors and actors[a].label in told]
    attacks = [actors[address].label is Label.MALICIOUS for address in chosen]
    return Sources(np.array([last[address] for address in chosen]), np.array(attacks, np.bool_))


def tree(taught: Sources, *, balanced: bool) -> DecisionTreeClassifier:
    """Return the tree fitted on some sources."""
    from sklearn.tree import DecisionTreeClassifier  # noqa: PLC0415 - late: it takes a second

    weight = "balanced" if balanced else None
    fresh = DecisionTreeClassifier(max_depth=DEPTH, class_weight=weight, random_state=0)
    return fresh.fit(taught.matrix, taught.attacks)


def f1(taught: Sources, judged: Sources) -> float:
    """Return the F1 of attackers among the judged, of the better of two trees."""
    return max(_f1(tree(taught, balanced=flag), judged) for flag in (False, True))


def _f1(fitted: DecisionTreeClassifier, judged: Sources) -> float:
    blamed = fitted.predict(judged.matrix).astype(np.bool_)
    hit = int((blamed & judged.attacks).sum())
    return 2 * hit / max(1, int(blamed.sum()) + int(judged.attacks.sum()))


def _words(fitted: DecisionTreeClassifier) -> str:
    """Return the questions of a tree."""
    from sklearn.tree import export_text  # noqa: PLC0415 - as above

    return str(export_text(fitted, feature_names=list(FEATURE_NAMES), show_weights=True))


def main() -> int:
    """Print the table; return 1 where a set is too easy."""
    parser = argparse.ArgumentParser(
        prog="python -m lab.compose.hardness",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="has sets.csv")
    parser.add_argument("--trees", action="store_true", help="print the questions too")
    given = parser.parse_args()
    listed = {one.name: one for one in read_sets(given.folder)}
    sets = {name: sources(given.folder, one) for name, one in listed.items()}
    training = [sets[name] for name, one in listed.items() if one.purpose == "train"]
    joined = Sources(*(np.concatenate(column) for column in zip(*training, strict=True)))
    print("| set | attackers | benign | F1, fitted on itself | F1, fitted on training |")
    print("|---|---:|---:|---:|---:|")
    worst = 0.0
    for name, one in sets.items():
        own, other = f1(one, one), f1(joined, one)
        worst = max(worst, own, other)
        attackers = int(one.attacks.sum())
        print(
            f"| {name} | {attackers} | {len(one.attacks) - attackers} | {own:.3f} | {other:.3f} |"
        )
        if given.trees:
            print(_words(tree(one, balanced=True)))
    print(f"a tree of depth {DEPTH} stays below {LIMIT}: {'yes' if worst < LIMIT else 'no'}")
    return 0 if worst < LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
