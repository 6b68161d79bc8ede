"""What instances share, as small protocols, one for each need.

Each has two implementations: in memory, for one instance, and in Redis, for all that use it. One
contract suite holds them to the same behaviour. Calls on Redis raise `StateError` where it does
not answer or refuses; nothing is retried blindly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence


class MetricsCache(Protocol):
    """Values that are dear to compute, for a few seconds."""

    async def get(self, name: str) -> Any | None:  # noqa: ANN401 - whatever JSON holds
        """Return the value as it was put, or None where it is gone or was never there."""
        ...

    async def put(self, name: str, value: Any, seconds: float = 5.0) -> None:  # noqa: ANN401
        """Keep a JSON value for so long."""
        ...


class ModelMetadata(Protocol):
    """What is known of the model that serves: version, when it was trained, figures."""

    async def tell(self, fields: Mapping[str, str]) -> None:
        """Replace what is known, as a whole."""
        ...

    async def read(self) -> dict[str, str]:
        """Return what was told last; empty where nothing was."""
        ...


class TopSources(Protocol):
    """The addresses with the most alerts, bounded."""

    async def count(self, alerts: Mapping[str, int]) -> None:
        """Add to the number of alerts of these addresses; the least go where there are too many."""
        ...

    async def top(self, limit: int) -> list[tuple[str, int]]:
        """Return (address, alerts), the most first, equal ones by address."""
        ...


class StoredAlert(msgspec.Struct, frozen=True, kw_only=True):
    """An alert with the verdict on its source, as it is kept and shown."""

    id: str
    """Rises with time: instance, and number within it."""
    time: int
    """Event time, microseconds since the epoch."""
    source_ip: str
    """Whose behaviour it counted for."""
    signature_id: int
    signature: str
    category: str
    severity: int
    """Suricata's: 1 is the worst."""
    src_ip: str
    src_port: int | None
    dest_ip: str
    dest_port: int | None
    proto: str
    score: float
    level: str
    action: str
    reasons: tuple[str, ...]


class AlertStore(Protocol):
    """The newest alerts, at most so many (MAX_ALERTS)."""

    async def add(self, alerts: Sequence[StoredAlert]) -> None:
        """Keep the alerts, in order; the oldest go where there are too many."""
        ...

    async def newest(self, limit: int, offset: int = 0) -> list[StoredAlert]:
        """Return alerts, the newest first."""
        ...

    async def find(self, alert_id: str) -> StoredAlert | None:
        """Return the alert, or None where it is not (or no longer) kept."""
        ...


class RateLimiter(Protocol):
    """Sliding windows, one for all instances."""

    async def allow(self, key: str, limit: int, seconds: float, now: float) -> bool:
        """Take one place of `limit` in the last `seconds`, if there is one; say whether there was.

        `now`: wall-clock seconds. A refused call takes no place, and a place is free again when it
        is `seconds` old. A key has one window: where its length varies, the shortest one counts.
        """
        ...


class Grant(msgspec.Struct, frozen=True):
    """A lease that was taken."""

    name: str
    holder: str
    token: int
    """Fencing token: greater than that of every earlier grant of this name."""


class Lease(Protocol):
    """One holder at a time, for a bounded time; a holder that slept too long is refused."""

    async def take(self, name: str, holder: str, seconds: float) -> Grant | None:
        """Take the lease, or return None while another holds it.

        A holder that takes it again (after a restart) gets a new grant, and its old one is lost.
        """
        ...

    async def renew(self, grant: Grant, seconds: float) -> bool:
        """Hold it for so long again; False where it ended or was lost, which is then final."""
        ...

    async def give_up(self, grant: Grant) -> None:
        """Let others have it, if it is still ours."""
        ...

    async def write(self, grant: Grant, key: str, value: bytes) -> bool:
        """Write a value in the name of the lease; False where a newer grant exists.

        The check and the write are one step: a holder that was stopped, replaced and woken again
        can't write. One that nobody has replaced yet still can, though its lease ended; one that
        gave up can't. A key is written under one lease alone, else tokens can't be compared.
        """
        ...

    async def read(self, key: str) -> bytes | None:
        """Return what was written last under `key`."""
        ...


class Notifier(Protocol):
    """Tells all who listen, now; who does not listen misses it."""

    async def publish(self, channel: str, message: bytes) -> None:
        """Tell."""
        ...

    def listen(self, channel: str) -> AsyncGenerator[bytes, None]:
        """Yield what is told from now on, for ever; a lost connection is made again with backoff.

        "Now" is when the first message is asked for. What is told while the connection is lost is
        missed. Close it (`contextlib.aclosing`), or cancel the task that waits for it.
        """
        ...
