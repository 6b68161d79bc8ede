"""What of new settings holds at once, and what waits for a restart."""

from __future__ import annotations

import pytest

from ai_suricata.config.change import AT_ONCE, change
from ai_suricata.config.load import load, variables

OLD = load(environment={})
OTHER = {
    "CRITICAL_THRESHOLD": "0.9",
    "HIGH_THRESHOLD": "0.75",
    "MEDIUM_THRESHOLD": "0.55",
    "LOW_THRESHOLD": "0.35",
    "SPOOF_GUARD": "false",
    "AUTO_BLOCK": "true",
    "BLOCK_DURATION": "77",
    "RATE_LIMIT_DURATION": "77",
    "NEVER_BLOCK": "203.0.113.7",
    "NEVER_BLOCK_REFRESH": "77",
    "BLOCKS_PER_MINUTE": "7",
    "BLOCKS_TOTAL": "7",
    "BUDGET_PAUSE": "7",
    "PROMOTE_IPV4": "7",
    "PROMOTE_IPV6": "7",
    "RECONCILE_INTERVAL": "7",
    "ON_STOP": "release",
    "LOG_LEVEL": "DEBUG",
    "LOG_FORMAT": "json",
}


def test_the_list_of_this_test_is_that_of_the_code() -> None:
    """And all of it are settings."""
    assert OTHER.keys() == AT_ONCE
    assert AT_ONCE <= variables().keys()


@pytest.mark.parametrize("name", sorted(AT_ONCE))
def test_what_can_change_does_at_once(name: str) -> None:
    """That variable and no other."""
    new = load(environment={name: OTHER[name]})
    found = change(OLD, new)

    assert ((name,), ()) == (found.taken, found.later)
    assert new == found.settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EVE_PATH", "/elsewhere"),
        ("HOME_NET", "192.0.2.0/24"),
        ("DRY_RUN", "true"),
        ("PFSENSE_PORT", "2222"),
        ("STATE_DIR", "/elsewhere"),
        ("METRICS_PORT", "9999"),
        ("TRAINING_EVENTS", "777"),
        ("REDIS_PASSWORD", "secret"),
    ],
)
def test_what_needs_a_restart_is_named_and_stays(name: str, value: str) -> None:
    """By its name alone: a value could be a secret."""
    found = change(OLD, load(environment={name: value}))

    assert ((), (name,)) == (found.taken, found.later)
    assert OLD == found.settings


def test_both_kinds_are_told_apart() -> None:
    """In one reading."""
    found = change(OLD, load(environment={"AUTO_BLOCK": "true", "BATCH_SIZE": "7"}))

    assert (("AUTO_BLOCK",), ("BATCH_SIZE",)) == (found.taken, found.later)
    assert found.settings.respond.auto_block
    assert OLD.source == found.settings.source


def test_nothing_changed_is_nothing_taken() -> None:
    """A signal without a change."""
    found = change(OLD, load(environment={}))

    assert ((), ()) == (found.taken, found.later)
    assert OLD == found.settings
