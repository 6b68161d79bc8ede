"""The sample that the project ships is what its README says."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from lab import sample
from lab.estate import HOME_NET
from lab.label import Actor, Label, Role, read_labels

SAMPLES = Path(__file__).parents[3] / "samples"
SYN, RST, ACK = 0x02, 0x04, 0x10
BENCHMARKING = ip_network("198.18.0.0/15")
HOME = [ip_network(text) for text in HOME_NET]


@dataclass(frozen=True, slots=True)
class Sample:
    """The shipped sample, read once."""

    events: list[dict[str, Any]]
    actors: dict[str, Actor]
    flows: defaultdict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    """TCP flows by the address that opened them."""

    def of(self, role: Role) -> list[Actor]:
        """Return the actors of a role."""
        return [actor for actor in self.actors.values() if actor.role is role]


@pytest.fixture(scope="module")
def shipped() -> Sample:
    """Return the shipped sample."""
    events = [event for _, event in sample.read_events(SAMPLES / sample.EVENTS)]
    whole = Sample(events, read_labels(SAMPLES / sample.LABELS))
    for event in events:
        if event["event_type"] == "flow" and event["proto"] == "TCP":
            whole.flows[str(ip_address(event["src_ip"]))].append(event["tcp"])
    return whole


def completed(tcp: dict[str, Any]) -> bool:
    """Return whether the flags show a SYN, its SYN-ACK, and an ACK of the client."""
    client, server = int(tcp["tcp_flags_ts"], 16), int(tcp["tcp_flags_tc"], 16)
    return bool(client & SYN and client & ACK and server & SYN and server & ACK)


def test_sample_is_small() -> None:
    """It stays under a megabyte, compressed."""
    assert (SAMPLES / sample.EVENTS).stat().st_size < 1_000_000


def test_every_address_has_a_label(shipped: Sample) -> None:
    """No event has an address that the labels don't know."""
    seen = {address for event in shipped.events for address in sample.addresses(event)}

    assert set() == seen - set(shipped.actors)


def test_every_label_has_an_event(shipped: Sample) -> None:
    """No label is of an address that does nothing."""
    seen = {address for event in shipped.events for address in sample.addresses(event)}

    assert set() == set(shipped.actors) - seen


def test_forged_sources_belong_to_nobody(shipped: Sample) -> None:
    """A spoofed address lies in the benchmarking range; forged clients are labelled benign."""
    spoofed = [a.address for a in shipped.actors.values() if a.label is Label.SPOOFED]

    assert 200 == len(spoofed)
    assert all(ip_address(address) in BENCHMARKING for address in spoofed)


def test_some_clients_were_forged_too(shipped: Sample) -> None:
    """Benign web clients have half-open flows beside their own: the flood used their address."""
    forged = [
        actor
        for actor in shipped.of(Role.WEB_CLIENT)
        if not all(completed(tcp) for tcp in shipped.flows[actor.address])
    ]

    assert 5 <= len(forged)
    assert all(any(completed(tcp) for tcp in shipped.flows[a.address]) for a in forged)


def test_many_benign_clients_come_in(shipped: Sample) -> None:
    """At least 150 benign addresses outside open a connection, more than there are attackers."""
    inbound = [
        actor
        for actor in shipped.actors.values()
        if actor.label is Label.BENIGN
        and shipped.flows[actor.address]
        and not any(ip_address(actor.address) in network for network in HOME)
    ]

    assert 150 <= len(inbound)


def test_attackers_of_two_kinds_complete_handshakes(shipped: Sample) -> None:
    """Guessers and web scanners have many flows, nearly all with a whole handshake."""
    for actor in (*shipped.of(Role.SSH_BRUTE_FORCE), *shipped.of(Role.WEB_SCANNER)):
        flows = shipped.flows[actor.address]
        assert actor.handshake
        assert 10 <= len(flows)
        assert 0.9 <= sum(completed(tcp) for tcp in flows) / len(flows)


def test_syn_scanner_completes_none(shipped: Sample) -> None:
    """A half-open scanner has hundreds of flows and not one whole handshake."""
    for actor in shipped.of(Role.SYN_SCANNER):
        flows = shipped.flows[actor.address]
        assert not actor.handshake
        assert 900 <= len(flows)
        assert 0 == sum(completed(tcp) for tcp in flows)


def test_flood_completes_none(shipped: Sample) -> None:
    """No forged source ever answers."""
    for actor in shipped.of(Role.SYN_FLOOD):
        assert 0 == sum(completed(tcp) for tcp in shipped.flows[actor.address])


def test_rules_fired_on_attackers_and_on_clients(shipped: Sample) -> None:
    """Attackers raise many alerts and some clients a few: an alert alone proves nothing."""
    alerts = Counter(
        shipped.actors[str(ip_address(event["src_ip"]))].label
        for event in shipped.events
        if event["event_type"] == "alert"
    )

    assert 100 <= alerts[Label.MALICIOUS]
    assert 5 <= alerts[Label.BENIGN]


def test_nothing_of_packets_is_shipped(shipped: Sample) -> None:
    """No event carries packet contents."""
    assert not [event for event in shipped.events if "payload" in event or "packet" in event]


def test_readme_counts_what_is_there() -> None:
    """The tables of the README are those of the sample."""
    readme = (SAMPLES / "README.md").read_text(encoding="utf-8")

    assert sample.summary(SAMPLES) in readme
