"""Labels: one row for each address that sends traffic, exact because the lab made the traffic."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

COLUMNS = ("ip", "label", "role", "handshake", "tool")


class Label(StrEnum):
    """What an address is."""

    MALICIOUS = "malicious"
    BENIGN = "benign"
    SPOOFED = "spoofed"
    """Never sent a packet itself: somebody forged it as a source."""


class Role(StrEnum):
    """What an address does in the lab."""

    SSH_BRUTE_FORCE = "ssh-brute-force"
    WEB_SCANNER = "web-scanner"
    SYN_SCANNER = "syn-scanner"
    SYN_FLOOD = "syn-flood"
    WEB_CLIENT = "web-client"
    SSH_USER = "ssh-user"
    MAIL_SENDER = "mail-sender"
    DNS_CLIENT = "dns-client"
    MONITOR = "monitor"
    API_CLIENT = "api-client"
    HOME_CLIENT = "home-client"
    MISTAKEN = "mistaken"
    """Knocks at a closed port, by a typing error."""
    SERVER = "server"
    OUTSIDE_SERVER = "outside-server"


@dataclass(frozen=True, slots=True)
class Actor:
    """An address and what it does."""

    address: str
    """Canonical text of an IPv4 or IPv6 address."""
    label: Label
    role: Role
    tool: str
    """The program whose packets these are."""
    handshake: bool = True
    """Whether its connections complete (or, of a server, those that it accepts)."""


def write_labels(path: Path, actors: Iterable[Actor]) -> None:
    """Write the CSV with a heading; raises ValueError where an address comes twice."""
    seen: set[str] = set()
    with path.open("w", newline="", encoding="ascii") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(COLUMNS)
        for actor in actors:
            if actor.address in seen:
                raise ValueError(f"{actor.address} has two labels")
            seen.add(actor.address)
            handshake = "yes" if actor.handshake else "no"
            rows.writerow((actor.address, actor.label, actor.role, handshake, actor.tool))


def read_labels(path: Path) -> dict[str, Actor]:
    """Return the actors by address; raises ValueError or KeyError on what is no labels file."""
    with path.open(newline="", encoding="ascii") as file:
        actors = [
            Actor(
                address=row["ip"],
                label=Label(row["label"]),
                role=Role(row["role"]),
                handshake=row["handshake"] == "yes",
                tool=row["tool"],
            )
            for row in csv.DictReader(file)
        ]
    return {actor.address: actor for actor in actors}
