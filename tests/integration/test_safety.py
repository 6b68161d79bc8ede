"""The safety test in short; and broken in each important way, it goes red."""

from __future__ import annotations

import asyncio
import re
from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest
from benchmarks import safety, safety_scene
from benchmarks.safety_input import Hostile, Kind, Way, again, hostile
from benchmarks.safety_oracle import IPV4, Oracle, Prefix, carried, meaning, read
from benchmarks.safety_outcome import BLOCKED, LIMITED, Judgement, Outcome, Reach, words_of
from benchmarks.safety_world import world

from ai_suricata.core.address import Target, parse_address
from ai_suricata.firewall.pfsense import PfSense
from ai_suricata.respond import never_block, operator
from ai_suricata.respond.guard import Guard
from ai_suricata.respond.judge import Judge
from ai_suricata.respond.never_block import NeverBlock
from ai_suricata.respond.responder import Responder
from fakes.sshd import BLOCK_TABLE, LIMIT_TABLE, Received

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

INPUTS, SEED = 700, 3


def run(folder: Path) -> Outcome:
    """Return what a short run shows."""
    return asyncio.run(safety.run(folder, INPUTS, SEED))


@pytest.mark.system
def test_nobody_is_blocked_who_must_not_be_and_all_attackers_are(tmp_path: Path) -> None:
    """By every way in; those that are protected later come out, and stay out."""
    outcome = run(tmp_path)

    assert ([], []) == (outcome.violations, outcome.differences)
    assert outcome.controls[0] == outcome.controls[1] > 200
    assert 0.95 * INPUTS < outcome.tried
    assert set(Way) == {way for way, number in outcome.ways.items() if number > 50}
    assert outcome.words >= outcome.controls[0]


def drop_the_carriers(patch: pytest.MonkeyPatch) -> None:
    """Judge no IPv6 address by the IPv4 one that it carries."""
    patch.setattr(never_block, "_CARRIERS", ())


def drop_the_survey(patch: pytest.MonkeyPatch) -> None:
    """Learn nothing from the firewall."""

    async def survey(_self: PfSense) -> dict[str, object]:
        return {}

    patch.setattr(PfSense, "survey", survey)


def drop_the_overlap(patch: pytest.MonkeyPatch) -> None:
    """Judge a network by its first address alone."""
    whole = NeverBlock.reason

    def reason(self: NeverBlock, target: Target) -> str | None:
        return whole(self, ip_network(target).network_address)

    patch.setattr(NeverBlock, "reason", reason)


def drop_the_last_look(patch: pytest.MonkeyPatch) -> None:
    """Hold no wish against the list right before it is sent, unless the list has changed."""
    patch.setattr(Guard, "passed", lambda _self, entries: list(entries))
    whole = Guard.spare

    async def spare(self: Guard) -> None:
        if self.is_behind:
            await whole(self)

    patch.setattr(Guard, "spare", spare)


def drop_the_list_for_verdicts(patch: pytest.MonkeyPatch) -> None:
    """Refuse nothing that the analysis calls for."""
    drop_the_last_look(patch)
    patch.setattr("ai_suricata.respond.policy._refusal", lambda *_: "")


def drop_the_list_for_others(patch: pytest.MonkeyPatch) -> None:
    """Adopt whatever another instance has decided."""
    drop_the_last_look(patch)
    patch.setattr(Responder, "refusal", lambda *_: None)


def drop_the_list_for_people(patch: pytest.MonkeyPatch) -> None:
    """Carry out every order."""
    drop_the_last_look(patch)
    patch.setattr(operator, "objection", lambda *_, **__: None)


def drop_the_home_network(patch: pytest.MonkeyPatch) -> None:
    """Leave out what the settings protect."""
    patch.setattr("ai_suricata.assembly.fixed", lambda _settings: {})


@pytest.mark.system
@pytest.mark.parametrize(
    ("mutation", "told"),
    [
        (drop_the_carriers, r"blocked: 64:ff9b::\S+ \("),
        (drop_the_survey, r"blocked: 45\.33\.10\.1 \(gateway\)"),
        (drop_the_overlap, r"blocked: 45\.33\.10\.0/24 \("),
        (drop_the_list_for_verdicts, r"blocked: 10\.9\.8\.7 \("),
        (drop_the_list_for_others, r"blocked: \S+ \(private"),
        (drop_the_list_for_people, r"blocked: \S+ \(private"),
        (drop_the_home_network, r"blocked: 203\.0\.113\.\d+ \(NEVER_BLOCK\)"),
    ],
)
def test_a_hole_in_the_list_of_the_never_blocked_is_found(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mutation: Callable[[pytest.MonkeyPatch], None],
    told: str,
) -> None:
    """Whichever way into the tables is left without it."""
    monkeypatch.setattr(safety_scene, "PATIENCE", 20.0)
    mutation(monkeypatch)
    outcome = run(tmp_path)

    assert [] != [text for text in outcome.violations if re.match(told, text)]
    assert not outcome.is_good


@pytest.mark.system
def test_what_slips_through_elsewhere_is_stopped_right_before_it_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hole in what is adopted is none in the tables: the list is asked twice."""
    monkeypatch.setattr(Responder, "refusal", lambda *_: None)
    outcome = run(tmp_path)

    assert [] == outcome.violations


@pytest.mark.system
def test_what_is_protected_too_late_and_stays_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list that grows, and is not held against the ledger."""

    async def spare(_self: Guard) -> None:
        pass

    monkeypatch.setattr(safety_scene, "PATIENCE", 20.0)
    monkeypatch.setattr(Guard, "spare", spare)
    outcome = run(tmp_path)

    assert [f"broken off: not within 20 s: {safety.OUT}"] == outcome.differences


@pytest.mark.system
def test_a_daemon_that_blocks_nobody_passes_no_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or that does not promote: the controls tell."""
    monkeypatch.setattr(Judge, "promoted", lambda *_: None)
    monkeypatch.setattr(Judge, "decide", lambda *_: None)
    monkeypatch.setattr(safety_scene, "PATIENCE", 20.0)
    outcome = run(tmp_path)

    assert outcome.controls[1] < outcome.controls[0]
    assert any("not blocked whole" in text for text in outcome.differences)
    assert 1 == safety.report(outcome, 1.0)


@pytest.mark.parametrize(
    ("text", "list_of"),
    [
        ("10.1.2.3", "private 10/8"),
        ("::ffff:10.1.2.3", "private 10/8"),
        ("::FFFF:0A01:0203", "private 10/8"),
        ("::ffff:0:10.1.2.3", "private 10/8"),
        ("::10.1.2.3", "private 10/8"),
        ("64:ff9b::a01:203", "private 10/8"),
        ("64:ff9b:1:7::a01:203", "private 10/8"),
        ("2002:a01:203::7", "private 10/8"),
        ("2001:0:1:2:3:4:f5fe:fdfc", "private 10/8"),
        ("8.0.0.0/5", "private 10/8"),
        ("2002:0800::/22", "private 10/8"),
        ("0.0.0.0/0", "this network"),
        ("::/0", "unspecified"),
        ("203.0.113.0/24", "listed"),
        ("203.0.113.70", "listed"),
        ("2001:db8:1::/48", "listed"),
        ("010.1.2.3", "no address at all"),
        ("10.1.2.3/33", "no address at all"),
        ("", "no address at all"),
        ("203.0.113.71", None),
        ("203.0.112.0/24", None),
        ("8.8.8.8", None),
        ("::8.8.8.8", None),
        ("2002:808:808::1", None),
        ("2001:db8:2::/48", None),
        ("198.51.100.0/24", None),
    ],
)
def test_the_oracle_judges_every_notation_and_network(text: str, list_of: str | None) -> None:
    """An address by itself and by what it carries; a network by all that it holds or lies in."""
    oracle = Oracle()
    oracle.protect("listed", "203.0.113.70", "2001:db8:1:2::7")
    assert list_of == oracle.judge(text, 0.0)


def test_the_oracle_knows_from_when_on_somebody_is_protected() -> None:
    """What was sent before that was right."""
    oracle = Oracle()
    oracle.protect("later", "203.0.113.7", since=100.0)
    assert [None, "later"] == [oracle.judge("203.0.113.7", at) for at in (99.0, 100.0)]


def test_the_oracle_reads_ipv4_out_of_parts_of_it() -> None:
    """A network within a carrier stands for as much of IPv4 as its length leaves open."""
    assert [Prefix(IPV4, 0x0808, 16)] == carried(read("2002:808::/32") or Prefix(0, 0, 0))
    assert [Prefix(IPV4, 0, 0)] == carried(read("64:ff9b::/96") or Prefix(0, 0, 0))
    assert [Prefix(IPV4, 0x0A01, 16)] == carried(read("2001::f5fe:0/112") or Prefix(0, 0, 0))
    assert read("10.0.0.1") == meaning(" ::ffff:10.0.0.1%3\n")
    assert read("10.0.0.0/8") == meaning("::ffff:10.0.0.0/104")


def test_every_word_that_acts_is_read_out_of_the_commands() -> None:
    """On standard input or the command line; what asks or takes out harms nobody."""
    commands = [
        Received(1.0, f"/sbin/pfctl -t {BLOCK_TABLE} -T add -f -", "192.0.2.1\n192.0.2.0/24\n"),
        Received(2.0, f"/sbin/pfctl -t {LIMIT_TABLE} -T add 192.0.2.2", ""),
        Received(3.0, f"/sbin/pfctl -t {BLOCK_TABLE} -T delete -f -", "192.0.2.3\n"),
        Received(4.0, f"/sbin/pfctl -t {BLOCK_TABLE} -T test -f -", "192.0.2.4\n"),
        Received(5.0, "/sbin/pfctl -k 192.0.2.5", ""),
        Received(6.0, "/sbin/pfctl -k ::/0 -k 2001:db8::6", ""),
        Received(7.0, "/sbin/pfctl -k 0.0.0.0/0", ""),
    ]
    assert [
        (BLOCKED, "192.0.2.1"),
        (BLOCKED, "192.0.2.0/24"),
        (LIMITED, "192.0.2.2"),
        ("kill", "192.0.2.5"),
        ("kill", "2001:db8::6"),
        ("kill", "0.0.0.0/0"),
    ] == [(word.what, word.text) for word in words_of(commands)]


def test_a_forged_source_in_the_block_table_is_a_violation() -> None:
    """It may be slowed down, and no more."""
    outcome = Outcome()
    spoofed = Hostile(Kind.SPOOFED, "192.0.2.1", Way.SOURCE, proven=False)
    add = f"/sbin/pfctl -t {BLOCK_TABLE} -T add -f -"
    words = words_of([Received(1.0, add, "192.0.2.0/24\n")])
    Judgement(Oracle(), outcome).inputs([spoofed], {}, words, [])

    assert ["192.0.2.1: blocked for forged packets"] == outcome.violations
    assert {(Kind.SPOOFED, BLOCKED): 1} == dict(outcome.fates)
    assert Reach(["192.0.2.0/24"]).touches(["192.0.2.255"])
    assert not Reach(["192.0.2.0/24"]).touches(["192.0.3.0"])


def test_the_inputs_follow_from_the_seed_and_hold_every_kind_and_way() -> None:
    """Ten thousand of them, and each control once."""
    who = world()
    inputs = hostile(who, 10_000, 1)

    assert inputs == hostile(who, 10_000, 1)
    assert inputs != hostile(who, 10_000, 2)
    assert len(inputs) >= 10_000
    assert set(Kind) == {one.kind for one in inputs}
    assert set(Way) == {one.way for one in inputs} == {one.way for one in again(who, 1)}
    controls = [one.text for one in inputs if one.kind is Kind.CONTROL]
    assert set(who.controls) == {str(parse_address(text)) for text in controls}


def test_no_inputs_prove_nothing() -> None:
    """A run that let none in is no success."""
    assert 1 == safety.report(Outcome(), 1.0)
