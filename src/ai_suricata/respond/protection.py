"""Who is never blocked at this moment, from all who know: operator, this machine, the firewalls.

Gateways and addresses change while the daemon runs, so the machine and the firewalls are asked
again and again; where one does not answer, what it said last goes on holding.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING

import structlog

from ai_suricata.respond.never_block import NeverBlock

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from ai_suricata.core.address import Address, Network
    from ai_suricata.core.clock import Clock
    from ai_suricata.firewall.base import Survey

    Reading = Callable[[], Iterable[Network]]
    Named = Mapping[str, tuple[Network, ...]]

log = structlog.get_logger(__name__)

ALLOWED = "allowed by the operator"
FIREWALL = "the firewall"
_BEHIND = "the firewall's network"
"""Networks behind the firewall: their hosts are the operator's, who may block one by force."""
_LOOPBACK = "loopback"
_LOOPBACKS = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


class Protection:
    """Builds the list anew whenever one of its sources says something else."""

    def __init__(
        self,
        fixed: Mapping[str, Iterable[Network]],
        around: Mapping[str, Reading] | None = None,
        *,
        clock: Clock | None = None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """Take `fixed`, networks by what they are out of the settings; `look` asks `around`.

        `clock` tells how old what the firewalls said is; `changed` is called for each new list.
        """
        self._fixed: Named = {name: tuple(found) for name, found in fixed.items()}
        self._around = dict(around or {})
        self._local: Named = {}
        self._surveys: dict[str, Named] = {}
        self._sessions: frozenset[Address] = frozenset()
        self._allowed: tuple[Network, ...] = ()
        self._clock = clock
        self._learned_at: dict[str, float] = {}
        self._oldest: float | None = None
        self.changed = changed
        self.listed: Callable[[int], None] = lambda _count: None
        """Is told how long the list is, whenever there is another one."""
        self.never_block = NeverBlock({})
        """Whom no verdict blocks; another object each time the list is another."""
        self.absolute = NeverBlock({})
        """Whom not even the operator blocks by force: it would cut us, or the firewall, off."""
        self._built: tuple[object, ...] = ()
        self.meet(self.look())

    def look(self) -> Named:
        """Return what this machine says of its surroundings; may wait for DNS, in any thread."""
        return {name: tuple(read()) for name, read in self._around.items()}

    def meet(self, surroundings: Named) -> None:
        """Take what `look` returned; of what is empty, the last answer goes on holding."""
        found = {name: networks for name, networks in surroundings.items() if networks}
        self._local = {**self._local, **found}
        self._build()

    def learn(self, place: str, survey: Survey) -> None:
        """Take what the firewall at `place` lives by, in place of what it said before."""
        self._surveys[place] = {name: tuple(found) for name, found in survey.items()}
        if self._clock is not None:
            self._learned_at[place] = self._clock.now()
            self._oldest = min(self._learned_at.values())
        self._build()

    def knows(self, place: str) -> bool:
        """Say whether the firewall at `place` has told what it lives by."""
        return place in self._surveys

    def age(self) -> float | None:
        """Return the seconds since the firewall that was silent longest told what it lives by."""
        oldest = self._oldest  # read once: the metrics are rendered by another thread
        return None if self._clock is None or oldest is None else self._clock.now() - oldest

    def sessions(self, addresses: Collection[Address]) -> None:
        """Take the ends of our connections with the firewalls; those of earlier ones stay."""
        self._sessions |= frozenset(addresses)
        self._build()

    def allow(self, networks: Iterable[Network]) -> None:
        """Take the operator's run-time list in place of the one before."""
        self._allowed = tuple(networks)
        self._build()

    def settle(self, fixed: Mapping[str, Iterable[Network]]) -> None:
        """Take what changed settings say in place of what was said before."""
        self._fixed = {name: tuple(found) for name, found in fixed.items()}
        self._build()

    def _build(self) -> None:
        key = (self._fixed, dict(self._local), dict(self._surveys), self._sessions, self._allowed)
        if key == self._built:
            return
        self._built = key
        vital = self._vital()
        own = {name: found for name, found in vital.items() if name != _BEHIND}
        self.absolute = NeverBlock({_LOOPBACK: _LOOPBACKS, **own}, always={})
        self.never_block = NeverBlock({**self._fixed, ALLOWED: self._allowed, **vital})
        self.listed(len(self.never_block.networks))
        self.changed()

    def _vital(self) -> dict[str, tuple[Network, ...]]:
        """Return what this machine and the firewalls live by."""
        ends = sorted(self._sessions, key=lambda address: (address.version, address))
        vital = dict(self._local)
        vital[FIREWALL] = (*vital.get(FIREWALL, ()), *map(ip_network, ends))
        for survey in self._surveys.values():
            for name, networks in survey.items():
                vital[f"{FIREWALL}'s {name}"] = (*vital.get(f"{FIREWALL}'s {name}", ()), *networks)
        return vital
