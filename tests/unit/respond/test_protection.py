"""Who is never blocked, as operator, machine and firewalls say it at this moment."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from ai_suricata.respond.protection import Protection
from fakes.response import clock_at

GATEWAY = ip_network("203.0.113.1")
DNS = ip_network("198.51.100.53")


def test_the_list_is_joined_from_all_who_know() -> None:
    """Each with what it is, so that a refusal can be explained."""
    protection = Protection({"NEVER_BLOCK": [DNS]}, {"own gateway": lambda: [GATEWAY]})
    protection.learn("pf", {"interface": [ip_network("192.0.2.1")]})
    protection.sessions([ip_address("192.0.2.2")])
    protection.allow([ip_network("192.0.2.64/26")])

    reasons = {
        text: protection.never_block.reason_for_text(text)
        for text in ("198.51.100.53", "203.0.113.1", "192.0.2.1", "192.0.2.2", "192.0.2.70")
    }
    assert reasons == {
        "198.51.100.53": "NEVER_BLOCK: 198.51.100.53/32",
        "203.0.113.1": "own gateway: 203.0.113.1/32",
        "192.0.2.1": "the firewall's interface: 192.0.2.1/32",
        "192.0.2.2": "the firewall: 192.0.2.2/32",
        "192.0.2.70": "allowed by the operator: 192.0.2.64/26",
    }


def test_a_survey_takes_the_place_of_the_one_before() -> None:
    """A gateway that is gone may be blocked again; that of another firewall stays."""
    protection = Protection({})
    protection.learn("first", {"gateway": [GATEWAY]})
    protection.learn("second", {"gateway": [DNS]})
    protection.learn("first", {"gateway": [ip_network("203.0.113.2")]})

    assert protection.never_block.reason(GATEWAY) is None
    assert protection.never_block.reason(DNS) is not None
    assert protection.never_block.reason(ip_network("203.0.113.2")) is not None


def test_an_answer_that_is_empty_leaves_the_last_good_one() -> None:
    """The DNS of this machine fails now and then; its gateway does not vanish by that."""
    answers = [[GATEWAY], []]
    protection = Protection({}, {"own gateway": lambda: answers.pop(0)})
    protection.meet(protection.look())

    assert protection.never_block.reason(GATEWAY) is not None


def test_force_overrides_what_is_listed_and_not_what_we_live_by() -> None:
    """The operator may block a private host, and neither the firewall nor loopback."""
    protection = Protection({"home network": [ip_network("10.0.0.0/8")], "NEVER_BLOCK": [DNS]})
    protection.learn("pf", {"gateway": [GATEWAY], "network": [ip_network("192.0.2.0/24")]})

    absolute = protection.absolute
    assert absolute.reason_for_text("192.0.2.9") is None  # a host of the operator's own DMZ
    assert protection.never_block.reason_for_text("192.0.2.9") is not None
    assert absolute.reason_for_text("10.1.2.3") is None
    assert absolute.reason(DNS) is None
    for text in ("203.0.113.1", "127.0.0.1", "::1", "::ffff:127.0.0.1", "203.0.113.0/24"):
        assert absolute.reason_for_text(text) is not None, text


def test_a_list_that_says_the_same_is_the_same_object() -> None:
    """Who has held the ledger against it need not do so again; a change is told."""
    changes: list[int] = []
    protection = Protection({}, changed=lambda: changes.append(1))
    protection.learn("pf", {"gateway": [GATEWAY]})
    before = protection.never_block

    protection.learn("pf", {"gateway": [GATEWAY]})
    protection.allow([])
    protection.meet({})
    assert protection.never_block is before

    protection.allow([DNS])
    assert protection.never_block is not before
    assert len(changes) == 3  # the first list, the gateway, the allowance


def test_the_age_is_that_of_the_firewall_that_was_silent_longest() -> None:
    """None before any has said something."""
    clock = clock_at()
    protection = Protection({}, clock=clock)
    assert protection.age() is None

    protection.learn("first", {})
    clock.advance(100)
    protection.learn("second", {})
    assert protection.age() == 100


def test_the_ends_of_earlier_connections_stay_on_the_list() -> None:
    """The firewall sees us by another address after a reconnect; both may be needed."""
    protection = Protection({})
    protection.sessions([ip_address("192.0.2.1")])
    protection.sessions([ip_address("192.0.2.2")])

    assert protection.absolute.reason_for_text("192.0.2.1") is not None
    assert protection.absolute.reason_for_text("192.0.2.2") is not None


def test_what_the_name_of_the_firewall_stands_for_stays_beside_its_sessions() -> None:
    """DNS says one address, the connection another (a CARP pair)."""
    protection = Protection({}, {"the firewall": lambda: [GATEWAY]})
    protection.sessions([ip_address("192.0.2.1")])

    assert protection.never_block.reason(GATEWAY) is not None
    assert protection.never_block.reason_for_text("192.0.2.1") is not None
