"""Whose behaviour an event counts for: the one place where that is decided.

The one who opened the connection is the one who acts. An alert's `src_ip` is only the sender of
the packet that matched, and often that is the victim's answer. Outbound malware traffic is the
exception: there the peer outside is what is wrong, and the host at home its victim.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ai_suricata.core.event import Alert, Event
    from ai_suricata.features.home import HomeNetwork, Party

COUNTED = frozenset({"alert", "flow", "http", "dns", "tls", "ssh", "ftp", "pop3", "anomaly"})
"""Event types that tell of behaviour. Not `fileinfo`: its source is whoever sent the file."""

MALWARE = frozenset(
    {
        "A Network Trojan was detected",
        "Malware Command and Control Activity Detected",
        "Domain Observed Used for C2 Detected",
        "Exploit Kit Activity Detected",
        "Targeted Malicious Activity was Detected",
        "Successful Credential Theft Detected",
        "Possible Social Engineering Attempted",
        "Crypto Currency Mining Activity Detected",
    }
)
"""Classes of signatures (classification.config) whose outbound alerts speak of the peer outside."""

INFORMATION = frozenset(
    {
        "Not Suspicious Traffic",
        "Unknown Traffic",
        "Misc activity",
        "Generic Protocol Command Decode",
        "Potential Corporate Privacy Violation",
        "Potentially Bad Traffic",
        "Device Retrieving External IP Address Detected",
        "Possibly Unwanted Program Detected",
        "A suspicious filename was detected",
        "Inappropriate Content was Detected",
        "",
    }
)
"""Policy and information classes: a peer outside is never blamed for these."""

_DNS_PORTS = frozenset({53, 853, 5353})
_WELL_KNOWN = 1024
_MOST_RESOLVERS = 1024


class Attribution:
    """Decides the owner of each event; remembers which hosts answer DNS, in a bounded set."""

    def __init__(self, home: HomeNetwork) -> None:
        """`home`: who is protected."""
        self.home = home
        self._resolvers: OrderedDict[str, None] = OrderedDict()

    def parties(self, event: Event) -> tuple[Party, Party] | None:
        """Return (owner, other side), or None where the event counts for nobody."""
        if event.src_ip is None or event.dest_ip is None or event.event_type not in COUNTED:
            return None
        source, destination = self.home.party(event.src_ip), self.home.party(event.dest_ip)
        if source is None or destination is None:
            return None
        opener, peer = source, destination
        if not self._opened_by_source(event, source, destination):
            opener, peer = destination, source
        if event.event_type == "flow":
            # Nothing from the one who is said to have opened it: this is the answer to a packet
            # that was not seen, or backscatter of a forged one. Nobody here did anything.
            if event.flow is None or event.flow.pkts_toserver == 0:
                return None
        elif event.alert is not None:
            return self._blamed(event.alert, event, opener, peer)
        elif event.event_type == "dns":
            self._remember_resolver(peer.address)
        return opener, peer

    def export(self) -> list[str]:
        """Return the hosts that answer DNS, the latest last, for a snapshot."""
        return list(self._resolvers)

    def restore(self, resolvers: Iterable[str]) -> None:
        """Take over the hosts of a snapshot."""
        for address in resolvers:
            self._remember_resolver(address)

    def _blamed(
        self, alert: Alert, event: Event, opener: Party, peer: Party
    ) -> tuple[Party, Party]:
        """Who an alert speaks of: the opener, or the peer outside of outbound malware traffic."""
        if not opener.home or peer.home or alert.category in INFORMATION:
            return opener, peer
        attacker = alert.source.ip if alert.source is not None else None
        named = self.home.party(attacker) if attacker is not None else None
        peer_is_named = named is not None and named.address == peer.address
        if (peer_is_named or alert.category in MALWARE) and not self._is_resolver(event, peer):
            return peer, opener
        return opener, peer

    def _is_resolver(self, event: Event, peer: Party) -> bool:
        """Whether the peer only answers DNS: the name that was asked for is not its doing."""
        source = self.home.party(event.src_ip) if event.src_ip is not None else None
        asked = event.src_port if source == peer else event.dest_port
        return event.app_proto == "dns" or asked in _DNS_PORTS or peer.address in self._resolvers

    def _opened_by_source(self, event: Event, source: Party, destination: Party) -> bool:
        """Whether `src_ip` opened the connection, rather than answered in it."""
        flow = event.flow
        if flow is not None and flow.src_ip is not None:
            # Parties, since an address has more than one spelling; of a third one nothing follows.
            opener = self.home.party(flow.src_ip)
            if opener == source:
                return True
            if opener == destination:
                return False
        return _sent_by_opener(event)

    def _remember_resolver(self, address: str) -> None:
        self._resolvers[address] = None
        self._resolvers.move_to_end(address)
        if len(self._resolvers) > _MOST_RESOLVERS:
            self._resolvers.popitem(last=False)


def _sent_by_opener(event: Event) -> bool:
    """Whether the record or the packet tells of what the opener did, by all but addresses."""
    if event.event_type in {"flow", "http", "tls", "ssh", "ftp", "pop3"}:
        return True  # these records are written from the opener's side
    if event.direction is not None:
        return event.direction == "to_server"
    # Older alerts, anomalies and DNS answers only have the packet: a service answers from a
    # well-known port to one that is not.
    answers = event.src_port is not None and event.src_port < _WELL_KNOWN
    return not (answers and event.dest_port is not None and event.dest_port >= _WELL_KNOWN)
