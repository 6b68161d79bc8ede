"""The learners behind the vote answer as scikit-learn's own do, and in any batch alike."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from ai_suricata.classify.neighbour import MOST, NEAREST, Neighbours, neighbours
from ai_suricata.classify.tree import unsuccessful_search
from ai_suricata.classify.vectors import scaled
from ai_suricata.classify.vote import RISING, UNHEARD, WEIGHTS, Vote, heard, rising
from ai_suricata.core.schema import FEATURE_NAMES, FEATURES, INDEX
from fakes import model as fake


@pytest.fixture(scope="module")
def vote() -> Vote:
    """Return the vote of a small model."""
    judge = fake.trained().judge
    assert judge is not None
    return judge.vote


ASKED = scaled(np.vstack([fake.vectors(150, 7), fake.guesses(fake.vectors(50, 8))]))


def test_trees_that_are_walked_answer_as_scikit_learn_does(vote: Vote) -> None:
    """Tree and forest to the last digits, boosting exactly."""
    shown = heard(ASKED)
    fitted = vote.fitted

    assert np.allclose(fitted.tree.predict_proba(shown)[:, 1], vote.tree.mean(shown), atol=1e-12)
    assert np.allclose(
        fitted.forest.predict_proba(shown)[:, 1], vote.forest.mean(shown), atol=1e-12
    )
    assert fitted.boosting.decision_function(shown).tolist() == vote.boosting.sum(shown).tolist()


def test_the_vote_is_the_weighted_mean_of_its_members(vote: Vote) -> None:
    """Each member takes part, with the weight that it is given."""
    members = vote.members(ASKED)

    assert (4, len(ASKED)) == members.shape
    assert 1.0 == pytest.approx(sum(WEIGHTS))
    assert np.allclose(np.array(WEIGHTS) @ members, vote.probability(ASKED), atol=1e-12)


def test_each_member_tells_those_who_guess_from_clients(vote: Vote) -> None:
    """None of them only goes along."""
    members = vote.members(ASKED)

    assert (members[:, 150:].mean(axis=1) - members[:, :150].mean(axis=1)).min() > 0.5


@pytest.mark.parametrize("size", [1, 7, 64])
def test_an_answer_does_not_depend_on_the_batch(vote: Vote, size: int) -> None:
    """To the digit, neighbours too: their distances are whole numbers."""
    parts = [vote.members(ASKED[start : start + size]) for start in range(0, 200, size)]

    assert vote.members(ASKED).tolist() == np.concatenate(parts, axis=1).tolist()


def test_what_the_vote_is_not_shown_changes_nothing(vote: Vote) -> None:
    """Features that tell one laboratory from another."""
    changed = ASKED.copy()
    for name in UNHEARD:
        changed[:, INDEX[name]] += 3

    assert UNHEARD <= set(FEATURE_NAMES)
    assert vote.probability(ASKED).tolist() == vote.probability(changed).tolist()


def test_more_of_what_never_speaks_for_a_source_never_lowers_what_boosting_says(
    vote: Vote,
) -> None:
    """Whatever the rows happened to say."""
    shown = heard(ASKED)
    before = vote.boosting.sum(shown)
    for name in sorted(RISING):
        more = shown.copy()
        more[:, INDEX[name]] += 2
        assert (vote.boosting.sum(more) - before).min() >= -1e-9, name


def test_constraints_stand_at_the_places_of_their_features() -> None:
    """A schema in another order would otherwise bind others."""
    assert [1, 0] == rising(["failed_ports", "flows"])
    assert RISING <= set(FEATURE_NAMES)


def test_neighbours_are_those_that_scikit_learn_finds() -> None:
    """Where no two are equally far, the same seven."""
    random = np.random.default_rng(4)
    points = random.normal(3, 1, (60, len(FEATURES))).astype(np.float32)
    labels = (random.random(60) < 0.5).astype(np.int8)
    found = neighbours(points, labels, np.ones(60), seed=1)
    asked = random.normal(3, 1, (40, len(FEATURES))).astype(np.float32)
    judge = KNeighborsClassifier(NEAREST).fit(found.prototypes, found.labels)
    share = judge.predict_proba(found.steps_of(asked))[:, 1]

    assert np.allclose((share * NEAREST + 0.5) / (NEAREST + 1), found.probability(asked))


def test_prototypes_are_few_and_of_both_labels() -> None:
    """Rows that look alike are one, with the label that weighs more."""
    matrix = np.repeat(np.eye(2, len(FEATURES), dtype=np.float32) * 4, 500, axis=0)
    labels = np.repeat([0, 1], 500).astype(np.int8)
    labels[:10] = 1
    found = neighbours(matrix, labels, np.ones(1000), seed=1)

    assert [0, 1] == sorted(found.labels.tolist())
    many = np.random.default_rng(5).normal(9, 4, (3000, len(FEATURES))).astype(np.float32)
    label = (np.arange(3000) % 3 == 0).astype(np.int8)
    chosen = neighbours(many, label, np.ones(3000), seed=1)
    assert [MOST // 2, MOST // 2] == np.bincount(chosen.labels).tolist()


def test_equal_distances_speak_for_a_source() -> None:
    """Of an attack and a client at the same place, the client comes first."""
    here = np.zeros((NEAREST * 2, len(FEATURES)), np.float32)
    labels = np.repeat([1, 0], NEAREST).astype(np.int8)
    both = Neighbours(np.ones(len(FEATURES), np.float32), here, labels)

    assert [0.5 / (NEAREST + 1)] == both.probability(here[:1]).tolist()


@pytest.mark.parametrize(("count", "length"), [(1, 0.0), (2, 1.0), (256, 10.244770920)])
def test_the_mean_path_of_an_unsuccessful_search(count: int, length: float) -> None:
    """As the authors of the isolation forest give it, equation 1."""
    assert length == pytest.approx(float(unsuccessful_search(np.array([count]))[0]))
