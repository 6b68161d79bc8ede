"""What instances share, for the one that has nobody to share it with: in memory, bounded.

No method awaits anything between its look and its act, so each is one step for all tasks.
"""

from __future__ import annotations

import asyncio
import bisect
import itertools
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from ai_suricata.state.shared import Grant

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from ai_suricata.core.clock import Clock
    from ai_suricata.state.shared import StoredAlert


class LocalMetricsCache:
    """Implements `MetricsCache`. Values are kept as JSON: who changes one changes his own copy."""

    def __init__(self, clock: Clock, most: int = 1000) -> None:
        """`most`: values that are kept; the one that was put first goes."""
        self._clock = clock
        self._most = most
        self._kept: dict[str, tuple[float, bytes]] = {}

    async def get(self, name: str) -> Any | None:  # noqa: ANN401 - whatever JSON holds
        """Return the value as it was put, or None where it is gone or was never there."""
        until, content = self._kept.get(name, (0.0, b""))
        return msgspec.json.decode(content) if self._clock.now() < until else None

    async def put(self, name: str, value: Any, seconds: float = 5.0) -> None:  # noqa: ANN401
        """Keep a JSON value for so long."""
        self._kept.pop(name, None)
        if len(self._kept) >= self._most:
            del self._kept[next(iter(self._kept))]
        self._kept[name] = (self._clock.now() + seconds, msgspec.json.encode(value))


class LocalModelMetadata:
    """Implements `ModelMetadata`."""

    def __init__(self) -> None:
        self._fields: dict[str, str] = {}

    async def tell(self, fields: Mapping[str, str]) -> None:
        """Replace what is known, as a whole."""
        self._fields = dict(fields)

    async def read(self) -> dict[str, str]:
        """Return what was told last; empty where nothing was."""
        return dict(self._fields)


class LocalTopSources:
    """Implements `TopSources`."""

    def __init__(self, most: int = 1000) -> None:
        """`most`: addresses that are kept."""
        self._most = most
        self._alerts: dict[str, int] = {}

    async def count(self, alerts: Mapping[str, int]) -> None:
        """Add to the number of alerts of these addresses; the least go where there are too many."""
        for address, number in alerts.items():
            self._alerts[address] = self._alerts.get(address, 0) + number
        surplus = len(self._alerts) - self._most
        if surplus > 0:
            # Of equal ones the first by address: as Redis does (ZREMRANGEBYRANK).
            ranked = sorted(self._alerts, key=lambda each: (self._alerts[each], each))
            for address in ranked[:surplus]:
                del self._alerts[address]

    async def top(self, limit: int) -> list[tuple[str, int]]:
        """Return (address, alerts), the most first, equal ones by address."""
        ranked = sorted(self._alerts.items(), key=lambda each: (-each[1], each[0]))
        return ranked[: max(0, limit)]


class LocalAlertStore:
    """Implements `AlertStore`."""

    def __init__(self, most: int) -> None:
        """`most`: alerts that are kept (MAX_ALERTS)."""
        self._kept: deque[StoredAlert] = deque(maxlen=most)

    async def add(self, alerts: Sequence[StoredAlert]) -> None:
        """Keep the alerts, in order; the oldest go where there are too many."""
        self._kept.extend(alerts)

    async def newest(self, limit: int, offset: int = 0) -> list[StoredAlert]:
        """Return alerts, the newest first."""
        start = max(0, offset)
        return list(itertools.islice(reversed(self._kept), start, start + max(0, limit)))

    async def find(self, alert_id: str) -> StoredAlert | None:
        """Return the alert, or None where it is not (or no longer) kept."""
        return next((alert for alert in reversed(self._kept) if alert.id == alert_id), None)


class LocalRateLimiter:
    """Implements `RateLimiter`."""

    def __init__(self, most: int = 10_000) -> None:
        """`most`: keys with places taken; the one that got none for longest is forgotten."""
        self._most = most
        self._taken: dict[str, list[float]] = {}

    async def allow(self, key: str, limit: int, seconds: float, now: float) -> bool:
        """Take one place of `limit` in the last `seconds`, if there is one; say whether there was.

        `now`: wall-clock seconds. A refused call takes no place.
        """
        taken = self._taken.get(key, [])
        old = bisect.bisect_right(taken, now - seconds)
        if len(taken) - old >= limit:
            return False
        # Not appended: the clocks of those who ask may differ.
        bisect.insort(taken, now)
        del taken[:old]
        self._keep(key, taken)
        return True

    def _keep(self, key: str, taken: list[float]) -> None:
        """Put it last, as the one with the newest place."""
        self._taken.pop(key, None)
        if len(self._taken) >= self._most:
            del self._taken[next(iter(self._taken))]
        self._taken[key] = taken


@dataclass(slots=True)
class _Held:
    """What is known of one lease; the token outlives the holder."""

    token: int = 0
    holder: str | None = None
    until: float = 0.0

    def is_of(self, grant: Grant) -> bool:
        """Say whether this is the latest grant, and was not given up."""
        return (self.holder, self.token) == (grant.holder, grant.token)


@dataclass(slots=True)
class LocalLease:
    """Implements `Lease`. Names and keys are the program's own, hence few: none is forgotten."""

    clock: Clock
    _leases: defaultdict[str, _Held] = field(default_factory=lambda: defaultdict(_Held), init=False)
    _values: dict[str, bytes] = field(default_factory=dict, init=False)

    async def take(self, name: str, holder: str, seconds: float) -> Grant | None:
        """Take the lease, or return None while another holds it."""
        lease = self._leases[name]
        now = self.clock.now()
        if lease.holder not in {None, holder} and now < lease.until:
            return None
        lease.token, lease.holder, lease.until = lease.token + 1, holder, now + seconds
        return Grant(name, holder, lease.token)

    async def renew(self, grant: Grant, seconds: float) -> bool:
        """Hold it for so long again; False where it was lost, which is then final."""
        lease = self._leases[grant.name]
        now = self.clock.now()
        if not lease.is_of(grant) or now >= lease.until:
            return False
        lease.until = now + seconds
        return True

    async def give_up(self, grant: Grant) -> None:
        """Let others have it, if it is still ours."""
        lease = self._leases[grant.name]
        if lease.is_of(grant):
            lease.holder = None

    async def write(self, grant: Grant, key: str, value: bytes) -> bool:
        """Write a value in the name of the lease; False where it was given up or is another's."""
        if not self._leases[grant.name].is_of(grant):
            return False
        self._values[key] = value
        return True

    async def read(self, key: str) -> bytes | None:
        """Return what was written last under `key`."""
        return self._values.get(key)


class LocalNotifier:
    """Implements `Notifier`, for the tasks of one process."""

    def __init__(self, most: int = 10_000) -> None:
        """`most`: messages that wait for one listener; the oldest go, as it missed them."""
        self._most = most
        self._waiting: defaultdict[str, list[_Inbox]] = defaultdict(list)

    async def publish(self, channel: str, message: bytes) -> None:
        """Tell."""
        for inbox in self._waiting.get(channel, ()):
            inbox.messages.append(message)
            inbox.filled.set()

    async def listen(self, channel: str) -> AsyncGenerator[bytes, None]:
        """Yield what is told from now on, for ever."""
        inbox = _Inbox(deque(maxlen=self._most))
        self._waiting[channel].append(inbox)
        try:
            while True:
                await inbox.filled.wait()
                inbox.filled.clear()
                while inbox.messages:
                    yield inbox.messages.popleft()
        finally:
            self._waiting[channel].remove(inbox)
            if not self._waiting[channel]:
                del self._waiting[channel]


@dataclass(eq=False, slots=True)
class _Inbox:
    """What one listener has not taken yet."""

    messages: deque[bytes]
    filled: asyncio.Event = field(default_factory=asyncio.Event)
