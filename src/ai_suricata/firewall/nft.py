"""What is said to nft, and what its answers mean: JSON in, JSON out, nothing is sent here.

A transaction is carried out whole or not at all. Only elements are put in and taken out: table,
sets and rules are the operator's. What the table holds is read in `ruleset`.

Source: libnftables-json(5), nft(8), and what nft 1.0.6 says.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import msgspec

from ai_suricata.core.errors import FirewallRefusedError
from ai_suricata.firewall import ruleset
from ai_suricata.firewall.ruleset import COMMENT, FAMILY, FILE, Ruleset, is_of_networks

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from ai_suricata.core.address import Target
    from ai_suricata.firewall.pfctl import Reply
    from ai_suricata.firewall.ruleset import Element, Elements

TargetT = TypeVar("TargetT", bound="Target")
CHUNK = 4096
"""Most addresses in one transaction: a third of a megabyte of JSON."""
NETWORKS = 128
"""Most networks in one: taking one out costs nft 1.0.6 a walk over all that there are, some 2 ms
of processor time where they are 4,000."""
_LONGEST = 10 * 365 * 86_400  # seconds; what is meant for ever has to fit the kernel's clock, too
_SLACK = 10.0
"""Seconds that an element of ours may have too many: what is asked for again is not sent again."""
_ABSENT = re.compile(r"Error: (?:Could not process rule: )?No such file or directory")

_REMEDIES = {
    r"Operation not permitted": (
        "it takes the right to change the network: give the daemon's unit "
        "AmbientCapabilities=CAP_NET_ADMIN and CapabilityBoundingSet=CAP_NET_ADMIN "
        "(systemctl edit ai-suricata)"
    ),
    r"Too many open files in system": (
        f"the set is full, and nothing of this batch was added: give it a larger `size` in {FILE}, "
        "then delete the table and load the file"
    ),
    r"interval overlaps with an existing one|File exists": (
        "somebody else has just put in a network that overlaps with one of this batch: the next "
        "try looks anew"
    ),
    r"No such file or directory": (
        "a set, or an element, has gone since the table was read: the next try looks anew"
    ),
    r"[Nn]ot supported": (
        f"the set lacks `flags timeout`, or the kernel lacks nf_tables: load {FILE}"
    ),
}
"""What nft says, and what to do about it."""


@dataclass(frozen=True, slots=True)
class Command:
    """What goes to nft's standard input in one transaction."""

    label: str
    """add, delete or show: for counters and errors."""
    stdin: str
    size: int = 0
    """Elements in it."""


def show(name: str) -> Command:
    """Return the command that lists the table: sets with their elements, chains, rules."""
    return Command("show", _text([{"list": {"table": {"family": FAMILY, "name": name}}}]))


def add(
    name: str,
    part: str,
    targets: Mapping[TargetT, float],
    held: Elements,
    replaced: Collection[Target] = (),
) -> Iterator[Command]:
    """Yield the transactions that put the targets, each with its seconds, into the set `part`.

    An entry of somebody else keeps the later end of the two, and stays theirs: it is never cut
    short. Before Linux 6.12, adding again does not change a timeout: it is taken out and put in.
    `replaced` is taken out with the first transaction.
    """
    due: dict[Target, float] = {t: s for t, s in targets.items() if _is_due(held.get(t), s)}
    # nft 1.0.6 finds an overlap with what is put in and taken out in the same transaction.
    before = [_element("delete", name, part, list(map(_value, replaced)))] if replaced else []
    for chunk in _chunks(part, due):
        present = [target for target in chunk if target in held]
        elements = [_lasting(t, due[t], ours=t not in held or held[t].ours) for t in chunk]
        after = [*_taken_out(name, part, present), _element("add", name, part, elements)]
        yield Command("add", _text([*before, *after]), len(chunk))
        before = []


def delete(name: str, part: str, targets: Iterable[Target], held: Elements) -> Iterator[Command]:
    """Yield the transactions that take those of the targets out that are in the set `part`."""
    for chunk in _chunks(part, (t for t in targets if t in held and held[t].whole)):
        yield Command("delete", _text(_taken_out(name, part, chunk)), len(chunk))


def read_ruleset(command: Command, reply: Reply, name: str) -> Ruleset:
    """Return the table as it is listed: an empty one where it does not exist."""
    if reply.exit_code != 0 and _ABSENT.search(reply.stderr):
        return Ruleset(name)
    check(command, reply, name)
    try:
        return ruleset.read(reply.stdout, name)
    except ValueError as error:  # msgspec's errors are of this kind
        raise FirewallRefusedError(
            f"what nft says of the table {FAMILY} {name} can't be read ({error}): look at "
            f"`nft list table {FAMILY} {name}` (nft 1.0.6 may break off where a table is dormant)"
        ) from error


def check(command: Command, reply: Reply, name: str) -> None:
    """Raise FirewallRefusedError, with the remedy, where nft did not do it."""
    if reply.exit_code == 0:
        return
    said = " ".join(reply.stderr.split())[:300]
    remedies = (remedy for words, remedy in _REMEDIES.items() if re.search(words, said))
    remedy = next(remedies, f"look at `nft list table {FAMILY} {name}`")
    raise FirewallRefusedError(
        f"nft ended `{command.label}` with code {reply.exit_code} and said {said!r}: {remedy}"
    )


def _text(commands: Iterable[object]) -> str:
    return msgspec.json.encode({"nftables": list(commands)}).decode()


def _element(verb: str, name: str, part: str, elements: Collection[object]) -> object:
    body = {"family": FAMILY, "table": name, "name": part, "elem": elements}
    return {verb: {"element": body}}


def _taken_out(name: str, part: str, targets: Collection[Target]) -> list[object]:
    """Return the commands that take the targets out, also those that have expired meanwhile.

    Taking out what is not there fails the whole transaction; putting in what is there does not.
    """
    values = [_value(target) for target in targets]
    return [_element(verb, name, part, values) for verb in ("add", "delete")] if values else []


def _value(target: Target) -> object:
    if isinstance(target, IPv4Network | IPv6Network):
        return {"prefix": {"addr": str(target.network_address), "len": target.prefixlen}}
    return str(target)


def _is_due(held: Element | None, seconds: float) -> bool:
    """Whether the element is to be put in for so long, `held` being what is there of it."""
    if held is None or held.left < seconds:
        return True
    return held.ours and held.left > seconds + _SLACK


def _lasting(target: Target, seconds: float, *, ours: bool) -> object:
    """Return the element with its timeout, which must not be 0: that would be for ever."""
    timeout = math.ceil(min(max(seconds, 1.0), _LONGEST))
    element: dict[str, object] = {"val": _value(target), "timeout": timeout}
    if ours:
        element["comment"] = COMMENT
    return {"elem": element}


def _chunks(part: str, targets: Iterable[Target]) -> Iterator[list[Target]]:
    size = NETWORKS if is_of_networks(part) else CHUNK
    rest = iter(targets)
    while chunk := list(islice(rest, size)):
        yield chunk
