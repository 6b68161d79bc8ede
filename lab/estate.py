"""The protected site and what it calls outside: addresses and accounts, the same in every run.

Every address lies in a documentation (RFC 5737, RFC 3849) or benchmarking (RFC 2544) range, so
that it looks public and belongs to nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

HOME_NET = ("192.0.2.0/24", "2001:db8:1::/64")
GATEWAY = "192.0.2.1"
WEB, WEB_V6 = "192.0.2.10", "2001:db8:1::10"
API = "192.0.2.11"
FTP = "192.0.2.21"
SSH = "192.0.2.22"
MAIL = "192.0.2.25"
DESKTOP = "192.0.2.33"
"""Speaks as much RDP as a refusal takes."""
DNS, DNS_V6 = "192.0.2.53", "2001:db8:1::53"
VPN = "192.0.2.94"
"""OpenVPN- and WireGuard-shaped datagrams, and NTP."""
STREAMS = (WEB, WEB_V6, API, FTP, MAIL, DESKTOP)
"""Home servers of TCP that the lab's own programs play; SSH is OpenSSH."""
DATAGRAMS = (DNS, DNS_V6, VPN)
HOME_CLIENTS = tuple(f"192.0.2.{host}" for host in range(100, 146))
_HOSTS = frozenset({GATEWAY, *STREAMS, SSH, *DATAGRAMS, *HOME_CLIENTS})
SILENT = tuple(f"192.0.2.{n}" for n in range(2, 255) if f"192.0.2.{n}" not in _HOSTS)
"""Addresses of the home network that no host has."""

OUTSIDE_WEB = ("203.0.113.80", "203.0.113.81", "198.51.100.80")
OUTSIDE_DNS = "203.0.113.53"
OUTSIDE_VIDEO = ("203.0.113.90", "198.51.100.90")
OUTSIDE_CONTROL = ("203.0.113.66", "198.51.100.66")
"""Whom compromised hosts report to."""
OUTSIDE = (*OUTSIDE_WEB, OUTSIDE_DNS, *OUTSIDE_VIDEO, *OUTSIDE_CONTROL)
PEERS = tuple(f"198.18.255.{n}" for n in range(1, 121))
"""Once peers of a file sharer, all dead: nobody has these addresses."""

USERS = ("user1", "user2", "user3", "user4")
PASSWORD = "correct-horse-7"  # noqa: S105 - the password of users who exist in the lab alone
TOKEN = "lab-4711"  # noqa: S105 - of the API clients of the lab


def mistyped(rng: random.Random) -> str:
    """Return the password with one key left out, doubled, or swapped with its neighbour."""
    place = rng.randrange(1, len(PASSWORD) - 1)
    before, key, after = PASSWORD[:place], PASSWORD[place], PASSWORD[place + 1 :]
    return rng.choice((before + after, before + key + key + after, before + after[0] + key))
