"""Trees of scikit-learn, walked without what its `predict` does around them.

`predict` of a forest checks its input, starts threads and copies, for each call: three milliseconds
for one row, where the walk itself takes a fifth of one. Here the trees' own `apply` finds the
leaves, and what each leaf is worth has been worked out beforehand. Sums run tree by tree in their
order, so a row's value does not depend on the rows beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from sklearn.ensemble import HistGradientBoostingClassifier, IsolationForest
    from sklearn.tree import BaseDecisionTree

_EULER = 0.5772156649015329


@dataclass(frozen=True, slots=True)
class Trees:
    """Trees, and what their nodes are worth."""

    trees: tuple[Any, ...]
    """`sklearn.tree._tree.Tree` each."""
    values: tuple[NDArray[np.float64], ...]
    """For each tree, one value a node; only those of leaves are used."""

    def sum(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the sum over the trees of the values of the leaves that the rows end in."""
        total = np.zeros(len(rows))
        for tree, values in zip(self.trees, self.values, strict=True):
            total += values[tree.apply(rows)]
        return total

    def mean(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the mean over the trees of those values."""
        return self.sum(rows) / len(self.trees)

    def sound(self, width: int) -> bool:
        """Return whether each walk ends, in a leaf that has a value, over `width` features.

        A file can hold trees whose branches form a ring or lead out of the tree.
        """
        return all(
            len(values) == tree.node_count and np.isfinite(values).all() and _ends(tree, width)
            for tree, values in zip(self.trees, self.values, strict=True)
        )

    def arrays(self) -> Iterator[NDArray[Any]]:
        """Yield all that tells what the trees answer, always in the same order, for a digest."""
        for tree, values in zip(self.trees, self.values, strict=True):
            yield from _columns(tree.__getstate__()["nodes"])
            yield values


def probabilities(estimators: Sequence[BaseDecisionTree]) -> Trees:
    """Return classification trees whose leaves are worth the share of attacks in them.

    The labels that the trees were fitted on must be 0 and 1. The mean of the trees is then the
    second column of scikit-learn's `predict_proba`.
    """
    shares = []
    for estimator in estimators:
        counts = estimator.tree_.value[:, 0, :]
        shares.append(counts[:, 1] / counts.sum(axis=1))
    return Trees(tuple(estimator.tree_ for estimator in estimators), tuple(shares))


def isolation(forest: IsolationForest) -> Trees:
    """Return isolation trees whose leaves are worth the length of the path to them.

    To the depth of a leaf comes what it would still take to part the rows in it (Liu, Ting and
    Zhou, 2008, equation 1). 2 to the power of minus the mean, over `unsuccessful_search` of the
    rows that each tree was grown on, is the negative of scikit-learn's `score_samples`.
    """
    values = []
    for estimator in forest.estimators_:
        tree = estimator.tree_
        values.append(_depths(tree) + unsuccessful_search(tree.n_node_samples))
    return Trees(tuple(estimator.tree_ for estimator in forest.estimators_), tuple(values))


def unsuccessful_search(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean path of an unsuccessful search in a binary tree of so many rows."""
    n = np.maximum(np.asarray(counts, dtype=np.float64), 2.0)
    length = 2.0 * (np.log(np.maximum(n - 1.0, 1.0)) + _EULER) - 2.0 * (n - 1.0) / n
    return np.where(np.asarray(counts) <= 1, 0.0, np.where(np.asarray(counts) == 2, 1.0, length))  # noqa: PLR2004 - two rows are parted in one step


def _depths(tree: Any) -> NDArray[np.float64]:  # noqa: ANN401 - a type of Cython without a stub
    """Return the depth of each node; parents come before their children."""
    depth = np.zeros(tree.node_count)
    for node in range(tree.node_count):
        for child in (tree.children_left[node], tree.children_right[node]):
            if child >= 0:
                depth[child] = depth[node] + 1
    return depth


def boosted(estimator: HistGradientBoostingClassifier) -> Trees:
    """Return the trees of gradient boosting, whose leaves are worth log odds (to be summed).

    Its own trees walk twice as slowly, through nodes of twice the size; so they are written anew
    as the other kind. The start, from which the first tree goes on, is a tree of one leaf. The sum
    is scikit-learn's `decision_function` for numbers that single precision holds exactly.
    """
    places = [estimator._baseline_prediction.ravel()[:1].astype(np.float64)]  # noqa: SLF001 - not to be had otherwise
    trees = [_tree(np.zeros(1, estimator._predictors[0][0].nodes.dtype), estimator.n_features_in_)]  # noqa: SLF001 - the same
    for each in estimator._predictors:  # noqa: SLF001 - the same
        nodes = each[0].nodes
        trees.append(_tree(nodes, estimator.n_features_in_))
        places.append(np.ascontiguousarray(nodes["value"], dtype=np.float64))
    return Trees(tuple(trees), tuple(places))


def _ends(tree: Any, width: int) -> bool:  # noqa: ANN401 - a type of Cython without a stub
    """Return whether every branch leads to a later node, so that no walk goes in a ring."""
    left, right, own = tree.children_left, tree.children_right, np.arange(tree.node_count)
    leaf = (left == -1) & (right == -1)
    onward = (left > own) & (right > own) & (left < len(own)) & (right < len(own))
    known = (tree.feature >= 0) & (tree.feature < width)
    return bool((leaf | (onward & known)).all())


def _tree(nodes: NDArray[Any], width: int) -> Any:  # noqa: ANN401 - a type of Cython without a stub
    from sklearn.tree._tree import NODE_DTYPE, Tree  # noqa: PLC0415 - loads scikit-learn

    leaf = (nodes["is_leaf"] != 0) | (nodes["left"] == 0)
    state = np.zeros(len(nodes), NODE_DTYPE)
    state["left_child"] = np.where(leaf, -1, nodes["left"].astype(np.int64))
    state["right_child"] = np.where(leaf, -1, nodes["right"].astype(np.int64))
    state["feature"] = np.where(leaf, -2, nodes["feature_idx"].astype(np.int64))
    state["threshold"] = nodes["num_threshold"]
    tree = Tree(width, np.array([1], dtype=np.intp), 1)
    tree.__setstate__(
        {
            "max_depth": int(nodes["depth"].max()),
            "node_count": len(nodes),
            "nodes": state,
            "values": np.zeros((len(nodes), 1, 1)),
        }
    )
    return tree


def _columns(nodes: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield a table of nodes column by column: between them lie bytes that mean nothing."""
    for name in nodes.dtype.names or ():
        yield np.ascontiguousarray(nodes[name])
