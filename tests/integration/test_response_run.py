"""The response of a running daemon, from the line in eve.json to pf's table, over a real sshd."""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from fakes import eve
from fakes.pf_answer import INTERFACES, ROUTES, RULES
from fakes.process import guesses, running, wait_for
from fakes.sshd import BLOCK_TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fakes.process import DaemonProcess
    from fakes.sshd import PfStandIn

pytestmark = pytest.mark.system

ATTACKER, OTHER, GATEWAY = "203.0.113.7", "198.51.100.9", "198.51.100.1"
INTERFACES_ASKED = "/sbin/ifconfig -a"
RETRY = 15.0
"""Seconds in which a firewall that is back has to be asked again: 10, and 5 of the connection."""
VARIABLES = {
    "AUTO_BLOCK": "true",
    "FLUSH_INTERVAL": "0.2",
    "PFSENSE_TIMEOUT": "5",
    "RECONCILE_INTERVAL": "1",
}


@contextmanager
def blocking(
    folder: Path, pf: PfStandIn, *arguments: str, answers: bool = True, **variables: str
) -> Iterator[DaemonProcess]:
    """Yield a daemon that blocks on the firewall; `answers`: which has said what it lives by."""
    chosen = {**VARIABLES, **pf.environment(), **variables}
    with running(folder, arguments, variables=chosen) as daemon:
        if answers:
            wait_for(lambda: daemon.health("firewall") == ("ok", "answers"), "it answers")
        yield daemon


def attack(daemon: DaemonProcess, *attackers: str) -> None:
    """Let addresses guess passwords, in the order given."""
    daemon.write([line for attacker in attackers for line in guesses(attacker)])


def worked_through(daemon: DaemonProcess, lines: list[bytes]) -> None:
    """Write the lines, and wait until the daemon has them behind it."""
    before = daemon.events()
    daemon.write(lines)
    wait_for(lambda: daemon.events() == before + len(lines), "all is worked through")


def states(daemon: DaemonProcess) -> dict[str, str]:
    """Return how far the block of each target has come, as the ledger has it on disk."""
    found = daemon.ledger("pfsense").items()
    return {target: state for (target, table), state in found if table == "block"}


def are_enforced(daemon: DaemonProcess, *targets: str) -> bool:
    """Whether the blocks of all of them are proved."""
    held = states(daemon)
    return all(held.get(target) == "enforced" for target in targets)


def sent(pf: PfStandIn, verb: str) -> list[str]:
    """Return the addresses that were sent with a table verb, in order."""
    commands = (one for one in pf.commands() if f"-T {verb}" in one.command)
    return [word for one in commands for word in one.stdin.split()]


def logged(daemon: DaemonProcess, state: str) -> dict[str, Any]:
    """Return the one decision that is logged with a state: a moment after the ledger has it."""

    def found() -> list[dict[str, Any]]:
        return [entry for entry in daemon.told("decision") if entry["state"] == state]

    wait_for(found, f"a decision is {state}")
    [entry] = found()
    return entry


def surveys(pf: PfStandIn) -> int:
    """Return how many times the firewall was asked what it lives by: each round begins with it."""
    return sum(one.command == INTERFACES_ASKED for one in pf.commands())


# -- whom the firewall lives by -------------------------------------------------------------------


def test_a_gateway_that_offends_is_never_sent(tmp_path: Path, pf: PfStandIn) -> None:
    """It has a public address, which nothing but the firewall's own routes protects."""
    pf.set_routes(ROUTES.replace("10.255.0.1 ", f"{GATEWAY} "))
    with blocking(tmp_path, pf) as daemon:
        attack(daemon, GATEWAY, OTHER)
        wait_for(lambda: are_enforced(daemon, OTHER))
        assert {GATEWAY: "refused", OTHER: "enforced"} == states(daemon)
        wait_for(lambda: daemon.metric("suricata_ai_never_block_hits_total") == 1)
        refused = logged(daemon, "refused")
        assert (GATEWAY, True) == (refused["target"], "the firewall's gateway" in refused["note"])
    assert {OTHER} == set(sent(pf, "add"))


def test_a_dry_run_rehearses_whom_the_firewall_lives_by(tmp_path: Path, pf: PfStandIn) -> None:
    """It asks, and changes nothing: what it shows is what would have been blocked."""
    pf.set_routes(ROUTES.replace("10.255.0.1 ", f"{GATEWAY} "))
    with blocking(tmp_path, pf, answers=False, DRY_RUN="true") as daemon:
        attack(daemon, GATEWAY, OTHER)
        wait_for(lambda: daemon.ledger().get((OTHER, "block")) == "enforced")
        assert "refused" == daemon.ledger()[GATEWAY, "block"]
    asked = [one.command for one in pf.commands()]
    assert INTERFACES_ASKED in asked
    assert [] == [command for command in asked if " -T " in command or " -k " in command]


def test_nothing_is_sent_to_a_firewall_that_does_not_say_what_it_lives_by(
    tmp_path: Path, pf: PfStandIn
) -> None:
    """Health names the remedy; once the commands are allowed, the block comes."""
    pf.refuse_survey()
    with blocking(tmp_path, pf, answers=False) as daemon:
        attack(daemon, ATTACKER)
        wait_for(lambda: states(daemon) == {ATTACKER: "requested"})
        wait_for(lambda: "PFSENSE_LEARN=false" in daemon.health("firewall")[1])
        assert "degraded" == daemon.health("firewall")[0]
        rounds = surveys(pf)
        wait_for(lambda: surveys(pf) >= rounds + 2, "a whole round has passed", RETRY)
        assert [] == sent(pf, "add")
        assert {ATTACKER: "requested"} == states(daemon)

        pf.refuse_survey(refused=False)
        wait_for(lambda: are_enforced(daemon, ATTACKER), "the block comes", RETRY)
        assert {ATTACKER} == pf.table(BLOCK_TABLE)
        wait_for(lambda: daemon.health("firewall") == ("ok", "answers"))


def test_a_blocked_address_that_becomes_the_firewalls_own_is_lifted(
    tmp_path: Path, pf: PfStandIn
) -> None:
    """Within NEVER_BLOCK_REFRESH; and it does not come back, whatever it does."""
    virtual = f"\tinet {ATTACKER} netmask 0xffffffff broadcast {ATTACKER} vhid 2\n\tcarp:"
    with blocking(tmp_path, pf, NEVER_BLOCK_REFRESH="1") as daemon:
        attack(daemon, ATTACKER, OTHER)
        wait_for(lambda: are_enforced(daemon, ATTACKER, OTHER))

        pf.set_interfaces(INTERFACES.replace("\tcarp:", virtual, 1))
        wait_for(lambda: pf.table(BLOCK_TABLE) == {OTHER}, "it is lifted", limit=5)
        wait_for(lambda: states(daemon)[ATTACKER] == "watched")
        lifted = logged(daemon, "released")
        assert (ATTACKER, True) == (lifted["target"], "the firewall's interface" in lifted["note"])

        worked_through(daemon, guesses(ATTACKER))
        wait_for(lambda: states(daemon)[ATTACKER] == "refused")
    assert 1 == sent(pf, "add").count(ATTACKER)


# -- how much is decided --------------------------------------------------------------------------


def test_many_neighbours_become_their_network(tmp_path: Path, pf: PfStandIn) -> None:
    """Four of a /24, and four of a /64; on a fifth there is nothing left to decide."""
    four = [f"203.0.113.{number}" for number in range(1, 5)]
    six = [f"2001:db8:bad::{number}" for number in range(1, 5)]
    networks = {"203.0.113.0/24", "2001:db8:bad::/64"}
    with blocking(tmp_path, pf, PROMOTE_IPV4="4", PROMOTE_IPV6="4") as daemon:
        attack(daemon, *four[:3], *six[:3], OTHER)
        wait_for(lambda: are_enforced(daemon, *four[:3], *six[:3], OTHER))
        assert {*four[:3], *six[:3], OTHER} == pf.table(BLOCK_TABLE)

        attack(daemon, four[3], six[3])
        wait_for(lambda: are_enforced(daemon, *networks), "the networks are blocked")
        assert networks <= pf.table(BLOCK_TABLE)
        wait_for(lambda: daemon.metric("suricata_ai_promotions_total") == 2)

        worked_through(daemon, [*guesses("203.0.113.200"), *guesses("2001:db8:bad::200")])
        assert {*four, *six, OTHER, *networks} == states(daemon).keys()


def test_past_the_budget_nothing_is_blocked_until_the_operator_raises_it(
    tmp_path: Path, pf: PfStandIn
) -> None:
    """Of ten attackers the first three; health and metrics tell, and a reload lets it go on."""
    config = tmp_path / "config.env"
    config.write_text("BLOCKS_PER_MINUTE=3\n")
    ten = [f"203.0.113.{number}" for number in range(1, 11)]
    with blocking(tmp_path, pf, "--config", str(config)) as daemon:
        worked_through(daemon, [line for attacker in ten for line in guesses(attacker)])
        wait_for(lambda: daemon.metric("suricata_ai_active_blocks") == 3)
        assert dict.fromkeys(ten[:3], "enforced") == states(daemon)
        assert set(ten[:3]) == pf.table(BLOCK_TABLE)
        assert daemon.metric('suricata_ai_budget_exhausted_total{table="block"}') >= 7
        assert 1 == daemon.metric('suricata_ai_budget_breaker_open{table="block"}')
        status, detail = daemon.health("budget")
        assert ("degraded", True) == (status, "raise BLOCKS_PER_MINUTE" in detail)

        config.write_text("BLOCKS_PER_MINUTE=300\n")
        daemon.signal(signal.SIGHUP)
        wait_for(lambda: daemon.told("configuration read again"))
        attack(daemon, *ten[3:])
        wait_for(lambda: are_enforced(daemon, *ten), "all ten are blocked")
        wait_for(lambda: daemon.health("budget")[0] == "ok")
        assert 0 == daemon.metric('suricata_ai_budget_breaker_open{table="block"}')


# -- what a proof is worth ------------------------------------------------------------------------


def test_only_an_answered_flow_from_after_the_proof_is_a_leak(
    tmp_path: Path, pf: PfStandIn
) -> None:
    """Suricata taps before pf: packets of a blocked address go on showing, unanswered."""
    with blocking(tmp_path, pf) as daemon:
        before = time.time() - eve.START
        attack(daemon, ATTACKER)
        wait_for(lambda: are_enforced(daemon, ATTACKER))
        after = time.time() - eve.START + 5
        worked_through(
            daemon,
            [
                eve.line(eve.flow(ATTACKER, at=before - 1, written=after)),
                eve.line(eve.silent(ATTACKER, at=after)),
                eve.line(eve.refused(ATTACKER, at=after)),
                eve.line(eve.flow(OTHER, at=after)),
            ],
        )
        assert 0 == daemon.metric("suricata_ai_blocked_but_seen_total")

        worked_through(daemon, [eve.line(eve.flow(ATTACKER, at=after))])
        wait_for(lambda: daemon.metric("suricata_ai_blocked_but_seen_total") == 1)
        wait_for(lambda: daemon.told("blocked, but answered"))
        [told] = daemon.told("blocked, but answered")
        assert (ATTACKER, eve.SERVER, 443) == (told["address"], told["peer"], told["port"])


def test_the_gap_grows_while_the_firewall_is_away_and_closes_with_the_proof(
    tmp_path: Path, pf: PfStandIn
) -> None:
    """Seconds since the oldest event that is not acted on yet."""
    with blocking(tmp_path, pf) as daemon:
        assert 0 == daemon.metric("suricata_ai_enforcement_gap_seconds")
        pf.stop()
        daemon.write(logins_written_now(ATTACKER))
        wait_for(lambda: daemon.metric("suricata_ai_enforcement_gap_seconds") > 1, "it grows")
        assert {ATTACKER: "requested"} == states(daemon)
        wait_for(lambda: daemon.metric("suricata_ai_firewall_up") == 0)

        pf.start()
        wait_for(lambda: are_enforced(daemon, ATTACKER), "it is proved", RETRY)
        wait_for(lambda: daemon.metric("suricata_ai_enforcement_gap_seconds") == 0)
        wait_for(lambda: daemon.metric("suricata_ai_firewall_up") == 1)
        assert daemon.metric("suricata_ai_detect_to_enforced_seconds_sum") > 1


def logins_written_now(attacker: str) -> list[bytes]:
    """Return guessed passwords whose records carry the present moment, and none to come."""
    now = time.time() - eve.START
    records = [eve.login(attacker, at=now - 10 + number / 100) for number in range(200)]
    return [eve.line({**record, "timestamp": eve.stamp(now)}) for record in records]


def test_connections_are_ended_both_ways_after_the_proof(tmp_path: Path, pf: PfStandIn) -> None:
    """Those that the blocked began and those to them; nobody else's."""
    pf.add_state(ATTACKER, "10.0.0.5")
    pf.add_state("10.0.0.6", ATTACKER, inbound=False)
    pf.add_state(OTHER, "10.0.0.5")
    with blocking(tmp_path, pf) as daemon:
        attack(daemon, ATTACKER)
        wait_for(lambda: pf.states() == {(OTHER, "10.0.0.5")}, "they are ended")
        wait_for(lambda: daemon.metric("suricata_ai_states_killed_total") == 2)
    commands = [one.command for one in pf.commands()]
    proof = next(i for i, one in enumerate(commands) if f"{BLOCK_TABLE} -T test" in one)
    kills = [i for i, one in enumerate(commands) if " -k " in one]
    assert (2, True) == (len(kills), proof < min(kills))


def test_a_rule_that_is_gone_is_told_and_one_that_is_back_heals(
    tmp_path: Path, pf: PfStandIn
) -> None:
    """An entry that no rule refers to blocks nobody, so that it is no block any more."""
    with blocking(tmp_path, pf) as daemon:
        attack(daemon, ATTACKER)
        wait_for(lambda: are_enforced(daemon, ATTACKER))

        rules = RULES.splitlines()
        pf.set_rules(*(rule for rule in rules if BLOCK_TABLE not in rule))
        wait_for(lambda: daemon.health("firewall")[0] == "degraded", "it is told", RETRY)
        assert f"no firewall rule refers to the table {BLOCK_TABLE}" in daemon.health("firewall")[1]
        wait_for(lambda: states(daemon) == {ATTACKER: "failed"})
        wait_for(lambda: daemon.metric("suricata_ai_active_blocks") == 0)

        pf.set_rules(*rules)
        wait_for(lambda: are_enforced(daemon, ATTACKER), "it is proved again", RETRY)
        wait_for(lambda: daemon.health("firewall") == ("ok", "answers"))
        wait_for(lambda: daemon.metric("suricata_ai_active_blocks") == 1)
