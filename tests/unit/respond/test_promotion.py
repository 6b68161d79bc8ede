"""Many neighbours and their network: when it is blocked in their place, and when no longer."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Any

import pytest

from ai_suricata.core.decision import LIVE, Decision, LedgerEntry, LedgerState, Table
from ai_suricata.respond.escalation import LIFTED_BY_HAND
from ai_suricata.respond.ledger import Ledger
from ai_suricata.respond.never_block import NeverBlock
from ai_suricata.respond.policy import BlankHistory
from ai_suricata.respond.promotion import (
    MOST_MEMBERS,
    Neighbours,
    demoted,
    neighbourhood,
    promote,
)
from fakes.response import NOW, Disk, clock_at, decision, respond_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ai_suricata.core.address import Network
    from ai_suricata.respond.policy import History

NETWORK = "203.0.113.0/24"
NEVER = NeverBlock({"NEVER_BLOCK": [ip_network("198.51.100.1")]})
IPV6 = "2001:db8:1:2::"


def entry(
    target: str,
    state: LedgerState = LedgerState.ENFORCED,
    note: str = "",
    **other: Any,  # noqa: ANN401 - any field of the decision
) -> LedgerEntry:
    """Return what the ledger holds of a target."""
    return LedgerEntry(decision(target, **other), state, NOW, NOW + 600, note)


def hosts(count: int, prefix: str = "203.0.113.") -> list[str]:
    """Return so many addresses of a network, from 1 on."""
    return [
        f"{prefix}{number:x}" if ":" in prefix else f"{prefix}{number}"
        for number in range(1, count + 1)
    ]


def knowing(entries: Iterable[LedgerEntry]) -> Neighbours:
    """Return neighbours that were told of the entries."""
    neighbours = Neighbours()
    neighbours.changed(entries)
    return neighbours


def promoted(
    target: str,
    neighbours: Neighbours,
    *,
    history: History | None = None,
    bystander: Callable[[Network], str | None] = lambda _network: None,
    now: float = NOW,
    made: Decision | None = None,
    **variables: str,
) -> Decision | None:
    """Ask whether the network of a target is to be blocked, now that the target is."""
    settings = respond_settings(**variables)
    return promote(
        made or decision(target, now),
        neighbours,
        history or BlankHistory(),
        NEVER,
        bystander,
        settings,
        now,
    )


async def ledger_with(*entries: LedgerEntry, at: float = NOW) -> Ledger:
    """Return a ledger that has loaded the entries."""
    disk = Disk()
    disk.lines.extend(entries)
    ledger = Ledger(disk, clock_at(at))
    await ledger.load()
    return ledger


def test_from_the_threshold_on_the_network_is_blocked() -> None:
    """Sixteen addresses of a /24, the one that was blocked just now among them."""
    assert promoted("203.0.113.15", knowing(map(entry, hosts(14)))) is None

    found = promoted("203.0.113.16", knowing(map(entry, hosts(15))))
    assert found is not None
    assert NETWORK == found.target


def test_of_ipv6_fewer_neighbours_are_enough() -> None:
    """Four addresses of a /64: one household has all of them."""
    assert promoted(f"{IPV6}3", knowing(map(entry, hosts(2, IPV6)))) is None

    found = promoted(f"{IPV6}4", knowing(map(entry, hosts(3, IPV6))))
    assert found is not None
    assert "2001:db8:1:2::/64" == found.target


@pytest.mark.parametrize("target", ["203.0.113.16", f"{IPV6}4"])
def test_zero_means_never(target: str) -> None:
    """Whatever is blocked."""
    known = knowing(map(entry, [*hosts(200), *hosts(200, IPV6)]))

    assert promoted(target, known) is not None
    assert promoted(target, known, PROMOTE_IPV4="0", PROMOTE_IPV6="0") is None


def test_each_version_has_its_threshold() -> None:
    """As the settings say."""
    known = knowing(map(entry, [*hosts(2), *hosts(2, IPV6)]))

    def found(target: str) -> Decision | None:
        return promoted(target, known, PROMOTE_IPV4="2", PROMOTE_IPV6="3")

    assert found("203.0.113.1") is not None
    assert found(f"{IPV6}1") is None


def test_neighbours_are_those_of_the_same_network() -> None:
    """The next /24 and the next /64 have theirs."""
    known = knowing(map(entry, [*hosts(9), *hosts(40, "203.0.112."), *hosts(9, "2001:db8:1:3::")]))

    assert promoted("203.0.113.10", known) is None
    assert promoted(f"{IPV6}1", known) is None


def test_an_address_that_is_told_twice_counts_once() -> None:
    """Requested, enforced, and the decision at hand: one offender."""
    states = LedgerState.REQUESTED, LedgerState.ENFORCED, LedgerState.WATCHED
    known = knowing(entry("203.0.113.1", state) for state in states)

    assert promoted("203.0.113.1", known, PROMOTE_IPV4="2") is None


@pytest.mark.parametrize("state", LedgerState)
def test_who_is_blocked_or_watched_counts(state: LedgerState) -> None:
    """Refused, released or forgotten addresses do not."""
    known = knowing([entry("203.0.113.1"), entry("203.0.113.1", state)])

    found = promoted("203.0.113.2", known, PROMOTE_IPV4="2")
    assert (state in LIVE or state is LedgerState.WATCHED) == (found is not None)


def test_rate_limits_never_count() -> None:
    """Forged sources could make a network of them."""
    limited = [entry(host, table=Table.LIMIT) for host in hosts(100)]
    asked = decision("203.0.113.101", table=Table.LIMIT)
    blocked = knowing(map(entry, hosts(100)))

    assert promoted("203.0.113.101", knowing(limited)) is None
    assert promoted("", blocked, made=asked) is None


def test_a_rate_limit_of_a_blocked_address_takes_nothing_away() -> None:
    """The tables are apart."""
    known = knowing([*map(entry, hosts(15)), *(entry(h, table=Table.LIMIT) for h in hosts(15))])

    assert promoted("203.0.113.16", known) is not None


def test_a_network_is_no_neighbour_and_no_occasion() -> None:
    """Networks do not grow out of networks."""
    known = knowing([*map(entry, hosts(15)), entry("203.0.113.64/28"), entry(NETWORK)])

    assert 15 == len(known.offenders(ip_network(NETWORK)))
    assert promoted("", known, made=decision("203.0.113.64/28")) is None


def test_blocks_by_hand_count_and_are_no_occasion() -> None:
    """The operator meant that one address."""
    known = knowing(entry(host, by_hand=True) for host in hosts(20))

    assert promoted("203.0.113.21", known) is not None
    assert promoted("", known, made=decision("203.0.113.21", by_hand=True)) is None


def test_a_network_that_touches_never_block_is_not_blocked() -> None:
    """All of it or nothing: one listed address spares its neighbours the network."""
    known = knowing(map(entry, hosts(50, "198.51.100.1")))

    assert promoted("198.51.100.150", known) is None


def test_a_known_bystander_spares_the_network() -> None:
    """It is asked of exactly the network that would be blocked."""
    asked: list[Network] = []

    def bystander(network: Network) -> str | None:
        asked.append(network)
        return "203.0.113.200"

    assert promoted("203.0.113.16", knowing(map(entry, hosts(15))), bystander=bystander) is None
    assert [ip_network(NETWORK)] == asked


def test_whoever_was_lifted_by_hand_spares_the_network() -> None:
    """The operator knows of somebody there; that is forgotten with the watching."""
    note = f"{LIFTED_BY_HAND}: a customer"
    lifted = entry("203.0.113.99", LedgerState.WATCHED, note)
    known = knowing([*map(entry, hosts(15)), lifted])
    assert promoted("203.0.113.16", known) is None

    known.changed([entry("203.0.113.99", LedgerState.FORGOTTEN)])
    assert promoted("203.0.113.16", known) is not None


def test_whoever_was_lifted_by_hand_and_offends_again_is_an_offender() -> None:
    """Each address is one or the other."""
    known = knowing(map(entry, hosts(15)))
    known.changed([entry("203.0.113.1", LedgerState.ENFORCED, f"{LIFTED_BY_HAND}: me")])
    assert {"203.0.113.1"} == set(known.pardoned(ip_network(NETWORK)))
    assert 14 == len(known.offenders(ip_network(NETWORK)))

    known.changed([entry("203.0.113.1", LedgerState.REQUESTED)])
    assert not known.pardoned(ip_network(NETWORK))
    assert 15 == len(known.offenders(ip_network(NETWORK)))


@pytest.mark.parametrize(
    ("state", "note", "again"),
    [
        (LedgerState.REQUESTED, "", False),
        (LedgerState.ENFORCED, "", False),
        (LedgerState.FAILED, "", False),
        (LedgerState.WATCHED, "its time has ended", True),
        (LedgerState.WATCHED, f"{LIFTED_BY_HAND}: a university", False),
        (LedgerState.REFUSED, "never blocked", True),
    ],
)
async def test_a_network_is_blocked_once_and_not_against_the_operator(
    state: LedgerState,
    note: str,
    again: bool,  # noqa: FBT001 - pytest hands parameters over by name
) -> None:
    """In the table already, or lifted by hand: there is nothing to decide."""
    history = await ledger_with(entry(NETWORK, state, note))

    found = promoted("203.0.113.16", knowing(map(entry, hosts(15))), history=history)
    assert again == (found is not None)


async def test_a_network_inside_a_blocked_one_is_not_blocked_besides() -> None:
    """Such as a /16 that the operator has put in by hand."""
    history = await ledger_with(entry("203.0.0.0/16", by_hand=True))

    assert promoted("203.0.113.16", knowing(map(entry, hosts(15))), history=history) is None


@pytest.mark.parametrize(("step", "seconds"), [(0, 3_600), (1, 86_400), (2, 604_800)])
async def test_a_network_has_an_escalation_of_its_own(step: int, seconds: int) -> None:
    """How often its addresses were blocked says nothing about how often it was."""
    history = await ledger_with(entry(NETWORK, LedgerState.WATCHED, step=step))
    made = decision("203.0.113.16", step=3, duration=604_800.0)
    known = knowing(map(entry, hosts(15)))

    first, back = promoted("", known, made=made), promoted("", known, made=made, history=history)
    assert first is not None
    assert (0, 600) == (first.step, first.duration)
    assert back is not None
    assert (step + 1, seconds) == (back.step, back.duration)


def test_a_fixed_duration_holds_for_networks_too() -> None:
    """BLOCK_DURATION as a number."""
    found = promoted("203.0.113.16", knowing(map(entry, hosts(15))), BLOCK_DURATION="120")

    assert found is not None
    assert 120 == found.duration


def test_a_network_is_blocked_for_reasons_in_words() -> None:
    """How many, how fast, and who; then what the last of them did."""
    made = decision("203.0.113.5", NOW - 1, reasons=("brute force",), features={"logins": 40.0})
    known = knowing(entry(host, at=NOW - 7_000 + n) for n, host in enumerate(hosts(4)))
    found = promoted("", known, made=made, PROMOTE_IPV4="5")

    assert found is not None
    expected = decision(
        NETWORK,
        NOW,
        event_time=made.event_time,
        reasons=(
            (
                "5 addresses of 203.0.113.0/24 were blocked within 2 hours: "
                "203.0.113.1, 203.0.113.2, 203.0.113.3, 203.0.113.4 and 1 more"
            ),
            "brute force",
        ),
        features={"logins": 40.0},
        members=(*hosts(4), "203.0.113.5"),
    )
    assert expected == found


@pytest.mark.parametrize(
    ("ago", "words"),
    [
        (0, "1 second"),
        (0.2, "1 second"),
        (59, "59 seconds"),
        (60, "1 minute"),
        (61, "2 minutes"),
        (7_200, "2 hours"),
        (86_400, "1 day"),
        (600_000, "7 days"),
    ],
)
def test_the_span_is_told_as_people_tell_it(ago: float, words: str) -> None:
    """Between the first and the last of the decisions, rounded up."""
    found = promoted("203.0.113.2", knowing([entry("203.0.113.1", at=NOW - ago)]), PROMOTE_IPV4="2")

    assert found is not None
    expected = f"blocked within {words}: 203.0.113.1, 203.0.113.2"
    assert found.reasons[0].endswith(expected)


def test_the_members_are_in_the_order_of_their_numbers() -> None:
    """As people look for them, not as text sorts them."""
    found = promoted(
        "203.0.113.9", knowing(map(entry, ["203.0.113.100", "203.0.113.20"])), PROMOTE_IPV4="3"
    )

    assert found is not None
    assert ("203.0.113.9", "203.0.113.20", "203.0.113.100") == found.members


def test_a_decision_lists_a_bounded_number_of_members() -> None:
    """A /64 can have any number: those that were blocked last are listed, all are counted."""
    known = knowing(entry(host, at=NOW - 1 - n) for n, host in enumerate(hosts(300, IPV6)))
    found = promoted(f"{IPV6}ffff", known)

    assert found is not None
    assert MOST_MEMBERS == len(found.members)
    assert {f"{IPV6}ffff", *hosts(255, IPV6)} == set(found.members)
    assert found.reasons[0].startswith("301 addresses")


def _carried(prefix: str, shift: int = 0) -> list[str]:
    """Return addresses that stand for 8.8.8.1 to 8.8.8.20."""
    base, first = int(IPv6Address(prefix)), int(IPv4Address("8.8.8.0"))
    return [str(IPv6Address(base + (first + n << shift))) for n in range(1, 21)]


@pytest.mark.parametrize("prefix", ["64:ff9b::", "64:ff9b:1::", "::", "2001:0:c000:22d:0:63bf::"])
def test_a_network_that_stands_for_all_of_ipv4_is_never_blocked(prefix: str) -> None:
    """NAT64, compatible addresses, and all clients of a Teredo server: each /64 is for many."""
    targets = _carried(prefix)
    free = [target for target in targets if NEVER.reason_for_text(target) is None]
    known = knowing(map(entry, targets))

    assert free or prefix.startswith("2001")
    assert all(promoted(target, known) is None for target in targets)


def test_a_mapped_address_has_the_network_of_its_ipv4_address() -> None:
    """Not ::/64, which holds all of them."""
    known = knowing(map(entry, [f"::ffff:{host}" for host in hosts(15)]))
    found = promoted("::ffff:203.0.113.16", known)

    assert found is not None
    assert NETWORK == found.target


def test_a_subnet_of_a_6to4_site_is_as_good_as_any() -> None:
    """It belongs to one IPv4 address; another subnet of the site is left alone."""
    site = "2002:cb00:7107:1::"
    found = promoted(f"{site}4", knowing(map(entry, hosts(3, site))))
    listed = promoted("2002:c633:6401::4", knowing(map(entry, hosts(3, "2002:c633:6401::"))))

    assert found is not None
    assert f"{site}/64" == found.target
    assert listed is None


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.255", NETWORK),
        ("203.0.114.0", "203.0.114.0/24"),
        ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
    ],
)
def test_the_neighbourhood_is_a_24_or_a_64(address: str, network: str) -> None:
    """From the first to the last address of it."""
    assert ip_network(network) == neighbourhood(ip_address(address))


def test_after_a_restart_the_ledger_says_who_the_neighbours_are() -> None:
    """And what was known before is forgotten."""
    known = knowing(map(entry, hosts(100, "192.0.2.")))
    lifted = entry("192.0.2.1", LedgerState.WATCHED, LIFTED_BY_HAND)
    known.changed([lifted])
    known.recall([*map(entry, hosts(15)), entry("203.0.113.20", LedgerState.REFUSED)])

    assert 15 == len(known.offenders(ip_network(NETWORK)))
    assert not known.offenders(ip_network("192.0.2.0/24"))
    assert not known.pardoned(ip_network("192.0.2.0/24"))


async def test_the_neighbours_can_follow_a_ledger() -> None:
    """From the wish to the end of the watching."""
    clock = clock_at()
    ledger = Ledger(Disk(), clock)
    known = Neighbours()
    ledger.follow(known.changed)
    network = ip_network(NETWORK)

    requested = await ledger.request([decision(host) for host in hosts(3)])
    assert 3 == len(known.offenders(network))
    await ledger.release(await ledger.end(requested[:1], f"{LIFTED_BY_HAND}: me"), LIFTED_BY_HAND)
    assert {"203.0.113.1"} == set(known.pardoned(network))
    await ledger.release(requested[1:], "its time has ended")
    assert 2 == len(known.offenders(network))
    clock.advance(601)
    await ledger.forget()
    assert (0, 1) == (len(known.offenders(network)), len(known.pardoned(network)))
    clock.advance(3000)
    await ledger.forget()
    assert (0, 0) == (len(known.offenders(network)), len(known.pardoned(network)))


def test_the_number_of_known_addresses_is_bounded() -> None:
    """Who was heard of longest ago goes first."""
    known = Neighbours(most=10)
    known.changed(map(entry, hosts(8)))
    known.changed(map(entry, ["203.0.113.1", *hosts(3, "192.0.2.")]))

    assert 3 == len(known.offenders(ip_network("192.0.2.0/24")))
    assert {"203.0.113.1", *hosts(8)[2:]} - {"203.0.113.2"} == set(
        known.offenders(ip_network(NETWORK))
    )
    assert 10 == len(known._offenders._network_of)


def network_entry(*members: str, **other: Any) -> LedgerEntry:  # noqa: ANN401 - any field
    """Return a network that was blocked for its members, ten minutes ago for an hour."""
    known = {"members": members, "duration": 3_600.0, "step": 1, **other}
    return LedgerEntry(decision(NETWORK, NOW - 600, **known), LedgerState.ENFORCED, NOW, NOW + 3000)


def test_of_a_lifted_network_the_other_members_go_on_being_blocked() -> None:
    """Until the network would have been released, and no longer."""
    found = demoted(network_entry(*hosts(3)), "203.0.113.2")

    assert ["203.0.113.1", "203.0.113.3"] == [one.target for one in found]
    assert {NOW + 3_000} == {one.decided_at + one.duration for one in found}
    assert {()} == {one.members for one in found}
    assert {Table.BLOCK} == {one.table for one in found}


def test_the_lifted_address_need_not_have_offended() -> None:
    """Then all members go on being blocked."""
    found = demoted(network_entry(*hosts(3)), "203.0.113.77")

    assert hosts(3) == [one.target for one in found]


@pytest.mark.parametrize("lifted", ["203.0.113.0/30", "::ffff:203.0.113.2/126"])
def test_a_network_may_be_what_is_lifted(lifted: str) -> None:
    """Never-block grew by more than one address, in whatever notation."""
    found = demoted(network_entry(*hosts(5)), lifted)

    assert ["203.0.113.4", "203.0.113.5"] == [one.target for one in found]


def test_an_address_of_the_other_version_is_no_reason_to_leave_anybody_out() -> None:
    """Such as the firewall's IPv6 address."""
    assert 3 == len(demoted(network_entry(*hosts(3)), "2001:db8::1"))


def test_a_member_is_told_why_it_is_blocked_alone() -> None:
    """With what spoke against the network."""
    whole = network_entry(*hosts(2), reasons=("2 addresses of it",))

    (alone,) = demoted(whole, "203.0.113.1")
    assert (
        "203.0.113.0/24 was lifted because of 203.0.113.1",
        "2 addresses of it",
    ) == alone.reasons
    assert "203.0.113.0/24 was lifted" == demoted(whole)[0].reasons[0]


async def test_a_member_keeps_its_own_step_and_stays_free_where_the_operator_said_so() -> None:
    """Being blocked with its network is no return, and a lift by hand holds on."""
    history = await ledger_with(
        entry("203.0.113.1", LedgerState.WATCHED, step=2),
        entry("203.0.113.2", LedgerState.WATCHED, f"{LIFTED_BY_HAND}: me"),
    )
    found = demoted(network_entry(*hosts(3)), history=history)

    assert [("203.0.113.1", 2), ("203.0.113.3", 0)] == [(one.target, one.step) for one in found]


def test_a_network_that_was_blocked_by_hand_leaves_nothing_behind() -> None:
    """It has no members."""
    assert [] == demoted(network_entry(by_hand=True), "203.0.113.1")


def test_what_is_promoted_can_be_demoted() -> None:
    """All members come back out of it, for as long as the network had."""
    found = promoted("203.0.113.16", knowing(map(entry, hosts(15))))
    assert found is not None
    back = demoted(LedgerEntry(found, LedgerState.ENFORCED, NOW, NOW + 600))

    assert hosts(16) == [one.target for one in back]
    assert {(NOW, 600.0)} == {(one.decided_at, one.duration) for one in back}
