"""The network in place of many neighbours: who has a whole /64 changes the address at will.

A network holds people who have done nothing, so it is blocked only where many of its addresses
were blocked one by one, and nobody in it is known to be innocent.

A rate limit never counts. It is what forged packets can bring about (see the spoof guard), and
sixteen forged addresses would cut off their whole network; a block rests on what no forged packet
could have made, unless the operator has turned the guard off.
"""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from ai_suricata.core.address import parse_address, parse_network
from ai_suricata.core.decision import LIVE, Decision, LedgerState, Table
from ai_suricata.respond.escalation import duration_of, is_lifted_by_hand, next_step
from ai_suricata.respond.policy import BlankHistory, is_live

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ai_suricata.config.respond import RespondSettings
    from ai_suricata.core.address import Address, Network
    from ai_suricata.core.decision import LedgerEntry
    from ai_suricata.respond.never_block import NeverBlock
    from ai_suricata.respond.policy import History

    Bystander: TypeAlias = Callable[[Network], str | None]
    """Names the address of somebody innocent in a network, or None."""

MOST_ADDRESSES = 131_072
"""Addresses that are counted at a time; a greater PROMOTE_IPV6 is never reached."""
MOST_MEMBERS = 256
"""Members that one decision lists: as many as a /24 has. Of more, those blocked last."""
_MOST_NAMED = 4
_COUNTED = LIVE | {LedgerState.WATCHED}
_IPV4_BITS, _IPV6_BITS = 8, 64
"""Bits of the host: /24 and /64."""
_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


class Neighbours:
    """What the ledger knows of the addresses of a network: who offends, and who is let go."""

    def __init__(self, most: int = MOST_ADDRESSES) -> None:
        """`most`: addresses of each kind that are known at a time."""
        self._offenders = _Index(most)
        self._pardoned = _Index(most)

    def recall(self, entries: Iterable[LedgerEntry]) -> None:
        """Begin anew with what the ledger holds."""
        self._offenders.clear()
        self._pardoned.clear()
        self.changed(sorted(entries, key=lambda entry: entry.decision.decided_at))

    def changed(self, entries: Iterable[LedgerEntry]) -> None:
        """Take note of entries of the ledger that are new, or have another state."""
        for entry in entries:
            if entry.decision.table is not Table.BLOCK or "/" in entry.target:
                continue
            pardoned = is_lifted_by_hand(entry)
            offends = entry.state in _COUNTED and not pardoned
            self._offenders.put(entry, holds=offends)
            self._pardoned.put(entry, holds=pardoned)

    def offenders(self, network: Network) -> Mapping[str, float]:
        """Return who is blocked or watched in a /24 or /64, and when that was decided.

        Wall-clock seconds, by canonical address.
        """
        return self._offenders.of(network)

    def pardoned(self, network: Network) -> Mapping[str, float]:
        """Return whom an operator has lifted by hand in a /24 or /64, as `offenders`."""
        return self._pardoned.of(network)


class _Index:
    """Addresses by their network, at a bounded number; who was put longest ago goes first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._network_of: OrderedDict[str, Network] = OrderedDict()
        self._held: dict[Network, dict[str, float]] = {}

    def clear(self) -> None:
        self._network_of.clear()
        self._held.clear()

    def of(self, network: Network) -> Mapping[str, float]:
        return self._held.get(network, {})

    def put(self, entry: LedgerEntry, *, holds: bool) -> None:
        """Take in the address of an entry, or leave it out."""
        self._drop(entry.target)
        if not holds:
            return
        if len(self._network_of) >= self._most:
            self._drop(next(iter(self._network_of)))
        network = neighbourhood(parse_address(entry.target))
        self._network_of[entry.target] = network
        self._held.setdefault(network, {})[entry.target] = entry.decision.decided_at

    def _drop(self, text: str) -> None:
        network = self._network_of.pop(text, None)
        if network is None:
            return
        held = self._held[network]
        del held[text]
        if not held:
            del self._held[network]


def neighbourhood(address: Address) -> Network:
    """Return the /24 or /64 of an address."""
    if address.version == 4:  # noqa: PLR2004 - IPv4
        return IPv4Network((int(address) >> _IPV4_BITS << _IPV4_BITS, 32 - _IPV4_BITS))
    return IPv6Network((int(address) >> _IPV6_BITS << _IPV6_BITS, 128 - _IPV6_BITS))


def promote(  # noqa: PLR0913, PLR0917 - a pure function: all that the answer hangs on is passed
    decision: Decision,
    neighbours: Neighbours,
    history: History,
    never_block: NeverBlock,
    bystander: Bystander,
    settings: RespondSettings,
    now: float,
) -> Decision | None:
    """Return the decision to block the network of an address that is blocked, or None.

    None where too few of its addresses offend, where it is blocked already, where it touches
    never-block, where `bystander` names somebody in it, or where the operator has lifted it, or an
    address in it, by hand: as long as that is remembered, somebody there is known to be innocent.
    What an operator blocks by hand counts, but is no occasion: one address was meant. `now`:
    wall-clock seconds.

    An IPv6 network that stands for much of IPv4 is never blocked: the /64 of NAT64 and of mapped
    addresses and that of a Teredo server touch never-block, as each stands for RFC 1918 too. A /64
    of 6to4 is part of one IPv4 host's site, and as good as any other /64.
    """
    if decision.table is not Table.BLOCK or decision.by_hand or "/" in decision.target:
        return None
    network = neighbourhood(parse_address(decision.target))
    members = {**neighbours.offenders(network), decision.target: decision.decided_at}
    if not 0 < _threshold(network, settings) <= len(members):
        return None
    previous = history.latest(str(network), Table.BLOCK)
    wider = history.covering(str(network), Table.BLOCK)
    if is_live(previous, now) or is_live(wider, now):
        return None
    pardoned = is_lifted_by_hand(previous) or neighbours.pardoned(network)
    if pardoned or never_block.reason(network) is not None or bystander(network) is not None:
        return None
    step = next_step(previous, now)
    return msgspec.structs.replace(
        _widened(decision, network, members),
        duration=duration_of(step, settings.block_duration),
        step=step,
        decided_at=now,
    )


def demoted(entry: LedgerEntry, lifted: str = "", history: History | None = None) -> list[Decision]:
    """Return what to block instead of a network that is lifted: its members, one by one.

    `lifted`: the address or network on account of which it is; with "" nobody is left out but
    those whom the operator has lifted by hand, as far as `history` knows. Each member goes on
    being blocked until the network would have been released, and no longer: while the network was
    blocked, nothing was decided on its addresses, so that their own earlier times say little.
    Who is never blocked, or is blocked until later by itself, is for the caller to leave out.
    """
    known = history or BlankHistory()
    exempt = parse_network(lifted) if lifted else None
    why = f"{entry.target} was lifted" + (f" because of {lifted}" if lifted else "")
    decisions = []
    for member in entry.decision.members:
        latest = known.latest(member, Table.BLOCK)
        if (exempt is not None and parse_address(member) in exempt) or is_lifted_by_hand(latest):
            continue
        step = latest.decision.step if latest is not None else 0
        decisions.append(_alone(entry.decision, member, step, why))
    return decisions


def _threshold(network: Network, settings: RespondSettings) -> int:
    return settings.promote_ipv4 if isinstance(network, IPv4Network) else settings.promote_ipv6


def _widened(decision: Decision, network: Network, members: Mapping[str, float]) -> Decision:
    """Return the decision as one on the network, with what speaks against it."""
    latest = sorted(members, key=lambda text: members[text])[-MOST_MEMBERS:]
    named = tuple(sorted(latest, key=ip_address))
    span = _in_words(max(members.values()) - min(members.values()))
    reason = f"{len(members)} addresses of {network} were blocked within {span}: {_list(named)}"
    return msgspec.structs.replace(
        decision, target=str(network), reasons=(reason, *decision.reasons), members=named
    )


def _alone(network: Decision, member: str, step: int, why: str) -> Decision:
    """Return the decision on one member. It has the network's time, and so ends when that would."""
    return msgspec.structs.replace(
        network,
        target=member,
        step=step,
        reasons=(why, *network.reasons),
        members=(),
        instead_of=network.target,
    )


def _list(texts: tuple[str, ...]) -> str:
    """Name a few, and how many more are among the members."""
    more = len(texts) - _MOST_NAMED
    named = ", ".join(texts[:_MOST_NAMED])
    return f"{named} and {more} more" if more > 0 else named


def _in_words(seconds: float) -> str:
    """Return a span as people tell it, rounded up: `3 hours`."""
    for size, name in _UNITS:
        if seconds >= size:
            count = -int(-seconds // size)
            return f"{count} {name}{'s' if count != 1 else ''}"
    return "1 second"
