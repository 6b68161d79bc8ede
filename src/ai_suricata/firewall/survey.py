"""What a pfSense host lives by, read from the answers of its own commands: text in, networks out.

Its addresses, gateways and DNS servers, who is logged in, and the networks behind it. A network
is taken whole only where no way to the Internet leads through it: on the side of a provider the
neighbours are strangers, and there the addresses of the firewall alone count.

Source: FreeBSD's ifconfig(8), netstat(1), who(1), resolver(5), pf.conf(5), sshd(8), and pfSense's
unbound.inc, which writes unbound.conf and domainoverrides.conf.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import TYPE_CHECKING

from ai_suricata.core.address import Address, Network, parse_address, parse_network
from ai_suricata.core.errors import FirewallRefusedError
from ai_suricata.firewall import ifconfig, pfctl
from ai_suricata.firewall.pfctl import Command

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ai_suricata.firewall.ifconfig import Held, Interfaces
    from ai_suricata.firewall.pfctl import Reply

INTERFACES = Command("survey", "/sbin/ifconfig -a")
ROUTES = Command("survey", "/usr/bin/netstat -rnW")
RESOLVER = Command("survey", "/bin/cat /etc/resolv.conf")
FORWARDERS = Command("survey", "/bin/cat /var/unbound/unbound.conf")
OVERRIDES = Command("survey", "/bin/cat /var/unbound/domainoverrides.conf")
SESSION = Command("survey", "/usr/bin/printenv SSH_CONNECTION")
LOGINS = Command("survey", "/usr/bin/who")
RULES = pfctl.rules()
"""Each gateway of a second line is named here (`route-to`), and nowhere else."""

COMMANDS = (INTERFACES, ROUTES, RULES, RESOLVER, FORWARDERS, OVERRIDES, SESSION, LOGINS)
_MAY_BE_ABSENT = frozenset({FORWARDERS, OVERRIDES, SESSION, LOGINS})

SHORTEST = {4: 8, 6: 32}
"""By IP version: the shortest prefix of a network that is taken for somebody's own."""

_ROUTE = re.compile(r"(default|[0-9A-Fa-f:.]+(?:%\S+)?(?:/\d+)?) +(\S+) +[A-Za-z0-9]+ .*")
_ONWARD = re.compile(r"\b(?:route|reply)-to\b")
_HOP = re.compile(r"\(([A-Za-z][A-Za-z0-9_.-]*) ([0-9A-Fa-f:.]+(?:%\w+)?)\)")
_FORWARD = re.compile(r"\s*(?:forward|stub)-addr:\s*\"?([^\s@#\"]+)")
_LOGIN = re.compile(r".*\((\S+)\)\s*")


@dataclass
class Found:
    """What a survey has found so far."""

    kinds: dict[str, set[Network]] = field(default_factory=dict)
    """Networks by what they are to the firewall."""
    wide: list[str] = field(default_factory=list)
    """Networks too wide to be anybody's own; only the address in each counts."""
    unread: int = 0
    """Words or lines that can't be read."""

    def add(self, kind: str, *addresses: Address | None) -> None:
        """Take in addresses."""
        held = self.kinds.setdefault(kind, set())
        held.update(ip_network(address) for address in addresses if address is not None)

    def add_text(self, kind: str, words: Iterable[str]) -> None:
        """Take in addresses by their text; what is none is counted."""
        for word in words:
            address = _address(word)
            self.unread += address is None
            self.add(kind, address)

    def ordered(self) -> dict[str, tuple[Network, ...]]:
        """Return the networks by kind, in the same order each time."""
        return {
            kind: tuple(sorted(networks, key=lambda one: (one.version, one)))
            for kind, networks in self.kinds.items()
            if networks
        }


@dataclass
class Ways:
    """Where packets leave to the Internet."""

    gateways: set[Address] = field(default_factory=set)
    interfaces: set[str] = field(default_factory=set)
    """Those through which a way to everywhere leads."""
    onward: set[Address] = field(default_factory=set)
    """The gateways of these ways."""
    routes: int = 0


def read(replies: Sequence[Reply]) -> Found:
    """Return what the answers to `COMMANDS` say; FirewallRefusedError where one was not given."""
    said = {
        command.text: _text(command, reply)
        for command, reply in zip(COMMANDS, replies, strict=True)
    }
    interfaces = ifconfig.read(said[INTERFACES.text])
    if not any(interface.held for interface in interfaces.found):
        raise _refused(INTERFACES, "it names no address")
    ways = _ways(said[ROUTES.text], {interface.name for interface in interfaces.found})
    if not ways.routes:
        raise _refused(ROUTES, "it names no route")
    _through_rules(said[RULES.text], ways)
    found = Found(unread=interfaces.unread)
    _take_interfaces(interfaces, ways, found)
    found.add("gateway", *ways.gateways)
    _take_services(said, found)
    return found


def _text(command: Command, reply: Reply) -> str:
    """Return what a command said, nothing where it speaks of what need not be there."""
    if reply.exit_code == 0:
        return reply.stdout
    silent = not reply.stdout.strip() and not reply.stderr.strip()
    if command in _MAY_BE_ABSENT and (pfctl.is_absent(reply) or silent):
        return ""
    said = " ".join(reply.stderr.split())[:200]
    raise _refused(command, f"it ended with code {reply.exit_code} and said {said!r}")


def _refused(command: Command, reason: str) -> FirewallRefusedError:
    allowed = ", ".join(f"`{one.text}`" for one in COMMANDS)
    return FirewallRefusedError(
        f"the firewall does not tell what it lives by (`{command.text}`: {reason}): allow this "
        f"user {allowed}, or set PFSENSE_LEARN=false and name in NEVER_BLOCK what must not be cut "
        "off"
    )


def _ways(text: str, names: set[str]) -> Ways:
    """Read `netstat -rn`: a route's interface is the word of its line that names one."""
    ways = Ways()
    for line in text.splitlines():
        route = _ROUTE.fullmatch(line)
        if route is None:
            continue
        ways.routes += 1
        gateway = _address(route[2])  # none where it is `link#3`, an interface or a MAC address
        if gateway is not None and gateway.is_loopback:
            continue  # FreeBSD's own: what it must not send
        hops = {gateway} if gateway is not None else set()
        ways.gateways |= hops
        if _is_everywhere(route[1]):
            ways.interfaces |= names.intersection(line.split())
            ways.onward |= hops
    return ways


def _is_everywhere(destination: str) -> bool:
    """Whether a route leads to much of the Internet: VPNs halve the default route, for one."""
    if destination == "default":
        return True
    try:
        network = parse_network(destination)
    except ValueError:
        return False
    return _is_wide(network) and not network.is_multicast


def _is_wide(network: Network) -> bool:
    return network.prefixlen < SHORTEST[network.version]


def _through_rules(text: str, ways: Ways) -> None:
    """Read the gateways that rules send through: `pass out route-to (em2 198.51.100.1) …`."""
    for line in text.splitlines():
        for interface, hop in _HOP.findall(line) if _ONWARD.search(line) else ():
            address = _address(hop)
            if address is not None:
                ways.interfaces.add(interface)
                ways.gateways.add(address)
                ways.onward.add(address)


def _take_interfaces(interfaces: Interfaces, ways: Ways, found: Found) -> None:
    for interface in interfaces.found:
        # With no way out at all, which side is the provider's can't be told.
        is_inside = bool(ways.interfaces) and interface.name not in ways.interfaces
        for held in interface.held:
            found.add("interface", held.address)
            found.add("broadcast address", held.broadcast)
            found.add("gateway", held.peer)
            if is_inside:
                _take_network(held, ways, found)


def _take_network(held: Held, ways: Ways, found: Found) -> None:
    """Take the whole network of an inner interface, unless a way out leads through it."""
    network = held.network
    if network is None or network.prefixlen == network.max_prefixlen:
        return
    if _is_wide(network):
        found.wide.append(str(network))
    elif not any(gateway in network for gateway in ways.onward):
        found.kinds.setdefault("network", set()).add(network)


def _take_services(said: Mapping[str, str], found: Found) -> None:
    servers = (line.split() for line in said[RESOLVER.text].splitlines())
    named = [words[1] for words in servers if words[:1] == ["nameserver"] and words[1:]]
    configured = f"{said[FORWARDERS.text]}\n{said[OVERRIDES.text]}".splitlines()
    forwarders = [match[1] for line in configured if (match := _FORWARD.match(line))]
    found.add_text("DNS server", dict.fromkeys([*named, *forwarders]))
    ends = said[SESSION.text].split()  # our address and port, the firewall's address and port
    found.add_text("SSH session", [*ends[:1], *ends[2:3]])
    logins = (_LOGIN.fullmatch(line) for line in said[LOGINS.text].splitlines())
    # At the console, or by a name: neither is an address that could be blocked.
    found.add("SSH login", *(_address(login[1]) for login in logins if login))


def _address(text: str) -> Address | None:
    try:
        return parse_address(text)
    except ValueError:
        return None
