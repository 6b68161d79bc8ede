"""The cast of a run: a function of the seed, with more clients than attackers."""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_address, ip_network

import pytest
from lab import estate, scenario
from lab.label import Label, Role

SEEDS = range(20)
RANGES = [
    ip_network(text)
    for text in (*estate.HOME_NET, *scenario.STRANGERS, scenario.STRANGERS_V6, scenario.FORGED)
]


def test_seed_decides_the_cast() -> None:
    """The same seed gives the same cast, another seed another one."""
    assert scenario.cast(1) == scenario.cast(1)
    assert scenario.cast(1) != scenario.cast(2)


@pytest.mark.parametrize("seed", SEEDS)
def test_each_address_plays_one_role(seed: int) -> None:
    """No address comes twice, so that every label is exact."""
    addresses = [actor.address for actor in scenario.cast(seed).actors]

    assert len(addresses) == len(set(addresses))


@pytest.mark.parametrize("seed", SEEDS)
def test_addresses_belong_to_nobody(seed: int) -> None:
    """Every address lies in a documentation or benchmarking range, in its canonical form."""
    for actor in scenario.cast(seed).actors:
        address = ip_address(actor.address)
        assert actor.address == str(address)
        assert any(address in network for network in RANGES), actor


@pytest.mark.parametrize("seed", SEEDS)
def test_kinds_and_numbers(seed: int) -> None:
    """At least 250 benign strangers come in, more than attack, and every role is played."""
    cast = scenario.cast(seed)
    strangers = [a for a in cast.actors if a.role in scenario.CLIENT_ROLES]
    labels = Counter(actor.label for actor in cast.actors if actor.role is not Role.NOBODY)

    assert 250 <= len(strangers)
    assert {Label.BENIGN} == {actor.label for actor in strangers}
    assert labels[Label.BENIGN] > labels[Label.MALICIOUS]
    assert set(Role) == {actor.role for actor in cast.actors}


@pytest.mark.parametrize("seed", SEEDS)
def test_campaigns_are_shared_and_named_after_the_seed(seed: int) -> None:
    """Each campaign has ten addresses or more, all malicious; other attackers have none."""
    actors = [actor for actor in scenario.cast(seed).actors if actor.campaign]
    sizes = Counter(actor.campaign for actor in actors)

    assert {Role.CREDENTIAL_STUFFING, Role.DISTRIBUTED_SCANNER} == {a.role for a in actors}
    assert {Label.MALICIOUS} == {actor.label for actor in actors}
    assert 10 <= min(sizes.values())
    assert all(campaign.endswith(f"-{seed}") for campaign in sizes)


def test_home_hosts_that_attack_are_compromised() -> None:
    """Of the home network nobody is malicious: who works for others is compromised."""
    home = ip_network(estate.HOME_NET[0])
    labels = {
        actor.role: actor.label
        for actor in scenario.cast(1).actors
        if ":" not in actor.address and ip_address(actor.address) in home
    }

    assert Label.MALICIOUS not in labels.values()
    assert {Role.BEACON, Role.DATA_THEFT, Role.DNS_TUNNEL, Role.BOT} == {
        role for role, label in labels.items() if label is Label.COMPROMISED
    }


def test_allowed_scanners_are_benign() -> None:
    """A scanner that the owner ordered is labelled as what it is, in a role of its own."""
    allowed = [a for a in scenario.cast(1).actors if a.role is Role.ALLOWED_SCANNER]

    assert [(Label.BENIGN, "nmap")] * 2 == [(actor.label, actor.tool) for actor in allowed]


@pytest.mark.parametrize("seed", SEEDS)
def test_forged_clients_stay_benign(seed: int) -> None:
    """The flood borrows addresses of real clients, which keep their own label."""
    cast = scenario.cast(seed)
    clients = set(cast.addresses(Role.WEB_CLIENT))

    assert cast.forged_clients
    assert clients.issuperset(cast.forged_clients)


def test_attackers_come_from_the_ranges_of_clients() -> None:
    """Over the seeds, attackers are found in every IPv4 range that clients come from."""
    ranges = [ip_network(text) for text in scenario.STRANGERS]
    found = {
        network
        for seed in SEEDS
        for actor in scenario.cast(seed).actors
        if actor.label is Label.MALICIOUS
        for network in ranges
        if ip_address(actor.address) in network
    }

    assert set(ranges) == found
