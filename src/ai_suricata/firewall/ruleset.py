"""A table of nftables as `nft -j list table` tells it: our sets, and the rules that use them.

For each `Table` it has four sets: `block4` and `block6` for addresses, which are hashes,
`block4_net` and `block6_net` for networks, which are trees. In one tree for both, an address
inside a network would be an error.

Source: libnftables-json(5), nft(8), and what nft 1.0.6 prints.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_network,
    summarize_address_range,
)
from typing import TYPE_CHECKING, Any

import msgspec

from ai_suricata.core.decision import Table
from ai_suricata.core.errors import FirewallRefusedError, TableAbsentError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from ai_suricata.core.address import Address, Target

    Elements = Mapping[Target, "Element"]

FAMILY = "inet"
FILE = "nftables/ai-suricata.nft"
"""Makes the table, its sets and its rules; the operator loads it."""
COMMENT = "ai-suricata"
"""Of the elements that we put in: so they are told from those of others."""
_OF_NETWORKS = "_net"
_KINDS = ("4", "6", f"4{_OF_NETWORKS}", f"6{_OF_NETWORKS}")
_DROPS = frozenset({"drop", "reject"})
_JUMPS = ("jump", "goto")
_AWAKE = frozenset({"owner", "persist"})
"""Flags of a table that is at work. nft 1.0.6 prints the others, `dormant`, as any other word."""


class Element(msgspec.Struct, frozen=True, gc=False):
    """What is known of an element of a set."""

    left: float = math.inf
    """Seconds until it ends by itself."""
    ours: bool = False
    """Whether it carries our comment."""
    whole: bool = True
    """False for a part of a range that is no network: it can't be taken out by itself."""


@dataclass(frozen=True, slots=True)
class Ruleset:
    """The table as it is now."""

    name: str
    sets: Mapping[str, Elements] = field(default_factory=dict)
    """Those of ours that are there, by name."""
    referred: frozenset[str] = frozenset()
    """Sets in which a rule that packets reach looks up their source."""
    dropping: frozenset[str] = frozenset()
    """Those of them whose rule drops the packet, or hands it to a chain that does."""
    dormant: bool = False
    """Whether the whole table is switched off."""

    def elements(self, table: Table) -> dict[str, Elements]:
        """Return those of the table's sets that are there; TableAbsentError where none is."""
        names = set_names(table)
        found = {name: self.sets[name] for name in names if name in self.sets}
        if not found:
            raise absent(self.name, names[0] if self.sets else "")
        return found

    def enforced(self, table: Table, needed: Collection[str]) -> set[Target]:
        """Return the elements on which the rules act as the table is meant.

        FirewallRefusedError where they act on none of the sets that are `needed`.
        """
        sets = self.elements(table)
        idle = self.idle(table, needed)
        if self.dormant or idle == set(needed):
            raise no_rule(self, idle)
        return {target for name in self._acting(table) & sets.keys() for target in sets[name]}

    def idle(self, table: Table, needed: Collection[str]) -> set[str]:
        """Return those of the sets that are `needed` on which no rule acts."""
        return set(needed) - self._acting(table)

    def _acting(self, table: Table) -> frozenset[str]:
        return self.dropping if table is Table.BLOCK else self.referred


def set_names(table: Table) -> list[str]:
    """Return the names of the table's sets."""
    return [f"{table.value}{kind}" for kind in _KINDS]


def set_of(table: Table, target: Target) -> str:
    """Return the name of the set for the target, which is in canonical form."""
    kind = _OF_NETWORKS if isinstance(target, IPv4Network | IPv6Network) else ""
    return f"{table.value}{target.version}{kind}"


def is_of_networks(part: str) -> bool:
    """Whether the set of this name is one for networks."""
    return part.endswith(_OF_NETWORKS)


def no_rule(ruleset: Ruleset, idle: Collection[str]) -> FirewallRefusedError:
    """Return the error for a table that is switched off, or that has no rule for some sets."""
    sources = ", ".join(f"`saddr @{name}`" for name in sorted(idle))
    what = "is dormant" if ruleset.dormant else f"has no rule that acts on {sources}"
    return FirewallRefusedError(
        f"the table {FAMILY} {ruleset.name} {what}, so that nobody is stopped by it: run "
        f"`nft -f {FILE}`, which makes the rules anew and keeps the elements"
    )


def absent(name: str, part: str = "") -> TableAbsentError:
    """Return the error for a table, or a set of it, that is not there."""
    what = f"table {FAMILY} {name}"
    return TableAbsentError(
        f"{f'the set {part} of the {what}' if part else f'the {what}'} does not exist: run "
        f"`nft -f {FILE}`, and include that file in /etc/nftables.conf, so that it is loaded "
        "again after a boot and after `flush ruleset`"
    )


def read(text: str, name: str) -> Ruleset:
    """Read what `nft -j list table` printed; ValueError where it can't be read."""
    listed = msgspec.json.decode(text, type=_Listing).nftables
    tables = [item.table for item in listed if item.table is not None]
    if name not in {table.name for table in tables}:
        raise ValueError("the table is not in it")
    ours = {each for table in Table for each in set_names(table)}
    sets = [item.named_set for item in listed if item.named_set is not None]
    rules = _reached(
        [item.rule for item in listed if item.rule is not None],
        {item.chain.name for item in listed if item.chain is not None and item.chain.hook},
    )
    drops = {rule.chain for rule in rules if _drops(rule)}
    acting = [rule for rule in rules if _drops(rule) or drops.intersection(_targets(rule))]
    return Ruleset(
        name,
        {each.name: _elements(each.elem) for each in sets if each.name in ours},
        referred=frozenset(part for rule in rules for part in _sources(rule)),
        dropping=frozenset(part for rule in acting for part in _sources(rule)),
        dormant=not all(table.is_awake() for table in tables),
    )


# -- what nft prints ------------------------------------------------------------------------------


class _Prefix(msgspec.Struct):
    addr: str
    len: int


class _Boxed(msgspec.Struct):
    """An element that is more than an address."""

    elem: _Timed | None = None
    prefix: _Prefix | None = None
    range: tuple[str, str] | None = None


class _Timed(msgspec.Struct):
    val: str | _Boxed
    timeout: float | None = None
    expires: float | None = None
    comment: str = ""


class _TableItem(msgspec.Struct):
    name: str
    flags: str | list[str] = []

    def is_awake(self) -> bool:
        flags = [self.flags] if isinstance(self.flags, str) else self.flags
        return _AWAKE.issuperset(flags)


class _SetItem(msgspec.Struct):
    name: str
    elem: msgspec.Raw = msgspec.Raw(b"[]")
    """Read for our own sets alone: those of the operator hold what they like."""


class _ChainItem(msgspec.Struct):
    name: str
    hook: str = ""


class _Rule(msgspec.Struct):
    chain: str
    expr: list[dict[str, Any]] = []


class _Item(msgspec.Struct):
    table: _TableItem | None = None
    chain: _ChainItem | None = None
    rule: _Rule | None = None
    named_set: _SetItem | None = msgspec.field(default=None, name="set")


class _Listing(msgspec.Struct):
    nftables: list[_Item]


# -- elements -------------------------------------------------------------------------------------


def _elements(raw: msgspec.Raw) -> dict[Target, Element]:
    found: dict[Target, Element] = {}
    for each in msgspec.json.decode(raw, type=list[str | _Boxed]):
        timed = each.elem if isinstance(each, _Boxed) else None
        targets = _read_targets(each if timed is None else timed.val)
        element = Element(_left(timed), _is_ours(timed), whole=len(targets) == 1)
        found.update(dict.fromkeys(targets, element))
    return found


def _left(timed: _Timed | None) -> float:
    if timed is None or timed.timeout is None:
        return math.inf
    return timed.timeout if timed.expires is None else timed.expires


def _is_ours(timed: _Timed | None) -> bool:
    return timed is not None and timed.comment == COMMENT


def _read_targets(value: str | _Boxed) -> list[Target]:
    """Return what the element matches: of a range, the networks that it consists of."""
    if isinstance(value, str):
        return [_address(value)]
    if value.prefix is not None:
        return [ip_network((value.prefix.addr, value.prefix.len))]
    if value.range is not None:
        return list(_pieces(*map(_address, value.range)))
    raise ValueError("an element is neither address, network nor range")


def _address(text: str) -> Address:
    """Read an address: of 50,000, twice as fast as by `ip_address`, which tries both kinds."""
    return IPv6Address(text) if ":" in text else IPv4Address(text)


def _pieces(first: Address, last: Address) -> Iterator[Target]:
    if first.version != last.version:
        raise ValueError("a range has ends of both IP versions")
    for each in summarize_address_range(first, last):
        yield each.network_address if each.num_addresses == 1 else each


# -- rules ----------------------------------------------------------------------------------------


def _reached(rules: Iterable[_Rule], hooked: Collection[str]) -> list[_Rule]:
    """Return the rules that packets come to: in a chain at a hook, or called from one."""
    of_chain: dict[str, list[_Rule]] = {}
    for rule in rules:
        of_chain.setdefault(rule.chain, []).append(rule)
    reached = dict.fromkeys(hooked)
    waiting = list(reached)
    while waiting:
        called = {name for rule in of_chain.get(waiting.pop(), ()) for name in _targets(rule)}
        waiting += called - reached.keys()
        reached.update(dict.fromkeys(called))
    return [rule for name in reached for rule in of_chain.get(name, ())]


def _targets(rule: _Rule) -> set[str]:
    """Return the chains that the rule calls."""
    calls = [part[word] for part in rule.expr for word in _JUMPS if word in part]
    return {str(call.get("target")) for call in calls if isinstance(call, dict)}


def _drops(rule: _Rule) -> bool:
    return any(_DROPS & part.keys() for part in rule.expr)


def _sources(rule: _Rule) -> Iterator[str]:
    """Yield the names of the sets in which the rule looks up the packet's source."""
    for part in rule.expr:
        match = part.get("match")
        if not isinstance(match, dict) or match.get("op") not in {"==", "in"}:
            continue
        left, right = match.get("left"), match.get("right")
        payload = left.get("payload") if isinstance(left, dict) else None
        is_source = isinstance(payload, dict) and payload.get("field") == "saddr"
        if is_source and isinstance(right, str) and right.startswith("@"):
            yield right.removeprefix("@")
