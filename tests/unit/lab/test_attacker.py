"""The attacks of a run: who runs what, and when."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from lab import attacker, estate, scenario, webattack
from lab.label import Label, Role
from lab.take import TEST_TOOLS, tools_for
from lab.wordlist import Wordlists

if TYPE_CHECKING:
    from pathlib import Path

SEEDS = range(12)
CAST = scenario.cast(1)


@pytest.mark.parametrize("seed", SEEDS)
def test_each_taker_of_the_cast_attacks_once(tmp_path: Path, seed: int) -> None:
    """Each taker has one command, of the tool and the role that its label names."""
    cast = scenario.cast(seed)
    actors = {actor.address: actor for actor in cast.actors}
    attacks = attacker.attacks(cast, tmp_path, seed, 60.0)

    assert Counter(cast.takers) == Counter(attack.address for attack in attacks)
    for attack in attacks:
        actor = actors[attack.address]
        assert (actor.tool, actor.role, actor.label) == (
            attack.take.tool,
            attack.take.role,
            attack.take.label,
        )


@pytest.mark.parametrize("seed", SEEDS)
def test_takes_use_the_tools_of_the_seed(seed: int, tmp_path: Path) -> None:
    """Every tool of a seed is used, and none besides."""
    assert tools_for(seed) == {take.tool for take in attacker.takes(seed, tmp_path)}


@pytest.mark.parametrize("seed", SEEDS)
def test_takes_are_many_and_different(seed: int, tmp_path: Path) -> None:
    """At least 60 commands attack, nearly all of them with options that no other one has."""
    made = [t for t in attacker.takes(seed, tmp_path) if t.label is Label.MALICIOUS]

    assert 60 <= len(made)
    assert 0.9 <= len({take.command for take in made}) / len(made)


def test_seed_decides_the_takes(tmp_path: Path) -> None:
    """The same seed gives the same commands; another one of the same tools gives others."""
    first, second = (attacker.takes(seed, tmp_path) for seed in (2, 4))

    assert first == attacker.takes(2, tmp_path)
    assert {take.command for take in first} != {take.command for take in second}


def test_first_moments_are_quiet_and_all_ends(tmp_path: Path) -> None:
    """No attack begins at once, and each ends before the traffic does, within its own limit."""
    attacks = attacker.attacks(CAST, tmp_path, 1, 300.0)

    assert 300 * 0.06 <= min(attack.start for attack in attacks)
    assert 300 * 0.95 >= max(attack.start + attack.limit for attack in attacks)
    assert all(0 < attack.limit <= attack.take.limit for attack in attacks)
    assert sorted(attacks, key=lambda attack: attack.start) == attacks


def test_attacks_stay_on_the_estate(tmp_path: Path) -> None:
    """No command names an IPv4 address outside the home network but its own."""
    for attack in attacker.attacks(CAST, tmp_path, 1, 300.0):
        words = " ".join(attack.command[4:]).replace(attack.address, "")
        assert any(word in words for word in ("192.0.2.", "2001:db8:1::", "requests-"))
        assert not any(net in words for net in ("198.51.100.", "203.0.113.", "198.18."))


def test_lists_that_tools_read_are_there(tmp_path: Path) -> None:
    """Every file that a command names is written beforehand, but those that the tools write."""
    attacker.prepare(1, tmp_path)
    words = [word for take in attacker.takes(1, tmp_path) for word in take.command]
    named = {word for word in words if word.startswith(f"{tmp_path}/")}
    written = {
        word for word in named if not any(own in word for own in ("sqlmap", "wapiti", ".ncrack"))
    }

    assert written
    assert [] == [word for word in written if not tmp_path.joinpath(word).is_file()]


@pytest.mark.parametrize("seed", SEEDS)
def test_no_list_has_the_right_password(seed: int, tmp_path: Path) -> None:
    """A guesser must not stop because it has guessed."""
    lists = Wordlists.inside(tmp_path)
    lists.write(seed)

    assert estate.PASSWORD not in lists.passwords.read_text(encoding="ascii").splitlines()
    assert 12 == len(lists.few_passwords.read_text(encoding="ascii").splitlines())


def test_floods_forge_strangers_and_clients() -> None:
    """The sources of the floods are the forged addresses and the borrowed ones, none else."""
    syns, datagrams = attacker.floods(CAST, 1, 60.0)
    borrowed = set(CAST.forged_clients)

    assert {*CAST.addresses(Role.SYN_FLOOD), *borrowed} == set(syns.sources)
    assert set(CAST.addresses(Role.UDP_FLOOD)) == set(datagrams.sources) - borrowed
    assert (False, True) == (syns.udp, datagrams.udp)


def test_web_scan_asks_for_each_probe_once() -> None:
    """Probes come in an order of their own, none twice, all of the protected web server."""
    first, second = random.Random(1), random.Random(2)  # noqa: S311 - varies a test, hides nothing
    urls = webattack.requests(first)

    assert len(urls) == len(set(urls))
    assert all(url.startswith(f"http://{estate.WEB}/") for url in urls)
    assert urls != webattack.requests(second)


def test_tools_of_testing_are_not_in_training_takes(tmp_path: Path) -> None:
    """No command of an even seed runs a tool that is kept for testing."""
    programs = {take.command[0] for take in attacker.takes(2, tmp_path)}

    assert set() == programs & TEST_TOOLS


@pytest.mark.parametrize("seed", SEEDS)
def test_addresses_fit_the_takes(seed: int, tmp_path: Path) -> None:
    """Whoever scans over IPv6 has an IPv6 address, and a prefix that is this address alone."""
    attacks = attacker.attacks(scenario.cast(seed), tmp_path, seed, 60.0)

    assert {True, False} == {attack.take.v6 for attack in attacks}
    for attack in attacks:
        assert attack.take.v6 == (":" in attack.address) == attack.prefix.endswith("/128")
