"""The attackers of a day, fewer than the benign: by tools, in campaigns, and the noise of all."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from lab.compose import noise
from lab.compose.clock import DAY, HOUR, between
from lab.compose.stage import slice_of, span
from lab.compose.take import SECOND, of_label
from lab.label import Actor, Label, Role

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from lab.compose.stage import Guest, Stage
    from lab.compose.take import Conversation, Take

_TOOLS, _LONE, _SWEEPS, _RETURNING = 0.05, 0.10, 0.006, 0.012
"""For each benign stranger: attackers by tools, lone probes, sweeps, and those who return."""
_DOSE = (25, 150)
"""Conversations of one attacker; of a flood more."""
_FLOOD_DOSE = 1_000
_FLOODS = 2
_FORGED = (90, 220)
_LIGHT = frozenset({Role.WORM, Role.UDP_PROBER, Role.WEB_PROBER})
"""Their takes are a packet or three: they are placed among the lone probes."""
_WEAK = frozenset({Role.CREDENTIAL_STUFFING, Role.DISTRIBUTED_SCANNER})
_DEALT = frozenset(
    {
        Role.SYN_SCANNER,
        Role.CONNECT_SCANNER,
        Role.SSH_BRUTE_FORCE,
        Role.MAIL_BRUTE_FORCE,
        Role.WEB_BRUTE_FORCE,
        Role.FTP_BRUTE_FORCE,
        Role.NETWORK_SWEEPER,
    }
)
"""Whose takes can be shared out among many addresses."""
_SLOW = frozenset({Role.SLOW_SCANNER})
_SHORT = frozenset({Role.HTTP_FLOOD, Role.SLOW_HTTP})
_CAMPAIGNS, _DEALS = 4, 2
"""Campaigns of a day: as they were recorded, and takes of one attacker that are shared out."""
_MEMBERS = (20, 40)
"""Addresses of a campaign: so few that ordinary logins stay ordinary."""
_REFUSED = 0.15
_INFECTED = 2
"""Home hosts of each kind of infection."""
_FEW_PACKETS = 400


class Raid:
    """The attackers of one day, put on a stage."""

    def __init__(self, stage: Stage, takes: Sequence[Take]) -> None:
        """Sort what was recorded (`takes`) by label."""
        self._stage = stage
        self._rng = stage.rng
        self._takes = of_label(takes, Label.MALICIOUS)
        self._compromised = of_label(takes, Label.COMPROMISED)
        self._spoofed = of_label(takes, Label.SPOOFED)

    def play(self, strangers: int) -> None:
        """Place the attackers that go with so many benign strangers."""
        self._tools(round(strangers * _TOOLS))
        for _ in range(round(strangers * _LONE)):
            self._probe()
        for _ in range(round(strangers * _SWEEPS)):
            self._sweep()
        for _ in range(round(strangers * _RETURNING)):
            self._return()
        self._campaigns()
        self._infected()
        self._flood()

    def _tools(self, count: int) -> None:
        """Each take of a tool about equally often, so that no tool is missing."""
        apart = _LIGHT | _WEAK
        takes = [t for t in self._takes if t.actor.role not in apart and not t.actor.campaign]
        floods = 0
        order = self._rng.sample(takes, len(takes))
        for number in range(max(count, len(takes)) if takes else 0):
            take = order[number % len(order)]
            floods += take.actor.role is Role.HTTP_FLOOD
            if take.actor.role is Role.HTTP_FLOOD and floods > _FLOODS:
                continue
            self._attack(take)

    def _attack(self, take: Take) -> None:
        """Place one attacker: as recorded, slower, on several servers, or in several sittings."""
        guest, role = self._stage.model(take), take.actor.role
        rng = guest.rng
        dose = _FLOOD_DOSE if role is Role.HTTP_FLOOD else round(between(rng, *_DOSE))
        part = repeated(rng, slice_of(rng, take.conversations, dose))
        start, draw = rng.uniform(0, 0.97) * DAY, rng.random()
        if role in _SHORT:
            self._stage.play(guest, part, start)
        elif role in _SLOW or draw < 0.25:
            long = between(rng, 1, 14) * HOUR
            start = rng.uniform(0, max(0.0, DAY - long))
            self._stage.play(guest, part, start, stretch=max(1.0, long / span(part)))
        elif draw < 0.4:
            for _ in range(rng.randint(2, 3)):
                again = slice_of(rng, take.conversations, max(_DOSE[0], dose // 3))
                self._stage.play(guest, again, start, anew=True)
                start += span(again) + between(rng, 10, 7200) * SECOND
        elif draw < 0.55 and len(part) >= 2 * _DOSE[0]:
            middle = len(part) // 2
            self._stage.play(guest, part[:middle], start * 0.5)
            self._stage.play(guest, part[middle:], DAY * 0.5 + start * 0.4)
        else:
            self._stage.play(guest, part, start, stretch=rng.uniform(0.8, 2.5))

    def _probe(self) -> None:
        """Place a stranger who sends one to three lone packets."""
        light = [t for t in self._takes if t.actor.role in _LIGHT]
        draw = self._rng.random()
        if light and draw < 0.25:
            take = self._rng.choice(light)
            part = slice_of(self._rng, take.conversations, 3)
            self._stage.play(self._stage.model(take), part, self._rng.randrange(DAY))
            return
        scans = [t for t in self._takes if t.actor.role is Role.SYN_SCANNER]
        if scans and draw < 0.35:
            take = self._rng.choice(scans)
            guest = self._stage.model(take)
            accepted = [c for c in take.conversations if c.accepted] or take.conversations
            self._stage.play(guest, [self._rng.choice(accepted)], self._rng.randrange(DAY))
            return
        self._write_probe()

    def _write_probe(self) -> None:
        """Place a probe that is written, not recorded: at one host, or the same at a few."""
        guest = self._stage.guest(
            Actor("", Label.MALICIOUS, Role.WORM, "written packets", handshake=False)
        )
        rng, at = guest.rng, self._rng.randrange(DAY)
        count = rng.choice((1, 1, 1, 1, 1, 2, 3, 5))
        several = count > 1 and rng.random() < 0.4
        ports = noise.ports_of(rng, count) if several else ()
        call = noise.probe(rng, refused=_REFUSED)
        target, elsewhere = self._target(rng), rng.random() < 0.5
        for number in range(count):
            if several:
                call = noise.probe_tcp(rng, ports[number], refused=_REFUSED)
            elif number and elsewhere:
                target = self._target(rng)
            self._stage.play(guest, [call], at, servers={noise.SERVER: target})
            at += round(between(rng, 0.05, 20_000) * SECOND)

    def _return(self) -> None:
        """Place a scanner of the whole Internet, which comes by now and then all day long.

        Either with other ports each time, or with the same one, as bots do that draw addresses.
        """
        guest = self._stage.guest(
            Actor("", Label.MALICIOUS, Role.SLOW_SCANNER, "written packets", handshake=False)
        )
        rng = guest.rng
        count = round(between(rng, 5, 30))
        ports = noise.ports_of(rng, count) if rng.random() < 0.7 else noise.ports_of(rng, 1) * count
        hosts = [self._target(rng) for _ in range(rng.choice((1, 1, 2, 4)))]
        for port in ports:
            call = noise.probe_tcp(rng, port, refused=_REFUSED)
            at = rng.uniform(0, 1) * DAY
            self._stage.play(guest, [call], at, servers={noise.SERVER: rng.choice(hosts)})

    def _target(self, rng: random.Random) -> bytes:
        """Return any address of the network: most have nobody."""
        home = self._stage.home
        draw = rng.random()
        if draw < 0.6:
            return rng.choice(home.unused)
        return rng.choice(home.desktops if draw < 0.75 else home.servers)

    def _sweep(self) -> None:
        """One port over many addresses of the network, within minutes or over the day."""
        guest = self._stage.guest(
            Actor("", Label.MALICIOUS, Role.NETWORK_SWEEPER, "written packets", handshake=False)
        )
        rng, home = guest.rng, self._stage.home
        targets = [*home.unused, *home.desktops]
        chosen = rng.sample(targets, min(len(targets), round(between(rng, 8, 90))))
        call = noise.probe(rng, refused=0.0)
        at, step = rng.uniform(0, 0.6) * DAY, between(rng, 0.01, 400) * SECOND
        for target in chosen:
            self._stage.play(guest, [call], at, servers={noise.SERVER: target})
            at += step * rng.uniform(0.5, 1.5)

    def _campaigns(self) -> None:
        """Many addresses with a little each, which share a name in the labels."""
        groups: dict[str, list[Take]] = defaultdict(list)
        for take in self._takes:
            if take.actor.campaign:
                groups[take.actor.campaign].append(take)
        for name in self._rng.sample(sorted(groups), min(_CAMPAIGNS, len(groups))):
            self._join(f"{name}-{self._rng.randrange(1000):03}", groups[name])
        long = [
            t
            for t in self._takes
            if t.actor.role in _DEALT and not t.actor.campaign and len(t.conversations) >= 60
        ]
        for take in self._rng.sample(long, min(_DEALS, len(long))):
            self._deal(f"{take.actor.role}-{self._rng.randrange(1000):03}", take)

    def _join(self, name: str, takes: Sequence[Take]) -> None:
        """Place a campaign that was recorded: each address does what one of its own did."""
        begin, long = self._rng.uniform(0, 0.6) * DAY, between(self._rng, 0.5, 9) * HOUR
        for _ in range(self._rng.randint(*_MEMBERS)):
            take = self._rng.choice(takes)
            home = self._stage.model(take)
            guest = self._in_campaign(home, name)
            at = begin + self._rng.random() * long
            self._stage.play(guest, take.conversations[: _DOSE[0]], at)

    def _deal(self, name: str, take: Take) -> None:
        """Share one attacker's conversations out among many addresses."""
        rng = self._rng
        part = slice_of(rng, take.conversations, 400)
        hands = max(12, min(_MEMBERS[1], len(part) // 6))
        begin, long = rng.uniform(0, 0.5) * DAY, between(rng, 0.5, 10) * HOUR
        guests = [self._in_campaign(self._stage.model(take), name) for _ in range(hands)]
        origin, stretch = part[0].start, long / span(part)
        for conversation in part:
            at = begin + (conversation.start - origin) * stretch
            self._stage.play(rng.choice(guests), [conversation], at)

    def _in_campaign(self, guest: Guest, name: str) -> Guest:
        actor = guest.actor
        guest.actor = Actor(actor.address, actor.label, actor.role, actor.tool, campaign=name)
        return guest

    def _infected(self) -> None:
        """Home hosts that work for somebody else: beacons over the day, thefts as recorded."""
        by_role: dict[Role, list[Take]] = defaultdict(list)
        for take in self._rng.sample(self._compromised, len(self._compromised)):
            by_role[take.actor.role].append(take)
        chosen = [take for role in sorted(by_role) for take in by_role[role][:_INFECTED]]
        for take in chosen:
            guest = self._stage.model(take)
            part: Sequence[Conversation] = slice_of(guest.rng, take.conversations, _DOSE[1])
            stretch = 1.0
            if take.actor.role is Role.BEACON:
                stretch = max(1.0, guest.rng.uniform(3, 20) * HOUR / span(part))
            self._stage.play(guest, part, guest.rng.uniform(0, 0.2) * DAY, stretch=stretch)

    def _flood(self) -> None:
        """Forged sources; some of them belong to benign strangers of the day, who stay benign."""
        by_role: dict[Role, list[Take]] = defaultdict(list)
        for take in self._spoofed:
            by_role[take.actor.role].append(take)
        clients = [g for g in self._stage.guests if g.actor.role is Role.WEB_CLIENT]
        for role in sorted(by_role):
            takes = by_role[role]
            guests = [
                self._stage.model(t) for t in self._choices(takes, self._rng.randint(*_FORGED))
            ]
            begin, long = self._rng.uniform(0, 0.95) * DAY, between(self._rng, 1, 12) * 60 * SECOND
            live = takes[0].conversations[0].server
            target = self._rng.choice(self._stage.home.instances(live) or self._stage.home.unused)
            v4 = [client for client in clients if len(client.packed) == len(live)]
            for guest in [*guests, *self._rng.sample(v4, min(12, len(v4)))]:
                part = self._rng.choice(takes).conversations[:3]
                at, meant = begin + self._rng.random() * long, dict(guest.servers)
                self._stage.play(guest, part, at, servers={live: target})
                guest.servers = meant

    def _choices(self, takes: Sequence[Take], count: int) -> list[Take]:
        return self._rng.choices(takes, k=count)


def repeated(rng: random.Random, part: Sequence[Conversation]) -> Sequence[Conversation]:
    """Return conversations that are few and short several times over, as a tool run again."""
    packets = sum(len(conversation.segments) for conversation in part)
    times = min(_DOSE[0] // len(part), _FEW_PACKETS // packets, 12)
    if times <= 1:
        return part
    first, again, shift = part[0].start, list(part), 0
    for _ in range(times - 1):
        shift += max(c.end for c in part) - first + round(between(rng, 1, 120) * SECOND)
        again += [replace(c, start=c.start + shift) for c in part]
    return again
