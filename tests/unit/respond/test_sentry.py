"""Who is answered though he is blocked is seen; who is turned away is not."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_suricata.core.decision import LedgerEntry, LedgerState, Table
from ai_suricata.respond.ledger import Ledger
from ai_suricata.respond.sentry import MARGIN, MOST_TOLD, TELL_EVERY, Sentry, Sighting
from fakes import eve
from fakes.response import Disk, clock_at, decision

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from ai_suricata.core.event import Event

ATTACKER, SERVER = eve.STRANGER, eve.SERVER
MICROSECONDS = 1_000_000


def entry(
    target: str = ATTACKER,
    proved: float = 0.0,
    state: LedgerState = LedgerState.ENFORCED,
    table: Table = Table.BLOCK,
) -> LedgerEntry:
    """Return an entry whose state is of `proved` seconds after `eve.START`."""
    at = eve.START + proved
    return LedgerEntry(decision(target, table=table), state, at, at + 600)


def sentry(*entries: LedgerEntry) -> Sentry:
    """Return a sentry that knows the entries."""
    made = Sentry()
    made.changed(entries)
    return made


def answered(src: str = ATTACKER, at: float = 60.0, **other: Any) -> Event:  # noqa: ANN401 - any part of a flow
    """Return a completed connection that began `at`."""
    return eve.event(eve.flow(src, SERVER, at, **other))


def seen(watching: Sentry, *events: Event, now: float = 0.0) -> list[tuple[str, int]]:
    """Return the address and the number of flows of each sighting."""
    return [(found.address, found.flows) for found in watching.watch(events, now)]


def test_an_answer_after_the_proof_is_seen() -> None:
    """With all that helps to find the hole: who, what is blocked, when, and who answered."""
    event = answered(at=60, port=443)

    assert [
        Sighting(
            address=ATTACKER,
            target=ATTACKER,
            flows=1,
            began=(eve.START + 60) * MICROSECONDS,
            since=int((eve.START + MARGIN) * MICROSECONDS),
            peer=SERVER,
            port=443,
            proto="TCP",
            due=True,
        )
    ] == sentry(entry()).watch([event], 0.0)


@pytest.mark.parametrize(
    ("began", "expected"),
    [(-60, 0), (0, 0), (1.0, 0), (1.001, 1)],
    ids=["before", "at the proof", "within the margin", "after"],
)
def test_only_what_began_after_the_proof_and_the_margin_counts(began: float, expected: int) -> None:
    """A second: an open connection goes on being recorded, and clocks are not the same."""
    assert expected == len(seen(sentry(entry()), answered(at=began)))


def test_the_start_of_a_flow_counts_and_not_its_record() -> None:
    """A flow from before the block whose record is written an hour later says nothing."""
    assert [] == seen(sentry(entry()), answered(at=-60, written=3600))


def test_a_flow_without_a_start_says_nothing() -> None:
    """It may have begun before the block; all that is known is when its record was written."""
    record = eve.flow(at=60)
    del record["flow"]["start"]

    assert [] == seen(sentry(entry()), eve.event(record))


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (eve.COMPLETE, 1),
        (eve.HALF_OPEN, 1),
        (("02", "1A", "closed"), 1),
        (eve.REFUSED, 0),
        (eve.SILENT, 0),
        (("02", "02", "closed"), 0),
        (("10", "10", "established"), 0),
        (("02", "nonsense", "closed"), 0),
        (("02", "", "closed"), 0),
    ],
    ids=["data", "SYN,ACK", "capital", "RST", "silence", "SYN", "mid-stream", "nonsense", "none"],
)
def test_tcp_is_answered_by_syn_ack(flags: tuple[str, str, str], expected: int) -> None:
    """The RST of a `block return` rule comes from the firewall, in the server's name."""
    assert expected == len(seen(sentry(entry()), answered(tcp=flags)))


def test_tcp_without_flags_needs_a_protocol_that_was_recognised() -> None:
    """A sensor that writes no flags leaves the RST of a rule and an answer looking alike."""
    watching = sentry(entry())

    assert [] == seen(watching, answered(tcp=None))
    assert 1 == len(seen(watching, answered(tcp=None, app_proto="http")))


@pytest.mark.parametrize("proto", ["UDP", "ICMP", "IPv6-ICMP", "SCTP", "GRE"])
def test_without_tcp_a_packet_back_is_an_answer(proto: str) -> None:
    """Silence is none: Suricata taps before pf, so what a blocked address sends goes on showing."""
    back = answered(proto=proto, tcp=None)
    silent = eve.event(eve.silent(at=60, proto=proto))

    assert [(ATTACKER, 1)] == seen(sentry(entry()), back, silent)


def test_an_icmp_error_is_no_answer() -> None:
    """Suricata counts the firewall's "administratively prohibited" as a packet to the client.

    Its flow stays `new`, as Suricata 7.0.10 wrote it for a UDP packet that was turned away so.
    """
    record = eve.flow(at=60, tcp=None, proto="UDP", sent=(2, 66), received=(2, 112))
    record["flow"]["state"] = "new"

    assert [] == seen(sentry(entry()), eve.event(record))


def test_backscatter_is_no_answer() -> None:
    """Nothing came from the one who is said to have opened it."""
    assert [] == seen(sentry(entry()), answered(sent=(0, 0)))


def test_only_flows_count() -> None:
    """An alert has counters too, of a flow that may be about to be cut off."""
    alert = eve.alert(at=60, opener=ATTACKER, proto="UDP")
    alert["flow"]["start"] = eve.stamp(60)
    events = [alert, eve.http(at=60), eve.other("tls", at=60)]

    assert [] == seen(sentry(entry()), *map(eve.event, events))


def test_only_the_blocked_one_who_opened_it_counts() -> None:
    """A host at home that opens a connection to a blocked address is answered by right."""
    out = eve.event(eve.flow(SERVER, ATTACKER, 60))

    assert [] == seen(sentry(entry()), out, answered(eve.PEER))


@pytest.mark.parametrize("told", [ATTACKER, f"::ffff:{ATTACKER}"], ids=["same", "other spelling"])
def test_a_record_that_is_turned_round_counts_for_its_opener(told: str) -> None:
    """`flow.src_ip` says who opened it; the port is that of the one who answered."""
    record = eve.flow(SERVER, ATTACKER, 60, 40_000)
    record["src_port"] = 22
    record["flow"]["src_ip"] = told

    (found,) = sentry(entry()).watch([eve.event(record)], 0.0)

    assert (ATTACKER, SERVER, 22) == (found.address, found.peer, found.port)


def test_an_opener_who_is_neither_end_changes_nothing() -> None:
    """Of a third address nothing follows: the record's own source opened it."""
    record = eve.flow(ATTACKER, SERVER, 60)
    record["flow"]["src_ip"] = eve.PEER

    assert [(ATTACKER, 1)] == seen(sentry(entry(), entry(eve.PEER)), eve.event(record))


@pytest.mark.parametrize(
    ("blocked", "written"),
    [
        ("203.0.113.9", "::ffff:203.0.113.9"),
        ("2001:db8::9", "2001:0db8:0000:0000:0000:0000:0000:0009"),
        ("2001:db8::9", "2001:DB8::9"),
    ],
)
def test_an_address_is_known_in_each_of_its_spellings(blocked: str, written: str) -> None:
    """Suricata writes IPv6 out in full, and the ledger does not."""
    assert [(blocked, 1)] == seen(sentry(entry(blocked)), answered(written))


@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        ("203.0.113.0/24", "203.0.113.255", "203.0.114.0"),
        ("203.0.113.128/25", "203.0.113.128", "203.0.113.127"),
        ("2001:db8:1:2::/64", "2001:db8:1:2:ffff::1", "2001:db8:1:3::1"),
        ("203.0.113.9/32", "203.0.113.9", "203.0.113.8"),
        ("203.0.113.0/24", "::ffff:203.0.113.1", "::cb00:7101"),
    ],
)
def test_an_address_of_a_blocked_network_is_blocked(
    network: str, inside: str, outside: str
) -> None:
    """The sighting names both, the address and what is blocked."""
    found = sentry(entry(network)).watch([answered(inside), answered(outside)], 0.0)

    assert [(ip_address(inside.removeprefix("::ffff:")), network)] == [
        (ip_address(each.address), each.target) for each in found
    ]


def test_the_earliest_of_several_proofs_counts() -> None:
    """Whoever is blocked by himself and by his network has been blocked since the first."""
    watching = sentry(entry(ATTACKER, 500), entry("203.0.113.0/24", 0), entry("203.0.0.0/16", 900))

    (found,) = watching.watch([answered(at=60)], 0.0)

    assert "203.0.113.0/24" == found.target
    assert [(ATTACKER, 1)] == seen(sentry(entry(), entry("203.0.113.0/24", 900)), answered())


@pytest.mark.parametrize("state", [s for s in LedgerState if s is not LedgerState.ENFORCED])
@pytest.mark.parametrize(
    ("target", "written"), [(ATTACKER, ATTACKER), ("203.0.113.0/24", ATTACKER)]
)
def test_what_is_not_proved_is_not_watched(state: LedgerState, target: str, written: str) -> None:
    """Nor is it any more, once it was: released, gone from the table, failed."""
    watching = sentry(entry(target, state=state))

    assert [] == seen(watching, answered(written))

    watching.changed([entry(target)])
    watching.changed([entry(target, 30, state)])

    assert [] == seen(watching, answered(written))


@pytest.mark.parametrize("target", [ATTACKER, "203.0.113.0/24"])
def test_what_was_put_back_is_watched_from_then_on(target: str) -> None:
    """What got through the gap has been told by the gap."""
    watching = sentry(entry(target))
    watching.changed([entry(target, 30, LedgerState.REQUESTED)])
    watching.changed([entry(target, 100)])

    assert [] == seen(watching, answered(at=60))
    assert [(ATTACKER, 1)] == seen(watching, answered(at=160))


async def test_a_ledger_is_followed_through_a_gap() -> None:
    """Wish, proof, gone from the table, proof again, release: as the ledger itself tells it."""
    clock = clock_at(eve.START)
    ledger, watching = Ledger(Disk(), clock), Sentry()
    ledger.follow(watching.changed)
    found: list[list[tuple[str, int]]] = []

    async def go_on(step: Awaitable[list[LedgerEntry]]) -> list[LedgerEntry]:
        entries = await step
        found.append(seen(watching, answered(at=clock.now() - eve.START + 5)))
        clock.advance(10)
        return entries

    entries = await go_on(ledger.request([decision(at=eve.START, target=ATTACKER)]))
    entries = await go_on(ledger.confirm(entries))
    entries = await go_on(ledger.renew(entries, "gone from the table"))
    entries = await go_on(ledger.confirm(entries))
    await go_on(ledger.release(entries))

    assert [[], [(ATTACKER, 1)], [], [(ATTACKER, 1)], []] == found


def test_a_rate_limit_blocks_nobody() -> None:
    """Nor does its end unblock anybody."""
    assert [] == seen(sentry(entry(table=Table.LIMIT)), answered())

    watching = sentry(entry(), entry(state=LedgerState.WATCHED, table=Table.LIMIT))

    assert [(ATTACKER, 1)] == seen(watching, answered())


def test_a_start_begins_anew() -> None:
    """With what the ledger holds now, and nothing of before."""
    watching = sentry(entry(), entry("198.51.100.0/24"))
    watching.recall([entry(eve.PEER), entry("192.0.2.1", state=LedgerState.WATCHED)])

    found = seen(watching, answered(), answered("198.51.100.8"), answered("192.0.2.1"))

    assert [] == found
    assert [(eve.PEER, 1)] == seen(watching, answered(eve.PEER))


def test_all_flows_count_in_one_sighting_an_address() -> None:
    """The first of them is told of, in whatever order their records come."""
    watching = sentry(entry(), entry(eve.PEER))
    events = [answered(at=70), answered(eve.PEER), answered(at=60), answered(at=80)]

    found = watching.watch(events, 0.0)

    assert [(ATTACKER, 3), (eve.PEER, 1)] == [(each.address, each.flows) for each in found]
    assert (eve.START + 60) * MICROSECONDS == found[0].began


def test_an_address_is_logged_once_a_minute_and_always_counted() -> None:
    """By the wall clock; each address has its own minute."""
    watching = sentry(entry(), entry(eve.PEER))
    moments = [0.0, 1.0, TELL_EVERY - 0.1, TELL_EVERY]

    found = [watching.watch([answered()], now)[0] for now in moments]
    other = watching.watch([answered(eve.PEER)], TELL_EVERY)[0]

    assert [True, False, False, True] == [each.due for each in found]
    assert [1, 1, 1, 1] == [each.flows for each in found]
    assert other.due


def test_a_clock_that_is_set_back_silences_nobody() -> None:
    """What was logged in what is now the future does not count."""
    watching = sentry(entry())
    watching.watch([answered()], 10_000.0)

    assert watching.watch([answered()], 0.0)[0].due


def test_a_rule_that_is_gone_does_not_flood_the_log() -> None:
    """All that is blocked is seen then: so many are logged in a minute, and all are counted."""
    blocked = [f"203.0.113.{number}" for number in range(200)]
    watching = sentry(*map(entry, blocked))
    events = [answered(address) for address in blocked]

    first, again, later = (watching.watch(events, now) for now in (0.0, 1.0, TELL_EVERY))

    assert [200, 200, 200] == [len(each) for each in (first, again, later)]
    assert [MOST_TOLD, 0, MOST_TOLD] == [sum(s.due for s in each) for each in (first, again, later)]


def test_nothing_that_is_released_stays_in_memory() -> None:
    """Addresses and networks, of every length: what is kept is what is blocked now."""
    targets = [ATTACKER, "2001:db8::1", "203.0.113.0/24", "203.0.113.0/25", "2001:db8::/64"]
    watching = sentry(*map(entry, targets))
    watching.changed([entry(target, state=LedgerState.RELEASED) for target in targets])

    assert ({}, False) == (watching._addresses, bool(watching._networks))


@pytest.mark.parametrize(
    ("src", "dest", "opener"),
    [(None, None, None), ("x:y", ":", "::zz"), ("", None, ATTACKER), (ATTACKER, "%", "/")],
    ids=["no address", "no addresses", "empty", "no opener"],
)
def test_nothing_that_a_record_holds_raises(
    src: str | None, dest: str | None, opener: str | None
) -> None:
    """An address may be missing, or be none; what is known of the others counts."""
    record = eve.flow(at=60)
    record |= {"src_ip": src, "dest_ip": dest}
    record["flow"]["src_ip"] = opener
    watching = sentry(entry(), entry("198.51.100.0/24"), entry("2001:db8::/64"))

    assert ([(ATTACKER, 1)] if src == ATTACKER else []) == seen(watching, eve.event(record))


_V4 = st.integers(0, 255).map(lambda number: f"203.0.113.{number}")
_V6 = st.integers(0, 255).map(lambda number: f"2001:db8::{number:x}")
_ADDRESSES = _V4 | _V6
_TARGETS = _ADDRESSES | st.builds(
    lambda address, bits: str(ip_network(address).supernet(bits)), _ADDRESSES, st.integers(0, 8)
)


@given(
    changes=st.lists(st.tuples(_TARGETS, st.integers(-9, 9), st.booleans()), max_size=12),
    flows=st.lists(st.tuples(_ADDRESSES, st.integers(-9, 19)), max_size=6),
)
def test_what_is_seen_is_what_a_look_at_every_block_finds(
    changes: list[tuple[str, int, bool]], flows: list[tuple[str, int]]
) -> None:
    """The lookups by length agree with asking each network in turn, whatever came and went."""
    watching = Sentry()
    proofs: dict[str, int] = {}
    for target, proved, stays in changes:
        state = LedgerState.ENFORCED if stays else LedgerState.WATCHED
        watching.changed([entry(target, proved, state)])
        proofs.pop(target, None)
        if stays:
            proofs[target] = proved

    for address, began in flows:
        since = [p for target, p in proofs.items() if ip_address(address) in ip_network(target)]
        expected = bool(since) and began > min(since) + MARGIN

        assert expected == bool(seen(watching, answered(address, began)))
