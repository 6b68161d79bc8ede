"""Network namespaces joined by veth pairs through one router, with no way out to the host.

A cable is made inside the router's namespace with its far end inside the peer's, so that the
host's own namespace never sees an interface. See ip-netns(8), ip-link(8), ip-route(8).
"""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from lab.process import LabError, run, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

ROUTER_LINK = "home0"
"""The router's interface towards the protected network, where Suricata listens."""
UPLINK = "up0"
"""What everybody else calls the interface towards the router."""
ROUTER_MAC = "02:00:00:00:00:01"
"""Of each of the router's interfaces: some tools must be told."""
_COMMON = {
    "net.ipv4.conf.all.rp_filter": 0,
    "net.ipv4.conf.default.rp_filter": 0,
    "net.ipv6.conf.all.accept_dad": 0,
    "net.ipv6.conf.default.accept_dad": 0,
    "net.ipv6.conf.default.accept_ra": 0,
}
_ROUTER = {
    "net.ipv4.ip_forward": 1,
    "net.ipv6.conf.all.forwarding": 1,
    "net.ipv4.conf.all.send_redirects": 0,
    "net.ipv4.conf.default.send_redirects": 0,
}
_HOST = {
    "net.ipv6.ip_nonlocal_bind": 1,  # IPv6 binds only to interface addresses otherwise
    "net.ipv4.tcp_synack_retries": 1,  # a flood's answers are not repeated for a minute
    "net.ipv4.tcp_syncookies": 1,
}


class Network:
    """The namespaces of one run: a router, and whatever is attached to it."""

    def __init__(self, prefix: str) -> None:
        """`prefix`: what every namespace's name begins with; no other lab may use it."""
        self._prefix = prefix
        self._peers = 0
        self.namespaces: list[str] = []
        self.router = f"{prefix}-router"

    def make_router(self) -> None:
        """Make the router's namespace: everything else is attached to it."""
        self._create("router", {**_COMMON, **_ROUTER})

    def attach_home(self, addresses: Iterable[str]) -> str:
        """Attach the protected network, its hosts sharing one namespace; return the namespace."""
        name = self._create("home", {**_COMMON, **_HOST})
        self._cable(name, ROUTER_LINK)
        _ip(self.router, [f"addr add 192.0.2.1/24 dev {ROUTER_LINK}"])
        _ip(name, [_address(address) for address in addresses])
        _ip(name, [f"route add default via 192.0.2.1 dev {UPLINK}"])
        _ip(self.router, [f"route add 2001:db8:1::/64 dev {ROUTER_LINK}"])
        return name

    def expose(self, home: str, addresses: Iterable[str]) -> None:
        """Let what is sent to home addresses that nobody has reach the cable, and get no answer.

        Without it the router would say so itself, after asking in vain who has the address, and
        Suricata would see nothing of a sweep but its hits.
        """
        device = run(inside(home, "cat", f"/sys/class/net/{UPLINK}/address")).strip()
        _ip(
            self.router,
            [
                f"neigh replace {a} lladdr {device} dev {ROUTER_LINK} nud permanent"
                for a in addresses
            ],
        )

    def attach_strangers(self, name: str, prefixes: Sequence[str]) -> str:
        """Attach a namespace that owns every address of `prefixes`; return the namespace.

        Whole prefixes are made local ("AnyIP", a route of type local, see ip-route(8)): any
        address of them can be bound without being configured one by one. A /32 becomes the
        source of what is sent without binding, and so does a /128.
        """
        namespace = self._create(name, {**_COMMON, **_HOST})
        self._peers += 1
        link, near, far = f"net{self._peers}", *_link_addresses(self._peers)
        self._cable(namespace, link)
        _ip(self.router, [f"addr add {near}/30 dev {link}"])
        _ip(namespace, [f"addr add {far}/30 dev {UPLINK}"])
        _ip(namespace, [_own(prefix) for prefix in prefixes if not prefix.endswith("/128")])
        single = [prefix for prefix in prefixes if prefix.endswith("/128")]
        _ip(namespace, [f"addr add {prefix} dev {UPLINK} nodad" for prefix in single])
        source = next((p.removesuffix("/32") for p in prefixes if p.endswith("/32")), far)
        _ip(namespace, [f"route add default via {near} dev {UPLINK} src {source}"])
        _ip(self.router, [_route(prefix, far, link) for prefix in prefixes])
        return namespace

    def swallow(self, prefix: str) -> None:
        """Let the router drop what is sent to `prefix` without a word."""
        _ip(self.router, [f"route add blackhole {prefix}"])

    def close(self) -> None:
        """End every process in the namespaces, then delete them; raises LabError at the end."""
        errors = []
        for name in _existing(self.namespaces):
            try:
                _evict(name)
                run(["ip", "netns", "del", name])
            except LabError as error:  # the others are deleted all the same
                errors.append(str(error))
        if errors:
            raise LabError("; ".join(errors))

    def _create(self, name: str, settings: dict[str, int]) -> str:
        namespace = f"{self._prefix}-{name}"
        self.namespaces.append(namespace)  # first: an interrupt may come while it is made
        run(["ip", "netns", "add", namespace])
        _ip(namespace, ["link set lo up"])
        pairs = [f"{key}={value}" for key, value in settings.items()]
        run(inside(namespace, "sysctl", "-qw", *pairs))
        return namespace

    def _cable(self, peer: str, link: str) -> None:
        """Join `peer` to the router; both ends have link-local IPv6 addresses, fe80::1 and ::2.

        One segment at a time: a packet joined by offloading is longer than what Suricata captures.
        """
        _ip(
            self.router,
            [f"link add {link} address {ROUTER_MAC} type veth peer name {UPLINK} netns {peer}"],
        )
        for namespace, device, host in ((self.router, link, 1), (peer, UPLINK, 2)):
            _ip(namespace, [f"link set {device} gso_max_segs 1", f"link set {device} up"])
            _ip(namespace, [f"addr add fe80::{host}/64 dev {device} nodad"])
        _ip(peer, [f"route add default via fe80::1 dev {UPLINK}"])


@contextmanager
def network(prefix: str) -> Iterator[Network]:
    """Make a network; delete all of it on leaving, whatever happened."""
    made = Network(prefix)
    try:
        made.make_router()
        yield made
    finally:
        made.close()


def inside(namespace: str, *words: str) -> list[str]:
    """Return the command that runs `words` inside a namespace (it becomes that very process)."""
    return ["ip", "netns", "exec", namespace, *words]


def _ip(namespace: str, commands: Sequence[str]) -> None:
    text = "".join(f"{command}\n" for command in commands)
    run(["ip", "-n", namespace, "-batch", "-"], text=text)


def _link_addresses(peer: int) -> tuple[str, str]:
    """Addresses of the two ends of a stranger's cable: link-local, so that no packet shows them."""
    return f"169.254.{peer}.1", f"169.254.{peer}.2"


def _address(address: str) -> str:
    if ":" in address:
        return f"addr add {address}/64 dev {UPLINK} nodad"
    return f"addr add {address}/24 dev {UPLINK}"


def _own(prefix: str) -> str:
    return f"route add local {prefix} dev lo"


def _route(prefix: str, far: str, link: str) -> str:
    gateway = "fe80::2" if ":" in prefix else far
    return f"route add {prefix} via {gateway} dev {link}"


def _existing(namespaces: Sequence[str]) -> list[str]:
    there = {line.split()[0] for line in run(["ip", "netns", "list"]).splitlines()}
    return [name for name in reversed(namespaces) if name in there]


def _evict(namespace: str) -> None:
    """Kill what still runs in a namespace of ours: a daemon's session that left its group."""
    for pid in _pids(namespace):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not _pids(namespace), limit=5, what=f"the processes of {namespace} to end")


def _pids(namespace: str) -> list[int]:
    return [int(word) for word in run(["ip", "netns", "pids", namespace]).split()]
