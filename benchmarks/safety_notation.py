"""In how many ways an address can be written, and what is none at all."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    Spelling = Callable[[random.Random, str], str]


def number_of(text: str) -> int:
    """Return an address as a number."""
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    return int.from_bytes(socket.inet_pton(family, text), "big")


def text_of(number: int, *, ipv6: bool) -> str:
    """Return a number as an address."""
    family, size = (socket.AF_INET6, 16) if ipv6 else (socket.AF_INET, 4)
    return socket.inet_ntop(family, number.to_bytes(size, "big"))


def _hexed(number: int) -> str:
    return f"{number >> 16:x}:{number & 0xFFFF:x}"


def _expanded(_chance: random.Random, text: str) -> str:
    full = f"{number_of(text):032x}"
    return ":".join(full[place : place + 4] for place in range(0, 32, 4))


def _octets(text: str) -> Sequence[int]:
    return [int(part) for part in text.split(".")]


_BOTH: tuple[Spelling, ...] = (
    lambda _c, t: t,
    lambda _c, t: t,
    lambda _c, t: f" {t} ",
    lambda _c, t: f"{t}\n",
    lambda _c, t: f"{t}%em0",
    lambda _c, t: f"[{t}]",
    lambda _c, t: f"{t}\x00",
    lambda _c, t: f"{t} # of ours",
    lambda _c, t: f"!{t}",
    lambda _c, t: f"45.255.255.1\n{t}",
    lambda _c, t: f"{t};pfctl -F all",
    lambda c, t: f"{t}{' ' * c.randrange(100_000)}",
    lambda _c, t: f"{t}/{128 if ':' in t else 32}",
    lambda _c, t: "".join(chr(0xFF10 + int(s)) if s.isdigit() else s for s in t),
    lambda _c, t: "".join(chr(0x0660 + int(s)) if s.isdigit() else s for s in t),
)
_OF_IPV4: tuple[Spelling, ...] = (
    lambda _c, t: f"::ffff:{t}",
    lambda _c, t: f"::FFFF:{_hexed(number_of(t)).upper()}",
    lambda _c, t: f"0000:0000:0000:0000:0000:FFFF:{_hexed(number_of(t))}",
    lambda _c, t: f"::ffff:{t}%3",
    lambda _c, t: f"::ffff:0:{t}",
    lambda _c, t: f"::{t}",
    lambda _c, t: f"64:ff9b::{t}",
    lambda _c, t: f"64:ff9b::{_hexed(number_of(t))}",
    lambda c, t: f"64:ff9b:1:{c.randrange(1 << 16):x}::{t}",
    lambda c, t: f"2002:{_hexed(number_of(t))}::{c.randrange(1 << 16):x}",
    lambda _c, t: f"2001:0:4136:e378:8000:63bf:{_hexed(number_of(t) ^ 0xFFFF_FFFF)}",
    lambda _c, t: f"::ffff:{t}/128",
    lambda _c, t: f"[::ffff:{t}]:443",
    lambda _c, t: ".".join(f"{part:03d}" for part in _octets(t)),
    lambda _c, t: ".".join(f"0x{part:x}" for part in _octets(t)),
    lambda _c, t: ".".join(f"0{part:o}" for part in _octets(t)),
    lambda _c, t: str(number_of(t)),
    lambda _c, t: hex(number_of(t)),
    lambda _c, t: f"{t}:443",
    lambda _c, t: f"{t}.",
    lambda _c, t: t.rpartition(".")[0],
)
_OF_IPV6: tuple[Spelling, ...] = (
    _expanded,
    lambda c, t: _expanded(c, t).upper(),
    lambda _c, t: t.upper(),
    lambda _c, t: f"{t}%eth0",
    lambda _c, t: f"{t}%0",
    lambda _c, t: f"[{t}]:443",
    lambda _c, t: hex(number_of(t)),
    lambda _c, t: str(number_of(t)),
)
_UNDERSTOOD_IPV4: tuple[Spelling, ...] = (
    lambda _c, t: t,
    lambda _c, t: f"::ffff:{t}",
    lambda _c, t: f"::FFFF:{_hexed(number_of(t)).upper()}",
)
_UNDERSTOOD_IPV6: tuple[Spelling, ...] = (
    lambda _c, t: t,
    _expanded,
    lambda c, t: _expanded(c, t).upper(),
)
NONSENSE: tuple[Callable[[random.Random], str], ...] = (
    lambda _c: "",
    lambda _c: "any",
    lambda _c: "-",
    lambda _c: "-F all",
    lambda _c: "em0",
    lambda _c: "localhost",
    lambda _c: "gateway.example.com",
    lambda _c: "<ai_suricata_block>",
    lambda _c: "0/0",
    lambda _c: "!0.0.0.0/0",
    lambda _c: "203.0.113.256",
    lambda _c: "1.2.3.4.5",
    lambda _c: "::1::2",
    lambda _c: "12345::",
    lambda _c: "%",
    lambda _c: "/",
    lambda _c: "\ud800",
    lambda _c: "\u202e1.1.1.1",
    lambda c: "9" * c.randrange(1, 200_000),
    lambda c: ":" * c.randrange(1, 2000),
    lambda c: "".join(chr(c.randrange(32, 0x3000)) for _ in range(c.randrange(1, 60))),
)


def spelt(chance: random.Random, text: str) -> str:
    """Return the address in some notation, such as daemon, firewall and people know, or none."""
    own = _OF_IPV6 if ":" in text else _OF_IPV4
    return chance.choice((*_BOTH, *own, *own))(chance, text)


def understood(chance: random.Random, text: str) -> str:
    """Return the address in a notation in which Suricata or a person may write it."""
    return chance.choice(_UNDERSTOOD_IPV6 if ":" in text else _UNDERSTOOD_IPV4)(chance, text)
