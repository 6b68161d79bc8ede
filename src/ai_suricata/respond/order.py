"""What an operator may ask for by hand, and what comes of it: words and rules, no doing.

A person overrules the daemon, with one exception: what would cut off the firewall or this machine
is refused whatever is said, since nobody could take it back from here.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING, Any

import msgspec

from ai_suricata.core.address import parse_address, parse_network, parse_target
from ai_suricata.core.decision import Decision, LedgerEntry, Table
from ai_suricata.core.errors import AiSuricataError
from ai_suricata.core.timestamp import MICROSECONDS
from ai_suricata.respond.enforcer import STAYS
from ai_suricata.state.hold import Hold

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ai_suricata.core.address import Network, Target
    from ai_suricata.respond.protection import Protection

SHORTEST, LONGEST = 10.0, 31_536_000.0
"""Seconds that a block by hand may last: as BLOCK_DURATION."""
MOST_TOLD = 1000
"""Ledger entries in one outcome; the count tells of all."""
MOST_WORDS = 500
"""Characters of a reason or a comment."""
_MOST_NAMED = 10
"""Targets that a sentence names."""


class InvalidOrderError(AiSuricataError):
    """The order makes no sense as it stands. The text says how to write it."""


class RefusedOrderError(AiSuricataError):
    """The order is understood, and not carried out. The text says why."""


class Outcome(msgspec.Struct, frozen=True):
    """What an order came to."""

    entries: tuple[LedgerEntry, ...]
    """Of those it touched, as the ledger has them now; at most `MOST_TOLD`."""
    count: int
    """How many it touched."""
    confirmed: bool
    """Whether the firewall has confirmed all of it by now; otherwise the daemon goes on trying."""
    problem: str = ""
    """What stands in the way, or went wrong beside it."""


class Standing(msgspec.Struct, frozen=True):
    """How the response stands at this moment."""

    time: float
    """Wall-clock seconds since the epoch."""
    paused: Hold | None
    auto_block: bool
    dry_run: bool
    tables: dict[str, dict[str, int]]
    """For each table, how many entries of the ledger are in each state."""
    breaker: dict[str, bool]
    """For each table, whether its budget is used up, so that nothing is decided for it."""
    allowances: int
    """Networks on the operator's run-time list."""
    unsaved: int
    """Decisions that are not durable yet."""
    daemon: dict[str, Any]
    """Phase, version and parts, as `/health` tells them."""


_NARROWEST = {4: 16, 6: 32}
"""Prefix length, by IP version, below which a network is blocked by force alone: a typo is wide."""


def target_of(text: str) -> Target:
    """Return the target in the one form that the ledger has; a network of one is an address.

    Raises `InvalidOrderError`.
    """
    try:
        target = parse_target(text.strip())
    except ValueError:
        raise InvalidOrderError(
            f"{text[:80]!r} is neither an address nor a network; write 203.0.113.7, 2001:db8::7 "
            "or 203.0.113.0/24"
        ) from None
    _refuse_host_bits(text.strip(), target)
    if isinstance(target, IPv4Network | IPv6Network) and target.num_addresses == 1:
        return target.network_address
    return target


def _refuse_host_bits(text: str, target: Target) -> None:
    """Refuse `8.8.0.0/8`: whoever writes it means either less or something else."""
    address, slash, _ = text.partition("/")
    if not slash or not isinstance(target, IPv4Network | IPv6Network):
        return
    meant = parse_address(address)
    if meant.version == target.version and meant != target.network_address:
        raise InvalidOrderError(
            f"{text} has an address inside its network {target}; write {target}, or {meant} for "
            f"the one address"
        )


def network_of(text: str) -> Network:
    """Return the network; an address is one of a single host. Raises `InvalidOrderError`."""
    return parse_network(str(target_of(text)))


def words(text: str) -> str:
    """Return the text on one line, without what does not print; cut at `MOST_WORDS`."""
    line = " ".join(text.split())
    return "".join(letter for letter in line if letter.isprintable())[:MOST_WORDS]


def objection(target: Target, lists: Protection, *, force: bool) -> str | None:
    """Return why the target is not blocked by hand, or None where it may be."""
    reason = lists.absolute.reason(target)
    if reason is not None:
        return (
            f"{target} is not blocked, not even with --force ({reason}): it would cut off the "
            "firewall or this machine"
        )
    reason = lists.never_block.reason(target)
    if reason is not None and not force:
        return f"{target} is never blocked ({reason}); --force overrides this"
    if isinstance(target, IPv4Network | IPv6Network) and not force:
        narrowest = _NARROWEST[target.version]
        if target.prefixlen < narrowest:
            return (
                f"{target} is {target.num_addresses:,} addresses; --force blocks more than a "
                f"/{narrowest}"
            )
    return None


def decision_of(
    target: Target,
    table: Table,
    duration: float,
    reason: str,
    now: float,
    **known: Any,  # noqa: ANN401 - further fields of a Decision
) -> Decision:
    """Return the decision that a person has made just now. Raises `InvalidOrderError`.

    `duration`: seconds; `known`: `step`, `forced`, `model_version` and `features`.
    """
    if not SHORTEST <= duration <= LONGEST:
        raise InvalidOrderError(
            f"{duration:g} s is no time for a block: it lasts from {SHORTEST:.0f} s to 365 days"
        )
    return Decision(
        target=str(target),
        table=table,
        duration=duration,
        decided_at=now,
        event_time=int(now * MICROSECONDS),
        score=1.0,  # a person does not guess
        reasons=(f"by hand: {reason}" if reason else "by hand",),
        by_hand=True,
        **known,
    )


def staying(entries: Iterable[LedgerEntry]) -> str:
    """Return which of the released are blocked still, since it was not we who put them in."""
    left = [entry.target for entry in entries if entry.note.endswith(STAYS)]
    if not left:
        return ""
    more = f" and {len(left) - _MOST_NAMED} more" if len(left) > _MOST_NAMED else ""
    verb = "stays" if len(left) == 1 else "stay"
    return (
        f"{', '.join(left[:_MOST_NAMED])}{more} {verb} in the table: somebody else had put that in "
        "before us; take it out on the firewall"
    )


def sentences(*parts: str | None) -> str:
    """Return those that say something, each once, as one text."""
    return "; ".join(dict.fromkeys(filter(None, parts)))


def counts(entries: list[LedgerEntry]) -> dict[str, dict[str, int]]:
    """Return for each table how many entries are in each state."""
    found: dict[str, dict[str, int]] = {table.value: {} for table in Table}
    for entry in entries:
        states = found[entry.decision.table.value]
        states[entry.state.value] = states.get(entry.state.value, 0) + 1
    return found


def features_told(features: Mapping[str, float] | None) -> dict[str, float]:
    """Return those feature values that say something: most of a quiet address are 0."""
    return {name: value for name, value in (features or {}).items() if value}
