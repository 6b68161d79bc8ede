"""The attacks of a run: who runs what, and when."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

from lab import attacker, scenario
from lab.label import Role

if TYPE_CHECKING:
    from pathlib import Path

CAST = scenario.cast(1)


def test_each_attacker_of_the_cast_attacks_once(tmp_path: Path) -> None:
    """Whoever is labelled as one of the three real kinds has one command."""
    attacks = attacker.attacks(CAST, tmp_path, 1, 60.0)
    roles = (Role.SSH_BRUTE_FORCE, Role.WEB_SCANNER, Role.SYN_SCANNER)

    assert Counter(CAST.addresses(*roles)) == Counter(attack.address for attack in attacks)


def test_first_third_is_quiet(tmp_path: Path) -> None:
    """No attack begins before a third of the time, so that there is something normal to learn."""
    starts = [attack.start for attack in attacker.attacks(CAST, tmp_path, 1, 300.0)]

    assert 99.0 <= min(starts)
    assert 150.0 >= max(starts)


def test_flood_forges_strangers_and_clients() -> None:
    """The flood's sources are the forged addresses and the borrowed ones, none else."""
    plan = attacker.flood(CAST, 1, 60.0)

    assert {*CAST.addresses(Role.SYN_FLOOD), *CAST.forged_clients} == set(plan.sources)


def test_web_scan_asks_for_each_probe_once() -> None:
    """Probes come in an order of their own, none twice, all of the protected web server."""
    first, second = random.Random(1), random.Random(2)  # noqa: S311 - varies a test, hides nothing
    urls = attacker.requests(first)

    assert len(urls) == len(set(urls))
    assert all(url.startswith(f"http://{scenario.WEB}/") for url in urls)
    assert urls != attacker.requests(second)
