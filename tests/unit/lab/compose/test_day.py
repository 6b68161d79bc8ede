"""The plan of a day: the same by seed, more clients than attackers, nobody twice."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

import dpkt
import pytest
from lab import estate
from lab.compose import capture
from lab.compose.clock import DAY
from lab.compose.day import Day, plan
from lab.compose.home import Home, Outside
from lab.compose.stage import Placement, Stage
from lab.compose.take import SECOND
from lab.label import Actor, Label, Role
from lab.process import LabError

from fakes.take import READER, browsing, recording

if TYPE_CHECKING:
    from pathlib import Path

SOURCES = 400


@pytest.fixture(scope="module", name="day")
def _day() -> Day:
    return plan(2, SOURCES, [recording()])


def told(day: Day) -> list[tuple[object, ...]]:
    """Return the placements by value."""
    return [(p.start, p.change, p.conversation.start) for p in day.placements]


def test_plan_is_a_function_of_the_seed(day: Day) -> None:
    """The same seed gives the same day, another one another."""
    again, other = plan(2, SOURCES, [recording()]), plan(4, SOURCES, [recording(4)])

    assert (day.actors, told(day)) == (again.actors, told(again))
    assert told(day) != told(other)
    assert day.home_net != other.home_net
    assert day.begin != other.begin


def test_benign_strangers_are_as_many_as_ordered_and_more_than_attackers(day: Day) -> None:
    """Whoever acts from outside and is benign is counted; attackers are fewer."""
    home = [ip_network(net) for net in day.home_net]
    acting = {str(ip_address(placed.change.client)) for placed in day.placements}
    outside = [day.actors[a] for a in acting if not any(ip_address(a) in net for net in home)]
    labels = Counter(actor.label for actor in outside)

    assert SOURCES == labels[Label.BENIGN]
    assert 0 < labels[Label.MALICIOUS] < SOURCES / 2
    assert 0 < labels[Label.SPOOFED]


def test_every_address_has_one_label(day: Day) -> None:
    """Both ends of each conversation are labelled under their own address."""
    ends = {
        str(ip_address(end))
        for placed in day.placements
        for end in (placed.change.client, placed.change.server)
    }

    assert set() == ends - set(day.actors)
    assert all(key == actor.address for key, actor in day.actors.items())


def test_day_lasts_a_day_and_is_in_order(day: Day) -> None:
    """Nothing begins before midnight or after the next, and starts never go back."""
    starts = [placed.start for placed in day.placements]

    assert sorted(starts) == starts
    assert starts[0] >= 0
    assert starts[-1] < DAY
    assert starts[-1] - starts[0] > DAY * 0.9


def test_no_two_connections_share_their_ends(day: Day) -> None:
    """A client uses a port once towards a service, so flows don't run into each other."""
    ends = Counter(
        (p.conversation.protocol, *p.change[:4])
        for p in day.placements
        if p.conversation.client_port >= 1024
    )

    assert [1] == sorted(set(ends.values()))


def test_campaign_is_shared_out_over_many_addresses(day: Day) -> None:
    """A scan of eighty ports is dealt to a dozen addresses or more, under one name."""
    campaigns = defaultdict(set)
    for actor in day.actors.values():
        campaigns[actor.campaign].add((actor.address, actor.label))
    del campaigns[""]

    assert campaigns
    assert all(len(members) >= 12 for members in campaigns.values())
    assert {Label.MALICIOUS} == {label for group in campaigns.values() for _, label in group}


def test_packets_come_in_order_and_conversations_stay_whole(day: Day) -> None:
    """The capture is in the order of time, with every packet of every conversation."""
    few = [p for p in day.placements if not p.change.silent and not p.change.twice][:200]
    written = list(capture.packets(few))

    assert sorted(moment for moment, _ in written) == [moment for moment, _ in written]
    assert sum(len(p.conversation.segments) for p in few) == len(written)


@pytest.mark.parametrize(("seed", "link", "shortest"), [(4, 1, 60), (2, 101, 40)])
def test_some_sensors_see_frames_and_some_bare_packets(
    tmp_path: Path, seed: int, link: int, shortest: int
) -> None:
    """Frames have a header and are padded; without them a SYN has as many bytes as IP says."""
    planned = plan(seed, 100, [recording(seed)])
    count = capture.write(planned, tmp_path / "day.pcap", lambda _moment: None)
    with (tmp_path / "day.pcap").open("rb") as file:
        reader = dpkt.pcap.Reader(file)
        sizes = [len(data) for _, data in reader]

    assert link == reader.datalink()
    assert (count, shortest) == (len(sizes), min(size for size in sizes if size >= 40))


def stage() -> Stage:
    """Return an empty stage with the servers of the recording."""
    recorded = recording()
    servers = [a for a in recorded.actors.values() if a.role is Role.SERVER]
    home = Home(2, servers)
    return Stage(2, home, Outside(2, home), [recorded])


def test_stretching_moves_conversations_apart_and_leaves_each_as_it_was() -> None:
    """Starts are stretched; what lies within a conversation is not."""
    made, take = stage(), browsing()
    made.play(made.guest(READER), take.conversations, 5 * SECOND, stretch=60.0)

    assert [5, 605, 1205] == [placed.start // SECOND for placed in made.placements]
    assert list(take.conversations) == [placed.conversation for placed in made.placements]


def test_port_that_is_taken_is_not_used_again() -> None:
    """The same conversation twice comes from two ports, that of another service from the first."""
    guest, conversation = stage().guest(READER), browsing().conversations[0]
    server = conversation.server

    assert (2001, 2002, 2001) == tuple(
        guest.port(conversation, server, service, 2001 - conversation.client_port)
        for service in (80, 80, 443)
    )


def test_servers_of_a_kind_differ() -> None:
    """Of each kind some drop what is closed and some don't, and some are seen twice."""
    kinds = [(kind, f"192.0.2.{kind}") for kind in range(10, 20)]
    home = Home(4, [Actor(a, Label.BENIGN, Role.SERVER, "openssh") for _, a in kinds])
    for _, address in kinds:
        many = home.instances(ip_address(address).packed)
        if not many:
            continue
        assert {True, False} == {home.is_dropping(a) for a in many}
        assert {True, False} == {home.is_doubled(a) for a in many}
    assert not any(Home(5, []).is_doubled(a) for a in Home(5, []).actors)


def test_nobody_outside_has_an_address_of_the_home_network() -> None:
    """Strangers come from around the protected network, each once."""
    outside, home = stage()._outside, stage().home
    drawn = [outside.address() for _ in range(20_000)]

    assert len(drawn) == len(set(drawn))
    assert [] == [a for a in drawn if ip_address(a) in home.v4]


def test_guest_without_a_server_meets_silence() -> None:
    """Where the day has no such server, nobody answers; what closed ports get, goes as well."""
    made, take = stage(), browsing()
    made.home._servers[ip_address(estate.WEB).packed] = []
    guest = made.guest(READER)
    made.play(guest, take.conversations, 0)

    assert [True] * 3 == [placed.change.silent for placed in made.placements]
    assert not guest.handshake


def test_what_runs_past_midnight_is_left_out() -> None:
    """A visit that begins shortly before the end is cut off between its conversations."""
    made, take = stage(), browsing()
    made.play(made.guest(READER), take.conversations, DAY - 15 * SECOND)

    assert 2 == len(made.placements)


def test_attackers_and_clients_come_from_the_same_ranges(day: Day) -> None:
    """An address does not tell who somebody is: either kind shares the other's /16."""
    wide = defaultdict(set)
    for actor in day.actors.values():
        if ":" not in actor.address:
            wide[actor.label].add(actor.address.rsplit(".", 2)[0])

    assert wide[Label.MALICIOUS] <= wide[Label.BENIGN]


def test_takes_without_attackers_make_no_day() -> None:
    """A run that recorded only clients is refused, in words."""
    recorded = replace(recording(), takes=(browsing(),))

    with pytest.raises(LabError, match="no attackers"):
        plan(2, SOURCES, [recorded])


def test_port_of_a_service_may_have_moved() -> None:
    """A server has a service elsewhere, and there what was closed: two ports are swapped."""
    made = stage()
    web = (made.home.instances(ip_address(estate.WEB).packed) or [])[0]
    made.home._moves[web] = (80, 8080)

    assert (8080, 80, 443) == tuple(made.home.port(web, port) for port in (80, 8080, 443))
    guest = made.guest(READER)
    made.play(guest, browsing().conversations, 0, servers={ip_address(estate.WEB).packed: web})
    assert {8080} == {placed.change.server_port for placed in made.placements}


def placements_of(day: Day, label: Label) -> list[Placement]:
    """Return what those with a label do."""
    return [
        p for p in day.placements if day.actors[str(ip_address(p.change.client))].label is label
    ]


def test_forged_sources_send_to_one_server(day: Day) -> None:
    """A flood has one target, whoever seems to send it."""
    assert 1 == len({placed.change.server for placed in placements_of(day, Label.SPOOFED)})
