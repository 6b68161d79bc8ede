"""The benign of a day: who comes how often, at what hours, and what goes wrong for them.

The shares and counts are a small site's: most strangers read pages, a few programs call all day
long, some offices have hundreds of people behind one address, and much of what arrives was meant
for somebody else.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from lab.compose import noise
from lab.compose.clock import DAY, HOUR, Hours, between, moment
from lab.compose.stage import slice_of
from lab.compose.take import SECOND, of_label
from lab.label import Actor, Label, Role

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from lab.compose.stage import Guest, Stage
    from lab.compose.take import Conversation, Take


class Habit(NamedTuple):
    """How a role behaves in a day."""

    share: float
    """Of the strangers, relative to the other roles'."""
    visits: tuple[int, int]
    """Fewest and most."""
    most: int = 12
    """Conversations of one visit."""
    hours: Hours = Hours.ANY
    beat: tuple[int, int] | None = None
    """Seconds between visits, fewest and most, of a program that calls all day."""


HABITS = {
    Role.WEB_CLIENT: Habit(40, (1, 3), most=2, hours=Hours.EVENING),
    Role.FORM_USER: Habit(7, (1, 3)),
    Role.DNS_CLIENT: Habit(11, (1, 3), most=6),
    Role.MAIL_SENDER: Habit(8, (1, 4), most=3, hours=Hours.OFFICE),
    Role.SSH_USER: Habit(3, (1, 6), hours=Hours.OFFICE),
    Role.FTP_USER: Habit(2, (1, 2), most=3, hours=Hours.OFFICE),
    Role.IMAP_USER: Habit(5, (1, 12), most=2),
    Role.POP3_USER: Habit(2, (1, 12), most=2),
    Role.VPN_CLIENT: Habit(3, (1, 6), hours=Hours.OFFICE),
    Role.NTP_CLIENT: Habit(3, (1, 16), most=2),
    Role.PINGER: Habit(2, (1, 3)),
    Role.API_CLIENT: Habit(0.7, (6, 24), most=2, beat=(600, 5400)),
    Role.TOKEN_CLIENT: Habit(0.6, (4, 24), most=1, beat=(600, 5400)),
    Role.SSH_AUTOMATION: Habit(0.6, (6, 40), most=2, beat=(900, 5400)),
    Role.CRAWLER: Habit(0.4, (1, 3), most=30),
    Role.CDN: Habit(0.4, (1, 6), most=40),
    Role.BACKUP: Habit(0.3, (1, 2), hours=Hours.NIGHT),
    Role.MISTAKEN: Habit(4, (1, 3), most=4),
    Role.GONE_SERVICE: Habit(2, (1, 4), most=3),
    Role.TIMED_OUT: Habit(2, (1, 3), most=3),
}
_OTHER = Habit(1, (1, 3))
"""Of a role that is not listed."""
_MONITORS, _OFFICES, _SCANNERS = 4, 0.002, 2
"""Monitoring stations; offices for each stranger; scanners that the owner has ordered."""
_LOST = 0.11
"""Of the strangers, those whose packets were meant for somebody else."""
_STUBBORN = 0.01
"""Of the strangers, programs that fail the same way all day long."""
_MISHAP, _SECOND = 0.04, 0.05
"""Of the others, those who meet a silent server; those who do a second thing as well."""
_OFFICE_VISITS, _LARGE_OFFICE = (20, 80), (200, 300)
_AT_HOME = frozenset({Role.HOME_CLIENT, Role.PEER_CLIENT, Role.VIDEO_CALLER})
_APART = frozenset({Role.MONITOR, Role.NAT_OFFICE, Role.ALLOWED_SCANNER, *_AT_HOME})
_PEOPLE = (Role.WEB_CLIENT, Role.FORM_USER, Role.IMAP_USER, Role.NAT_OFFICE, Role.SSH_USER)
_STUBBORN_ROLES = (
    Role.IMAP_USER,
    Role.POP3_USER,
    Role.API_CLIENT,
    Role.TOKEN_CLIENT,
    Role.MISTAKEN,
    Role.FTP_USER,
    Role.GONE_SERVICE,
)


class Crowd:
    """The benign of one day, put on a stage."""

    def __init__(self, stage: Stage, takes: Sequence[Take]) -> None:
        """Sort what was recorded (`takes`) by role, without what this day has no servers for."""
        self._stage = stage
        self._rng = stage.rng
        self._by_role: dict[Role, list[Take]] = defaultdict(list)
        for take in of_label(takes, Label.BENIGN):
            if stage.is_possible(take):
                self._by_role[take.actor.role].append(take)

    def play(self, strangers: int) -> None:
        """Place so many strangers, and the clients at home."""
        apart = self._monitors() + self._offices(strangers) + self._allowed()
        lost = round(strangers * _LOST)
        stubborn = round(strangers * _STUBBORN) if self._insistent() else 0
        for _ in range(lost):
            self._lose()
        for _ in range(stubborn):
            self._insist()
        roles = [role for role in HABITS if role in self._by_role]
        roles += [role for role in self._by_role if role not in HABITS and role not in _APART]
        weights = [HABITS.get(role, _OTHER).share for role in roles]
        for role in self._rng.choices(
            roles, weights, k=max(0, strangers - lost - stubborn - apart)
        ):
            self._visit(role)
        self._go_out(min(40, max(12, strangers // 80)))

    def _visit(self, role: Role) -> None:
        """Place an ordinary stranger."""
        take = self._rng.choice(self._by_role[role])
        guest = self._stage.model(take)
        self._come(guest, role, take)
        if self._rng.random() < _SECOND:
            other = self._rng.choice([r for r in _PEOPLE if r in self._by_role] or [role])
            self._come(guest, other, take if other is role else None)
        if self._rng.random() < _MISHAP:
            self._meet_silence(guest, take)

    def _come(self, guest: Guest, role: Role, take: Take | None) -> None:
        """Place the visits of a role: each does what a client of that role once did."""
        habit, rng = HABITS.get(role, _OTHER), guest.rng
        takes = [t for t in self._by_role[role] if t.is_v6 == (len(guest.packed) == 16)]
        for at in _visits(rng, habit, self._stage.zone):
            if take is None or rng.random() < 0.5:
                if not takes:
                    return
                take = rng.choice(takes)
            part = slice_of(rng, take.conversations, rng.randint(1, habit.most))
            self._stage.play(guest, part, at, stretch=rng.uniform(0.5, 3.0))

    def _meet_silence(self, guest: Guest, take: Take) -> None:
        """Place what goes unanswered while a server is away, once or a few times."""
        at = self._rng.randrange(DAY)
        for _ in range(self._rng.randint(1, 3)):
            part = slice_of(guest.rng, take.conversations, 2)
            self._stage.play(guest, part, at, silent=True)
            at += round(between(guest.rng, 5, 600) * SECOND)

    def _insistent(self) -> list[Role]:
        return [role for role in _STUBBORN_ROLES if role in self._by_role]

    def _insist(self) -> None:
        """Place a forgotten program: an old password, an expired token, a server that moved."""
        take = self._rng.choice(self._by_role[self._rng.choice(self._insistent())])
        guest = self._stage.model(take)
        beat = between(guest.rng, 240, 3600)
        part = slice_of(guest.rng, take.conversations, 1)
        silent = guest.rng.random() < 0.2
        at = guest.rng.uniform(0, 0.5 * DAY)
        for _ in range(guest.rng.randint(6, 60)):
            self._stage.play(guest, part, at, silent=silent)
            at += beat * SECOND * guest.rng.uniform(0.95, 1.05)

    def _lose(self) -> None:
        """Place a stranger whose packets were meant for others, or for what was here once."""
        rng, home = self._rng, self._stage.home
        draw = rng.random()
        if draw < 0.5:
            model = Actor("", Label.BENIGN, Role.MISTAKEN, "file sharer", handshake=False)
            guest = self._stage.guest(model)
            port = 1024 + (int.from_bytes(home.desktops[0], "big") * 7919) % 60_000
            ports = (6881, 51413, port, port + 11, 16881)
            calls = [noise.peer(rng, rng.choice(ports)) for _ in range(rng.choice((1, 1, 2, 4)))]
            self._call(guest, calls, rng.choice(home.desktops[:6]))
        elif draw < 0.95:
            model = Actor("", Label.BENIGN, Role.MISTAKEN, "kernel", handshake=False)
            guest = self._stage.guest(model)
            call = noise.mistake(rng, refused=0.3)
            places = home.unused[:5] + home.desktops[:2]
            self._call(guest, [call] * rng.choice((1, 1, 1, 2, 3)), rng.choice(places))
        else:
            # The answer to a SYN that somebody sent elsewhere with our address on it.
            model = Actor("", Label.BENIGN, Role.OUTSIDE_SERVER, "kernel", handshake=False)
            guest = self._stage.guest(model)
            calls = [noise.answer(rng, rng.choice((80, 443, 25, 22)))]
            self._call(guest, calls, rng.choice(home.unused))

    def _call(self, guest: Guest, calls: Sequence[Conversation], target: bytes) -> None:
        at = self._rng.randrange(DAY)
        for call in calls:
            self._stage.play(guest, [call], at, servers={noise.SERVER: target})
            at += round(between(guest.rng, 2, 7200) * SECOND)

    def _monitors(self) -> int:
        takes = self._by_role.get(Role.MONITOR, [])
        for take in takes and self._rng.choices(takes, k=_MONITORS):
            guest = self._stage.model(take)
            beat, at = guest.rng.choice((900, 1200, 1800)) * SECOND, guest.rng.uniform(0, 60e6)
            for number in range(round(DAY / beat)):
                first = number * 3 % max(1, len(take.conversations) - 2)
                self._stage.play(guest, take.conversations[first : first + 3], at + number * beat)
        return _MONITORS if takes else 0

    def _offices(self, strangers: int) -> int:
        """Many people behind one address: each visit is somebody else's."""
        takes = [t for role in _PEOPLE for t in self._by_role.get(role, ()) if not t.is_v6]
        count = max(2, round(strangers * _OFFICES))
        model = Actor("", Label.BENIGN, Role.NAT_OFFICE, "several")
        for number in range(count if takes else 0):
            guest = self._stage.guest(model)
            people = _LARGE_OFFICE if number == 0 else _OFFICE_VISITS
            for _ in range(round(between(guest.rng, *people))):
                part = slice_of(guest.rng, guest.rng.choice(takes).conversations, 6)
                at = moment(guest.rng, Hours.OFFICE, self._stage.zone)
                self._stage.play(guest, part, at, stretch=guest.rng.uniform(0.5, 3), anew=True)
        return count if takes else 0

    def _allowed(self) -> int:
        takes = self._by_role.get(Role.ALLOWED_SCANNER, [])
        for take in takes and self._rng.choices(takes, k=_SCANNERS):
            guest = self._stage.model(take)
            at = moment(guest.rng, Hours.NIGHT, self._stage.zone)
            self._stage.play(guest, slice_of(guest.rng, take.conversations, 400), at)
        return _SCANNERS if takes else 0

    def _go_out(self, clients: int) -> None:
        """Place the clients at home: each does over the day what some client did in minutes."""
        takes = [take for role in sorted(_AT_HOME) for take in self._by_role.get(role, ())]
        for _ in range(clients if takes else 0):
            take = self._rng.choice(takes)
            guest = self._stage.model(take)
            same = [t for t in takes if t.actor.role is take.actor.role]
            for _ in range(guest.rng.randint(1, 6)):
                part = slice_of(guest.rng, guest.rng.choice(same).conversations, 20)
                at = moment(guest.rng, Hours.OFFICE, self._stage.zone)
                self._stage.play(guest, part, at, stretch=guest.rng.uniform(1, 10))


def _visits(rng: random.Random, habit: Habit, zone: float) -> list[float]:
    """Return when somebody comes, in microseconds of the day."""
    count = round(between(rng, *habit.visits)) if habit.visits[0] > 0 else 1
    if habit.beat is None:
        return [moment(rng, habit.hours, zone) for _ in range(count)]
    beat = between(rng, *habit.beat) * SECOND
    first = rng.uniform(0, 4 * HOUR)
    return [first + beat * (number + rng.uniform(-0.1, 0.1)) for number in range(1, count + 1)]
