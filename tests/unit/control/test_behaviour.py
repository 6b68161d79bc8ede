"""The features of an address at a moment."""

from __future__ import annotations

from ai_suricata.config.load import load
from ai_suricata.control.behaviour import features_of
from ai_suricata.core.event import Event, decode
from ai_suricata.core.schema import FEATURE_NAMES
from ai_suricata.features.extract import Extractor
from fakes import eve
from fakes.response import ATTACKER


def test_all_features_of_a_known_address_are_told_by_name() -> None:
    """As they are scored."""
    extractor = Extractor(load(environment={}).features)
    found = [decode(eve.line(eve.login(ATTACKER, at=at))) for at in range(5)]
    events = [event for event in found if isinstance(event, Event)]
    extractor.observe(events)
    features = features_of(extractor.table, ATTACKER)

    assert features is not None
    assert list(FEATURE_NAMES) == list(features)
    assert 5.0 == features["login_attempts"]


def test_nothing_is_told_of_a_stranger_and_nothing_is_made() -> None:
    """The table stays as it was."""
    extractor = Extractor(load(environment={}).features)

    assert features_of(extractor.table, ATTACKER) is None
    assert 0 == len(extractor.table)
