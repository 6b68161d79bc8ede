"""Labels: one row for each address that sends traffic, exact because the lab made the traffic."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

COLUMNS = ("ip", "label", "role", "handshake", "tool", "campaign")


class Label(StrEnum):
    """What an address is."""

    MALICIOUS = "malicious"
    BENIGN = "benign"
    SPOOFED = "spoofed"
    """Never sent a packet itself: somebody forged it as a source."""
    COMPROMISED = "compromised"
    """A host of the home network that works for somebody else, or whom it then talks to."""


class Role(StrEnum):
    """What an address does in the lab."""

    SSH_BRUTE_FORCE = "ssh-brute-force"
    FTP_BRUTE_FORCE = "ftp-brute-force"
    MAIL_BRUTE_FORCE = "mail-brute-force"
    WEB_BRUTE_FORCE = "web-brute-force"
    RDP_BRUTE_FORCE = "rdp-brute-force"
    CREDENTIAL_STUFFING = "credential-stuffing"
    """One or two logins from each of many addresses."""
    WEB_SCANNER = "web-scanner"
    WEB_PROBER = "web-prober"
    """A few requests for what others have left open."""
    SLOW_HTTP = "slow-http"
    HTTP_FLOOD = "http-flood"
    SYN_SCANNER = "syn-scanner"
    CONNECT_SCANNER = "connect-scanner"
    UDP_SCANNER = "udp-scanner"
    VERSION_SCANNER = "version-scanner"
    STEALTH_SCANNER = "stealth-scanner"
    """Segments that open nothing: FIN, NULL, Xmas, ACK."""
    PING_SWEEPER = "ping-sweeper"
    NETWORK_SWEEPER = "network-sweeper"
    """One port or a few, over the whole home network."""
    SLOW_SCANNER = "slow-scanner"
    DISTRIBUTED_SCANNER = "distributed-scanner"
    """A few ports of a scan that many addresses share."""
    WORM = "worm"
    """One to three packets to a port that worms look for."""
    UDP_PROBER = "udp-prober"
    DNS_TUNNEL = "dns-tunnel"
    BEACON = "beacon"
    DATA_THEFT = "data-theft"
    BOT = "bot"
    """A home host that scans the Internet."""
    CONTROL_SERVER = "control-server"
    """Outside: whom compromised hosts report to."""
    SYN_FLOOD = "syn-flood"
    UDP_FLOOD = "udp-flood"
    WEB_CLIENT = "web-client"
    FORM_USER = "form-user"
    SSH_USER = "ssh-user"
    SSH_AUTOMATION = "ssh-automation"
    """A program that logs in every few seconds."""
    FTP_USER = "ftp-user"
    IMAP_USER = "imap-user"
    POP3_USER = "pop3-user"
    MAIL_SENDER = "mail-sender"
    DNS_CLIENT = "dns-client"
    MONITOR = "monitor"
    API_CLIENT = "api-client"
    TOKEN_CLIENT = "token-client"  # noqa: S105 - the name of a role
    """A program whose token has expired, or whose pages have moved."""
    CRAWLER = "crawler"
    CDN = "cdn"
    """Fetches for many others, over parallel connections."""
    NAT_OFFICE = "nat-office"
    """One address, behind which many people browse."""
    BACKUP = "backup"
    VPN_CLIENT = "vpn-client"
    NTP_CLIENT = "ntp-client"
    PINGER = "pinger"
    ALLOWED_SCANNER = "allowed-scanner"
    """A vulnerability scanner that the owner has ordered: never to be blocked."""
    TIMED_OUT = "timed-out"
    """Calls a host that says nothing, as the kernel repeats it."""
    GONE_SERVICE = "gone-service"
    """Sends datagrams to a service that is no longer there."""
    MISTAKEN = "mistaken"
    """Knocks at a closed port, by a typing error."""
    HOME_CLIENT = "home-client"
    PEER_CLIENT = "peer-client"
    """A home host that calls many peers, most of them dead."""
    VIDEO_CALLER = "video-caller"
    SERVER = "server"
    OUTSIDE_SERVER = "outside-server"
    NOBODY = "nobody"
    """No host has this address: whoever calls it gets no answer."""


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
    campaign: str = ""
    """Name that the sources of a distributed attack share; empty for all others."""


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
            row = (actor.address, actor.label, actor.role, handshake, actor.tool)
            rows.writerow((*row, actor.campaign))


def read_labels(path: Path) -> dict[str, Actor]:
    """Return the actors by address; raises ValueError or KeyError on what is no labels file.

    A file without the column `campaign`, as early runs wrote it, has no campaigns.
    """
    with path.open(newline="", encoding="ascii") as file:
        actors = [
            Actor(
                address=row["ip"],
                label=Label(row["label"]),
                role=Role(row["role"]),
                handshake=row["handshake"] == "yes",
                tool=row["tool"],
                campaign=row.get("campaign") or "",
            )
            for row in csv.DictReader(file)
        ]
    return {actor.address: actor for actor in actors}
