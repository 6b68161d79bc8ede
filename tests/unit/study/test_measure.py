"""A recording through the live code: what came of each labelled address."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ai_suricata.classify import estimator
from ai_suricata.classify.model import Model, unlabelled
from ai_suricata.core.verdict import Level
from ai_suricata.replay import Replay
from ai_suricata.study.label import Label, Truth
from ai_suricata.study.measure import measure
from ai_suricata.study.vector import rows_of
from fakes import eve
from unit.study import recording

if TYPE_CHECKING:
    from pathlib import Path

    from ai_suricata.study.dataset import DataSet
    from ai_suricata.study.measure import FileOutcome, Outcome


@pytest.fixture
def data(tmp_path: Path) -> DataSet:
    """Return a recording of two attackers and some others."""
    return recording.data_set(tmp_path)


def patterns_alone(data: DataSet) -> Model:
    """Return a model of patterns, so that no shipped one has a say in the tests."""
    return unlabelled(estimator.fit(rows_of(data, eve.settings()).matrix))


def outcomes(found: FileOutcome) -> dict[str, Outcome]:
    """Return the outcomes by address."""
    return {outcome.label.address: outcome for outcome in found.outcomes}


def test_every_labelled_address_has_an_outcome(data: DataSet) -> None:
    """Those who were never seen, too: they were missed."""
    absent = Label("192.0.2.99", Truth.MALICIOUS)
    more = replace(data, labels={**data.labels, absent.address: absent})
    found = outcomes(measure(more, eve.settings(), patterns_alone(data)))

    assert set(more.labels) == set(found)
    assert (Level.INFO, 0.0, 0) == (
        found["192.0.2.99"].level,
        found["192.0.2.99"].score,
        found["192.0.2.99"].facts.flows,
    )


def test_the_guard_is_measured_on_and_off(data: DataSet) -> None:
    """Guessed passwords are proven and blocked; a scan without a handshake only without it."""
    found = outcomes(measure(data, eve.settings(), patterns_alone(data)))
    guesser, scanner = found[recording.GUESSER], found[recording.SCANNER]

    assert (True, True) == (guesser.blocked, guesser.blocked_unguarded)
    assert (False, True) == (scanner.blocked, scanner.blocked_unguarded)
    assert (Level.CRITICAL, Level.CRITICAL) == (guesser.level, scanner.level)


def test_what_the_guard_holds_back_is_what_a_replay_without_it_blocks(data: DataSet) -> None:
    """The same sources, by the whole of the live code."""
    model = patterns_alone(data)
    found = outcomes(measure(data, eve.settings(), model))
    replayed = Replay(data.settings(eve.settings(), spoof_guard=False), model).file(data.path)

    assert {source.verdict.address for source in replayed.sources if source.blocked} == {
        address for address, outcome in found.items() if outcome.blocked_unguarded
    }


def test_who_may_scan_is_accused_and_never_blocked(data: DataSet) -> None:
    """It behaves like the guesser, and is on NEVER_BLOCK of its recording."""
    allowed = outcomes(measure(data, eve.settings(), patterns_alone(data)))[recording.ALLOWED]

    assert (Level.CRITICAL, False, False) == (
        allowed.level,
        allowed.blocked,
        allowed.blocked_unguarded,
    )


def test_home_and_public_addresses_are_told_apart(data: DataSet) -> None:
    """By the recording's own home network."""
    found = outcomes(measure(data, eve.settings(), patterns_alone(data)))

    assert (True, False) == (found[eve.SERVER].home, found[eve.SERVER].public)
    assert (False, True) == (found[recording.CLIENT].home, found[recording.CLIENT].public)


def test_verdicts_and_their_reasons_are_counted(data: DataSet) -> None:
    """Each verdict above INFO, and not only the worst of a source."""
    found = measure(data, eve.settings(), patterns_alone(data))

    assert found.accused > 3
    assert found.accused == found.explained


def test_rows_are_those_that_were_scored(data: DataSet) -> None:
    """The same as an extractor gives without a model, with the scores that were served."""
    model = patterns_alone(data)
    found = measure(data, eve.settings(), model)
    alone = rows_of(data, eve.settings())
    served = [score for outcome in found.outcomes for score in outcome.scores]

    assert alone.groups == found.rows.groups
    assert (alone.matrix == found.rows.matrix).all()
    assert sorted(served) == pytest.approx(sorted(model.score(alone.matrix).tolist()))


def test_the_same_recording_gives_the_same_outcomes(data: DataSet) -> None:
    """Each measurement begins with fresh state."""
    model = patterns_alone(data)
    first, second = (measure(data, eve.settings(), model) for _ in range(2))

    assert first.outcomes == second.outcomes
