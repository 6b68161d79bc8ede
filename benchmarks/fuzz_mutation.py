"""Damages EVE lines: fields that hold what they can't hold, and bytes that are changed or lost.

A line is cut into the members of its objects once; a change of a field is then a splice of bytes,
some tens of thousands of them a second. What is spliced in need not be JSON.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s"{}\[\]:,]+')

READ = tuple(
    b'"%s"' % name
    for name in (
        *(b"timestamp", b"event_type", b"src_ip", b"src_port", b"dest_ip", b"dest_port", b"proto"),
        *(b"app_proto", b"direction", b"alert", b"flow", b"tcp", b"http", b"dns", b"ftp"),
        *(b"signature_id", b"signature", b"category", b"severity", b"source", b"target", b"ip"),
        *(b"pkts_toserver", b"pkts_toclient", b"bytes_toserver", b"bytes_toclient", b"start"),
        *(b"end", b"state", b"tcp_flags_ts", b"tcp_flags_tc", b"http_method", b"url", b"status"),
        *(b"type", b"rcode", b"completion_code", b"(time)"),
    )
)
"""Names of fields that the analysis reads: these are changed more often than others."""

_NUMBERS = [
    *(b"0", b"-1", b"-0", b"0.0", b"-0.5", b"1.5", b"443.0", b"1e2", b"1e30", b"1e400", b"-1e400"),
    *(b"%d" % (2**bits + more) for bits in (8, 16, 31, 32, 53, 63, 64) for more in (-1, 0, 1)),
    *(b"-%d" % 2**bits for bits in (31, 63, 64)),
    *(b"9" * 400, b"9" * 5000, b"0123", b"0x1f", b"1_0", b"+1", b"NaN", b"-Infinity", b"1.", b".5"),
]
_TEXTS = [
    *(rb"", rb"\u0000", rb"\\x85", rb"\ud800", rb"\udc00\ud800", rb"\ud83d\ude00", rb"\x41"),
    *(b"\xff", b"\xed\xa0\x80", b"\xef\xbf\xbd", b"\x00", b"\x1b[2J", b"\t", b"\xc2\x9b", b"\\"),
    *(
        b"1f",
        b"-e",
        b"FF",
        b"zz",
        b"530",
        b"null",
        b"TCP",
        b"UDP",
        b"ICMP",
        b"to_client",
        b"x" * 2000,
    ),
    *(b"flow", b"alert", b"http", b"dns", b"tls", b"ssh", b"ftp", b"anomaly", b"stats", b"closed"),
    *(b"A Network Trojan was detected", b"Web Application Attack", b"ET SCAN test", b"NXDOMAIN"),
    *(b"0.0.0.0", b"255.255.255.255", b"224.0.0.1", b"10.0.0.5", b"127.0.0.1", b"192.0.2.256"),
    *(
        b"::",
        b"::1",
        b"ff02::1",
        b"::ffff:192.0.2.1",
        b"fe80::1%em0",
        b"FE80:0000::000A%",
        b"1" * 70,
    ),
    *(b"2001:0db8:0000:0000:0000:0000:0000:0001", b"3232235777", b"router", b"203.0.113.7 "),
    *(b"1970-01-01T00:00:00.000000+0000", b"9999-12-31T23:59:59.999999Z", b"2099-06-31T00:00:00Z"),
    *(b"2024-01-01T00:00:00", b"2024-01-01 00:00:00.1234567-2359", b"2024-W01-1T00:00:00+00:00"),
    *(b"1969-12-31T23:59:59.9Z", b"2024-01-01T00:00:00.Z", b"2024-01-01T24:00:00.0+0000", b"now"),
]
_STRUCTURES = [
    *(b"null", b"true", b"false", b"[]", b"{}", b"[[]]", b'[{"a":1}]', b'{"ip":1}', b"[null]"),
    *(b'["530",530,null]', b"[" * 50 + b"]" * 50, b"[" * 3000 + b"]" * 3000, b'{"a":' * 3000, b""),
    *(b'{"start":17,"end":[],"pkts_toserver":{}}', b'{"signature_id":-1,"severity":null}'),
]
_LITERALS = [*_NUMBERS, *(b'"%s"' % text for text in (*_TEXTS, *_NUMBERS)), *_STRUCTURES]
_SCRAPS = [
    *(b"\x00", b"\xff", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"\\u", rb"\ud8", b"\r"),
    *(b"\xef\xbb\xbf", b'","', b"}{", b"null", b"-", b"e9", b"\xe2\x80", b" ", b"\x7f", b"/*"),
]
HUGE = 16 * 1024 * 1024
"""Bytes of the longest lines: what a source hands on at most."""


class Member(NamedTuple):
    """One name and value of an object, by their places in the line."""

    name: bytes
    """With its quotes."""
    start: int
    value: int
    end: int


class Seed(NamedTuple):
    """A line as it was written, and what can be changed in it."""

    line: bytes
    members: list[Member]
    read: list[Member]
    """Those that the analysis reads."""


def seed_of(line: bytes) -> Seed:
    """Find the members of all objects of a line, which must be JSON."""
    members: list[Member] = []
    opened: list[tuple[re.Match[bytes] | None, int]] = []
    last: re.Match[bytes] | None = None
    name: re.Match[bytes] | None = None
    for token in _TOKEN.finditer(line):
        text, value, end = token[0], token.start(), token.end()
        if text == b":":
            name = last
            continue
        if text in {b"{", b"["}:
            opened.append((name, value))
            name = None
            continue
        if text in {b"}", b"]"}:
            name, value = opened.pop()
        if name is not None and text != b",":
            members.append(Member(name[0], name.start(), value, end))
        last, name = token, None
    return Seed(line, members, [member for member in members if member.name in READ])


class Mutator:
    """Makes damaged lines out of sound ones; the same seed number gives the same lines."""

    def __init__(self, lines: Sequence[bytes], rng: random.Random) -> None:
        """`lines`: sound ones, none of them empty."""
        seeds = [seed_of(line) for line in lines]
        self._seeds = [seed for seed in seeds if len(seed.line) <= _LONG] or seeds
        self._long = [seed for seed in seeds if len(seed.line) > _LONG] or self._seeds
        self._rng = rng
        self._changes: dict[Callable[[Seed], bytes], int] = {
            self._with_strange_fields: 55,
            self._with_changed_bytes: 25,
            self._with_both: 15,
            self._joined: 3,
            lambda seed: seed.line: 2,
        }
        """What is done to a line, and in how many of a hundred."""

    def line(self) -> bytes:
        """Return the next line."""
        rng = self._rng
        if rng.random() < _SELDOM:
            return self._huge()
        seed = rng.choice(self._long if rng.random() < 0.001 else self._seeds)  # noqa: PLR2004
        (change,) = rng.choices(tuple(self._changes), tuple(self._changes.values()))
        return change(seed)

    def _with_strange_fields(self, seed: Seed) -> bytes:
        """Change one to three fields, from the end on, so that the other places stay right."""
        rng = self._rng
        chosen = {self._member(seed) for _ in range(rng.choice((1, 1, 1, 2, 3)))}
        line, border = seed.line, len(seed.line)
        for member in sorted(chosen, key=lambda member: -member.start):
            if member.end <= border:  # else it holds one that has been changed
                line = line[: member.start] + self._changed(seed, member) + line[member.end :]
                border = member.start
        return line

    def _member(self, seed: Seed) -> Member:
        is_read = seed.read and self._rng.random() < 0.8  # noqa: PLR2004 - most of the time
        return self._rng.choice(seed.read if is_read else seed.members)

    def _changed(self, seed: Seed, member: Member) -> bytes:
        """Return a member with another value or name, or beside another one."""
        rng = self._rng
        present = seed.line[member.start : member.end]
        strange = member.name + b":" + self._literal()
        match rng.randrange(8):
            case 0:
                return strange + b"," + present
            case 1:
                return present + b"," + strange
            case 2:
                return b'"renamed"' + seed.line[member.start + len(member.name) : member.end]
            case 3:
                return present + b"," + rng.choice(READ) + b":" + self._literal()
            case _:
                return strange

    def _literal(self) -> bytes:
        rng = self._rng
        chance = rng.random()
        if chance < 0.8:  # noqa: PLR2004 - most of the time
            return rng.choice(_LITERALS)
        if chance < 0.9:  # noqa: PLR2004
            return b"%d" % (rng.getrandbits(rng.randrange(1, 80)) - rng.getrandbits(20))
        return b'"%s"' % rng.randbytes(rng.randrange(24))

    def _with_both(self, seed: Seed) -> bytes:
        return self._damaged(self._with_strange_fields(seed))

    def _with_changed_bytes(self, seed: Seed) -> bytes:
        return self._damaged(seed.line)

    def _damaged(self, line: bytes) -> bytes:
        """Change, insert, lose or double some bytes, or cut the line off."""
        rng = self._rng
        for _ in range(rng.choice((1, 1, 2, 4))):
            place = rng.randrange(len(line) + 1)
            after = place + rng.choice((0, 1, 1, 4, 40))
            match rng.randrange(6):
                case 0:
                    line = line[:place] + rng.randbytes(1) + line[place + 1 :]
                case 1 | 2:
                    line = line[:place] + rng.choice(_SCRAPS) + line[after:]
                case 3:
                    line = line[:place] + line[after:]
                case 4:
                    line = line[:after] + line[place:]
                case _:
                    line = line[:place] if rng.random() < 0.5 else line[place:]  # noqa: PLR2004
        return line

    def _joined(self, seed: Seed) -> bytes:
        """Return two records on a line, or one with something before, around or behind it."""
        rng, line = self._rng, seed.line
        other = rng.choice(self._seeds).line
        forms = (
            *(line + other, line[: rng.randrange(len(line))] + other, b"[" + line + b"]"),
            *(b"\xef\xbb\xbf" + line, bytes(rng.randrange(1, 5000)) + line, line + b"\x00"),
            *(line + b",", line + b"\r", line.decode("utf-8", "replace").encode("utf-16"), b""),
            *(rng.randbytes(rng.randrange(200)), b"[" * 100_000, b'{"a":' * 20_000),
        )
        return rng.choice(forms)

    def _huge(self) -> bytes:
        """Return a line of 16 MiB: one value of it is that long."""
        seed = self._rng.choice(self._seeds)
        member = self._member(seed)
        filling = self._rng.choice((b"a", b"\xff", b"9", b"\\n", rb"\ud800", b"\\"))
        value = b'"%s"' % (filling * ((HUGE - len(seed.line)) // len(filling)))
        return seed.line[: member.value] + value + seed.line[member.end :]


_LONG = 8192
"""Bytes from which on a seed is chosen seldom: time goes with the bytes."""
_SELDOM = 1 / 50_000
