"""How the daemon is: where in its life it stands, and how each of its parts does."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import structlog

from ai_suricata import __version__
from ai_suricata.core.clock import SystemClock

if TYPE_CHECKING:
    from ai_suricata.core.clock import Clock

_log = structlog.stdlib.get_logger(__name__)


class Phase(StrEnum):
    """Where in its life the daemon stands."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    STOPPED = "stopped"
    FAILED = "failed"


class Status(StrEnum):
    """How a part does, or the whole."""

    OK = "ok"
    DEGRADED = "degraded"
    """Something is missing, the work goes on."""
    FAILED = "failed"
    """The work does not go on."""


_LOG_LEVEL = {
    Status.OK: logging.INFO,
    Status.DEGRADED: logging.WARNING,
    Status.FAILED: logging.ERROR,
}
_WEIGHT = {Status.OK: 0, Status.DEGRADED: 1, Status.FAILED: 2}


@dataclass(frozen=True, slots=True)
class Part:
    """How one part does, in a sentence, and since when (wall-clock seconds since the epoch)."""

    status: Status
    detail: str
    since: float


class Health:
    """Phase and parts. Any thread may write, any may read; a snapshot is of one moment."""

    def __init__(self, clock: Clock | None = None) -> None:
        """`clock`: wall clock."""
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._started = self._clock.now()
        self._phase = Phase.STARTING
        self._parts: dict[str, Part] = {}

    @property
    def phase(self) -> Phase:
        """Where in its life the daemon stands."""
        return self._phase

    @property
    def ready(self) -> bool:
        """Whether the daemon does its work, be it degraded."""
        return self._phase is Phase.READY

    @property
    def status(self) -> Status:
        """The worst of the parts; failed where the daemon is."""
        with self._lock:
            return self._worst()

    def enter(self, phase: Phase) -> None:
        """Go on to the next phase, and log it."""
        with self._lock:
            before, self._phase = self._phase, phase
        if before is not phase:
            _log.info("phase", phase=phase.value, before=before.value)

    def set(self, part: str, status: Status, detail: str) -> None:
        """Say how a part does. A change is logged once, so `detail` should hold no running numbers.

        A part that is well when first heard of is no change: nothing is logged.
        """
        with self._lock:
            before = self._parts.get(part)
            if before is not None and (before.status, before.detail) == (status, detail):
                return
            same = before is not None and before.status is status
            since = before.since if before is not None and same else self._clock.now()
            self._parts[part] = Part(status, detail, since)
        if before is not None or status is not Status.OK:
            _log.log(_LOG_LEVEL[status], "health", part=part, status=status.value, detail=detail)

    def snapshot(self) -> dict[str, Any]:
        """Return all of it as JSON types; moments are ISO 8601 in UTC."""
        with self._lock:
            return {
                "status": self._worst().value,
                "phase": self._phase.value,
                "version": __version__,
                "started": _iso(self._started),
                "uptime_seconds": round(max(0.0, self._clock.now() - self._started), 3),
                "parts": {name: _as_dict(part) for name, part in sorted(self._parts.items())},
            }

    def _worst(self) -> Status:
        if self._phase is Phase.FAILED:
            return Status.FAILED
        statuses = (part.status for part in self._parts.values())
        return max(statuses, key=_WEIGHT.__getitem__, default=Status.OK)


def _as_dict(part: Part) -> dict[str, str]:
    return {"status": part.status.value, "detail": part.detail, "since": _iso(part.since)}


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
