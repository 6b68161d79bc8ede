"""What is said to pfctl, and what its answers mean: text in, text out, nothing is sent here.

A command consists of fixed words and a checked table name. Addresses travel over its standard
input; only `pfctl -k` has none, and gets the text of an address object as an argument.

Source: FreeBSD's pfctl(8) and its sources (pfctl.c, pfctl_table.c, pf_print_state.c).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import TYPE_CHECKING

from ai_suricata.core.address import (
    Address,
    Network,
    Target,
    parse_address,
    parse_network,
    parse_target,
)
from ai_suricata.core.errors import FirewallRefusedError, TableAbsentError
from ai_suricata.firewall import rule

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from ai_suricata.core.decision import Table

CHUNK = 30_000
"""Most addresses in one command: pf refused 32,769 at once."""

_PFCTL = "/sbin/pfctl"  # with its path: what PATH a login shell sets is not ours to know
_TABLE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,30}")
_TABLE_CREATED = re.compile(r"\d+ tables? created\.")
_TABLE_ABSENT = re.compile(r"pfctl: Table does not exist\.")
_COUNT = re.compile(r"(\d+)/(\d+) addresses (?:added|deleted|match)\.")
_KILLED = re.compile(r"killed (\d+) states from \d+ sources and \d+ destinations")
_NEW = "A  "
_ENTRY = re.compile(r"[^\t] ([ !])([0-9A-Fa-f:.]+(?:/\d{1,3})?)")
_STATUS = re.compile(r"Status: (Enabled|Disabled)\b.*")
_NOT_THERE = re.compile(r"(?i).*(?:no such file|not found).*")
_STATE_HOST = re.compile(r"(?<=[ (])[0-9A-Fa-f]*[.:][0-9A-Fa-f:.]+")
_IPV4_PORT = re.compile(r":\d+\Z")
_NOISE = re.compile(r"No ALTQ support in kernel|ALTQ related functions disabled")
_NO_MEMORY = re.compile(r"pfctl: Cannot allocate memory\.")
_NO_MATCH = 2  # exit code of `-T test` where not all match
_MORE_ENTRIES = "raise Firewall Maximum Table Entries (System > Advanced > Firewall & NAT)"

_REMEDIES = {
    r"pfctl: /dev/pf: Permission denied": (
        "only root may open /dev/pf: set PFSENSE_USER to admin or root, "
        "or run pfctl for this user through sudo in a forced command"
    ),
    r"pfctl: Operation not permitted\.": (
        "the table is declared const: name a table of our own in PFSENSE_TABLE"
    ),
    r"no IP address found for .*|invalid netmask .*|pfctl: cannot decode .*": (
        "pf can't read this address, and nothing of the batch was done: please report it"
    ),
}
"""What pfctl says (a whole line), and what to do about it."""


class TableFullError(FirewallRefusedError):
    """There is no room for all of a command's addresses, so that none of them went in."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command line, and what goes to its standard input."""

    label: str
    """add, delete, test, show, rules, info, states, kill or survey: for counters and errors."""
    text: str
    stdin: str = ""
    size: int = 0
    """Addresses on standard input."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: exit code, and both streams as text."""

    exit_code: int
    stdout: str = ""
    stderr: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """What a table holds."""

    entries: frozenset[Target]
    negated: frozenset[Target] = frozenset()
    """Exceptions, written `!address`: pf does not match these."""
    unread: int = 0
    """Lines that are no entry."""

    def lacks(self, targets: Iterable[Target]) -> set[Target]:
        """Return the targets that pf would not find: the longest entry that matches decides."""
        networks = (entry for entry in self.entries | self.negated if isinstance(entry, Network))
        lengths = sorted({network.prefixlen for network in networks}, reverse=True)
        return {target for target in targets if not self._holds(target, lengths)}

    def _holds(self, target: Target, lengths: list[int]) -> bool:
        for candidate in (target, *_networks_around(target, lengths)):
            if candidate in self.negated:
                return False
            if candidate in self.entries:
                return True
        return False


def canonical(target: Target) -> Target:
    """Return the target as pf shows it: no zone, IPv4 unmapped, one host without its `/32`."""
    if isinstance(target, IPv4Address):
        return target
    if isinstance(target, IPv6Address):
        return parse_address(str(target))
    if target.prefixlen == target.max_prefixlen:
        return parse_address(str(target.network_address))
    first = str(target.network_address).partition("%")[0]
    return parse_network(f"{first}/{target.prefixlen}")


def add(name: str, targets: Collection[Target]) -> Iterator[Command]:
    """Yield the commands that put the targets into the table, at most `CHUNK` in each."""
    return _over_stdin("add", name, targets)


def delete(name: str, targets: Collection[Target]) -> Iterator[Command]:
    """Yield the commands that take the targets out of the table, at most `CHUNK` in each."""
    return _over_stdin("delete", name, targets)


def test(name: str, targets: Collection[Address]) -> Iterator[Command]:
    """Yield the commands that ask whether all are in the table: pf takes no networks here."""
    return _over_stdin("test", name, targets)


def part(command: Command, start: int, size: int) -> Command:
    """Return the command for `size` of its addresses from number `start` on; fewer at the end."""
    lines = command.stdin.splitlines(keepends=True)[start : start + size]
    return Command(command.label, command.text, "".join(lines), len(lines))


def steps(size: int) -> Iterator[int]:
    """Yield numbers, each half of the one before, whose sums make every number below `size`."""
    digits = (size - 1).bit_length()
    yield from (1 << digit for digit in reversed(range(digits)))


def show(name: str) -> Command:
    """Return the command that lists the table."""
    return Command("show", f"{_PFCTL} -t {_checked(name)} -T show")


def rules() -> Command:
    """Return the command that lists the filter's rules."""
    return Command("rules", f"{_PFCTL} -sr")


def info() -> Command:
    """Return the command that tells whether pf is switched on."""
    return Command("info", f"{_PFCTL} -s info")


def states() -> Command:
    """Return the command that lists the connections that pf knows."""
    return Command("states", f"{_PFCTL} -ss")


def kill(target: Target) -> tuple[Command, Command]:
    """Return the commands that end the connections from the target, and those to it."""
    host = canonical(target)
    anywhere = "0.0.0.0/0" if host.version == 4 else "::/0"  # noqa: PLR2004 (IP's version)
    return (
        Command("kill", f"{_PFCTL} -k {host}"),
        Command("kill", f"{_PFCTL} -k {anywhere} -k {host}"),
    )


def read_added(command: Command, reply: Reply, name: str) -> int:
    """Return how many addresses are new in the table; FirewallRefusedError where pf did not add."""
    if _line(_TABLE_CREATED, reply.stderr):
        raise no_rule(name)
    return _read_count(command, reply, name)


def read_present(command: Command, reply: Reply, new: int) -> set[Target]:
    """Return which of the addresses were in the table before; `new`: how many were not.

    With -v, pf marks each new one: `A  203.0.113.7` (pfctl_table.c, print_addrx). Where the marks
    don't agree with the count, nobody knows which: then the set is empty.
    """
    if new == command.size:
        return set()
    marked = {line[len(_NEW) :] for line in reply.stdout.splitlines() if line.startswith(_NEW)}
    sent = set(command.stdin.split())
    if len(marked) != new or not marked <= sent:
        return set()
    return {parse_target(text) for text in sent - marked}


def read_deleted(command: Command, reply: Reply, name: str) -> int:
    """Return how many addresses were taken out; TableAbsentError, or FirewallRefusedError."""
    return _read_count(command, reply, name)


def read_all_match(command: Command, reply: Reply, name: str) -> bool:
    """Return whether all addresses matched; TableAbsentError, or FirewallRefusedError."""
    if reply.exit_code == _NO_MATCH and _line(_COUNT, reply.stderr):
        return False
    return _read_count(command, reply, name) == command.size


def read_listing(command: Command, reply: Reply, name: str) -> Listing:
    """Return what the table holds; TableAbsentError, or FirewallRefusedError.

    Lines that are no entry are counted, those of details (`-v`, after a tab) are passed over.
    """
    _check(command, reply, name)
    entries: set[Target] = set()
    negated: set[Target] = set()
    unread = 0
    for line in reply.stdout.splitlines():
        found = _ENTRY.fullmatch(line)
        target = _read_target(found[2]) if found else None
        if found and target is not None:
            (negated if found[1] == "!" else entries).add(target)
        elif line.strip() and not line.startswith("\t"):
            unread += 1
    return Listing(frozenset(entries), frozenset(negated), unread)


def read_families(command: Command, reply: Reply, name: str, table: Table) -> frozenset[int]:
    """Return the IP versions for which a rule enforces the table: see `rule`."""
    _check(command, reply, name)
    return rule.families(reply.stdout, name, table)


def read_enabled(command: Command, reply: Reply) -> bool:
    """Return whether pf is switched on; FirewallRefusedError where it does not say."""
    _check(command, reply, "")
    found = _line(_STATUS, reply.stdout)
    if found is None:
        raise _refusal(command, reply, "")
    return found[1] == "Enabled"


def read_state_hosts(command: Command, reply: Reply) -> set[Address]:
    """Return every address that has a connection: `em0 tcp 192.0.2.1:80 <- 203.0.113.7:4711 …`."""
    _check(command, reply, "")
    spelled = set(_STATE_HOST.findall(reply.stdout))
    found = {_IPV4_PORT.sub("", host) if "." in host else host for host in spelled}
    addresses = map(_read_target, found)
    return {one for one in addresses if isinstance(one, IPv4Address | IPv6Address)}


def connected(targets: Iterable[Target], hosts: Collection[Address]) -> list[Target]:
    """Return those of the targets that have a connection: that are, or hold, one of the hosts."""
    return [target for target in map(canonical, targets) if _is_among(target, hosts)]


def answered(command: Command, reply: Reply) -> bool:
    """Return whether it was done: `test` and what is not there say no with codes of their own."""
    if command.label == "survey":
        return reply.exit_code == 0 or is_absent(reply)
    return reply.exit_code == 0 or (command.label == "test" and reply.exit_code == _NO_MATCH)


def is_absent(reply: Reply) -> bool:
    """Return whether a command failed because the file, or the program, is not there."""
    return reply.exit_code != 0 and _line(_NOT_THERE, reply.stderr) is not None


def read_killed(command: Command, reply: Reply) -> int:
    """Return how many states were killed; FirewallRefusedError where pf did not."""
    _check(command, reply, "")
    found = _line(_KILLED, reply.stderr)
    if found is None:
        raise _refusal(command, reply, "")
    return int(found[1])


def no_rule(name: str, families: Collection[int] = ()) -> FirewallRefusedError:
    """Return the error for a table that no rule refers to: its addresses are blocked nowhere.

    `families`: the IP versions for which there is one.
    """
    if families:
        return FirewallRefusedError(
            f"the rules that refer to the table {name} are for IPv{min(families)} alone, and its "
            "other addresses pass: set the rule's Address Family to IPv4+IPv6 (Firewall > Rules), "
            "then apply"
        )
    return FirewallRefusedError(
        f"no firewall rule refers to the table {name}: make an alias {name} of type Host(s) "
        "(Firewall > Aliases) and a rule for IPv4+IPv6 with that alias as its source (Firewall > "
        "Rules), then apply"
    )


def disabled() -> FirewallRefusedError:
    """Return the error for a pf that is switched off: all packets pass."""
    return FirewallRefusedError(
        "pf is switched off, so that nothing is blocked: clear Disable Firewall (System > "
        "Advanced > Firewall & NAT), or run `pfctl -e` in the firewall's shell"
    )


def full(left_out: int, asked: int) -> TableFullError:
    """Return the error for addresses that found no room; what fits is in the table."""
    return TableFullError(
        f"pf's tables are full, {left_out} of {asked} addresses did not fit: {_MORE_ENTRIES}"
    )


def _over_stdin(verb: str, name: str, targets: Collection[Target]) -> Iterator[Command]:
    # With -v, pf says which ones are new.
    verbose = "-v " if verb == "add" else ""
    text = f"{_PFCTL} -t {_checked(name)} {verbose}-T {verb} -f -"
    # In the caller's order: where the table becomes full, the first find room.
    words = list(dict.fromkeys(str(canonical(target)) for target in targets))
    for start in range(0, len(words), CHUNK):
        chunk = words[start : start + CHUNK]
        yield Command(verb, text, "\n".join(chunk) + "\n", len(chunk))


def _checked(name: str) -> str:
    """Return the table's name, which becomes a word of a shell command; ValueError where unfit."""
    if not _TABLE_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a pf table")
    return name


def _networks_around(target: Target, lengths: list[int]) -> Iterator[Network]:
    """Yield the networks of these prefix lengths that hold the target, longest first."""
    own = target if isinstance(target, IPv4Network | IPv6Network) else ip_network(target)
    yield from (own.supernet(new_prefix=size) for size in lengths if size < own.prefixlen)


def _is_among(target: Target, hosts: Collection[Address]) -> bool:
    if isinstance(target, IPv4Network | IPv6Network):
        return any(host in target for host in hosts)
    return target in hosts


def _read_target(text: str) -> Target | None:
    """Read an entry as pf means it: there, `::ffff:192.0.2.1` does not stand for IPv4."""
    try:
        return ip_network(text, strict=False) if "/" in text else ip_address(text)
    except ValueError:
        return None


def _line(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    """Return the first line that is all of the pattern: other lines, ALTQ's say, are noise."""
    matches = (pattern.fullmatch(line.rstrip()) for line in text.splitlines())
    return next((match for match in matches if match), None)


def _read_count(command: Command, reply: Reply, name: str) -> int:
    _check(command, reply, name)
    found = _line(_COUNT, reply.stderr)
    if found is None or int(found[2]) != command.size:
        raise _refusal(command, reply, name)
    return int(found[1])


def _check(command: Command, reply: Reply, name: str) -> None:
    if reply.exit_code != 0:
        raise _refusal(command, reply, name)


def _refusal(command: Command, reply: Reply, name: str) -> FirewallRefusedError:
    """Say what pf answered and what to do about it."""
    if _line(_TABLE_ABSENT, reply.stderr):
        return TableAbsentError(f"the table {name} does not exist on the firewall; {no_rule(name)}")
    if _line(_NO_MEMORY, reply.stderr):
        return full(command.size, command.size)
    for pattern, remedy in _REMEDIES.items():
        if found := _line(re.compile(pattern), reply.stderr):
            return FirewallRefusedError(f"`{command.text}` said {found[0]!r}: {remedy}")
    said = [line for line in reply.stderr.splitlines() if line and not _NOISE.fullmatch(line)]
    return FirewallRefusedError(
        f"`{command.text}` ended with code {reply.exit_code} and said {' '.join(said)[:300]!r}: "
        "try the same command in the firewall's shell"
    )
