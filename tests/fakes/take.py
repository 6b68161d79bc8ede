"""Takes as the lab records them, without a lab: conversations that are written here."""

from __future__ import annotations

import random
from collections import Counter
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from lab import estate
from lab.capture import http, write_pcap
from lab.compose.noise import Style, syn
from lab.compose.take import SECOND, Conversation, Cutter, Recording, Take
from lab.label import Actor, Label, Role

if TYPE_CHECKING:
    from pathlib import Path

START = 1_700_000_000
READER = Actor("198.51.100.7", Label.BENIGN, Role.WEB_CLIENT, "asyncio")
SCANNER = Actor("198.51.100.8", Label.MALICIOUS, Role.SYN_SCANNER, "nmap")
FORGED = Actor("198.19.1.1", Label.SPOOFED, Role.SYN_FLOOD, "raw socket")
HOST = Actor("192.0.2.100", Label.COMPROMISED, Role.BEACON, "asyncio")
SERVER = Actor(estate.WEB, Label.BENIGN, Role.SERVER, "asyncio")
CONTROL = Actor(estate.OUTSIDE_CONTROL[0], Label.COMPROMISED, Role.CONTROL_SERVER, "asyncio")
ACTORS = {a.address: a for a in (READER, SCANNER, FORGED, HOST, SERVER, CONTROL)}


def dice() -> random.Random:
    """Return a generator that draws the same in every test."""
    return random.Random(1)  # noqa: S311 - packets are varied by it, nothing is secret


def requests(client: str = READER.address, count: int = 3) -> list[tuple[float, bytes]]:
    """Return frames of whole connections with one request each, ten seconds apart."""
    frames: list[tuple[float, bytes]] = []
    for number in range(count):
        at = START + 10.0 * number
        frames += http(client, 40_000 + number, estate.WEB, f"/page{number}", at).packets
    return frames


def cutter(frames: list[tuple[float, bytes]]) -> Cutter:
    """Return a cutter that has got these Ethernet frames in the order of their times."""
    made = Cutter(ACTORS)
    for at, frame in sorted(frames):
        made.add(round(at * SECOND), frame[14:])
    return made


def browsing(count: int = 3) -> Take:
    """Return what a benign client did: requests, answered."""
    (take,) = cutter(requests(count=count)).takes(seed=2)
    return take


def lone(actor: Actor, server: str, ports: range) -> Take:
    """Return SYNs to many ports, a second apart, none answered."""
    rng = dice()
    conversations = []
    for number, port in enumerate(ports):
        made = syn(rng, port, Style.MASSCAN)
        made.client, made.server = ip_address(actor.address).packed, ip_address(server).packed
        made.start = number * SECOND
        conversations.append(made)
    return Take(actor, tuple(conversations), 2)


def recording(seed: int = 2) -> Recording:
    """Return a live run of a reader, a scanner, a forged source and an infected host."""
    takes = (
        browsing(),
        lone(SCANNER, estate.WEB, range(1, 81)),
        lone(FORGED, estate.WEB, range(80, 82)),
        lone(HOST, CONTROL.address, range(443, 447)),
    )
    networks = tuple(ip_network(text) for text in estate.HOME_NET)
    return Recording(seed, networks, ACTORS, takes, Counter())


def as_recorded(conversation: Conversation) -> list[tuple[int, bytes]]:
    """Return offset and packet of each segment."""
    return [(segment.offset, segment.data) for segment in conversation.segments]


def write_run(folder: Path, frames: list[tuple[float, bytes]]) -> Path:
    """Write the capture of a run; return its path."""
    return write_pcap(folder / "capture.pcap", frames)
