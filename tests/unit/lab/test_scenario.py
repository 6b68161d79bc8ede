"""The cast of a run: a function of the seed, with more clients than attackers."""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_address, ip_network

import pytest
from lab import scenario
from lab.label import Label, Role

SEEDS = range(20)
RANGES = [
    ip_network(text)
    for text in (*scenario.HOME_NET, *scenario.STRANGERS, scenario.STRANGERS_V6, scenario.FORGED)
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
    """Two attackers of each real kind, at least 150 web clients, and more benign than malicious."""
    cast = scenario.cast(seed)
    labels = Counter(actor.label for actor in cast.actors)

    assert 6 == labels[Label.MALICIOUS]
    assert 150 <= len(cast.addresses(Role.WEB_CLIENT))
    assert labels[Label.BENIGN] > labels[Label.MALICIOUS]


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
