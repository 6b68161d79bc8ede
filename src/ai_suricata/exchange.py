"""What this instance exchanges with others through Redis, built out of the settings.

The local log stays what a restart goes by. Where it is lost, Redis knows the position; where it is
older than what Redis has, it was put back from somewhere, and Redis is right.
"""

from __future__ import annotations

import socket
import uuid
from typing import TYPE_CHECKING, Any

import numpy as np
import structlog

from ai_suricata.core.errors import StateError
from ai_suricata.features.table import LAYOUT
from ai_suricata.respond.sharing import Sharing
from ai_suricata.sink.announce import Announcer
from ai_suricata.sink.model import ModelCard
from ai_suricata.sink.overview import Overview
from ai_suricata.state.base import Changes, Snapshot
from ai_suricata.state.clients import connect
from ai_suricata.state.file import replace
from ai_suricata.state.mirror import Mirror
from ai_suricata.state.redis.alerts import RedisAlertStore
from ai_suricata.state.redis.behaviour import RedisBehaviour
from ai_suricata.state.redis.cache import RedisMetricsCache, RedisTopSources
from ai_suricata.state.redis.keys import Keys
from ai_suricata.state.redis.lease import RedisLease
from ai_suricata.state.redis.ledger import RedisLedger
from ai_suricata.state.redis.metadata import RedisModelMetadata
from ai_suricata.state.redis.notifier import RedisNotifier
from ai_suricata.state.row import Rows
from ai_suricata.training import Training

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ai_suricata.classify.model import Model
    from ai_suricata.config.settings import Settings
    from ai_suricata.core.clock import Clock
    from ai_suricata.pipeline import Companion
    from ai_suricata.respond.ledger import Ledger
    from ai_suricata.respond.responder import Responder
    from ai_suricata.state.base import Mark

log = structlog.get_logger(__name__)


class Exchange:
    """The connection to Redis, and all that runs over it."""

    def __init__(
        self,
        settings: Settings,
        tell: Callable[[str | None], None],
        observe: Callable[[str, str], None] = lambda _channel, _result: None,
    ) -> None:
        """`tell` hears what is wrong with Redis in words, or None when nothing is.

        `observe` is told of each verdict that was announced, or could not be.
        """
        redis = settings.redis
        self._tell = tell
        self._problems: dict[str, str | None] = {}
        self._settings = settings
        self.client = connect(redis)
        self.keys = Keys(redis.key_prefix, cluster=redis.cluster)
        self.instance = settings.state.instance or socket.gethostname()
        self._lineage_file = settings.state.directory / "lineage"
        self.lineage = ""
        shared = RedisBehaviour(
            self.client, self.keys, self.instance, LAYOUT, cluster=redis.cluster
        )
        self.mirror = Mirror(shared, lambda problem: self._heard("behaviour", problem))
        channel = self.keys.threat_channel
        self.announcer = Announcer(RedisNotifier(self.client), channel, observe)
        self.alerts = RedisAlertStore(self.client, self.keys, settings.sink.max_alerts)
        self.top = RedisTopSources(self.client, self.keys)
        self._lease = RedisLease(self.client, self.keys)
        self.companions: list[Companion] = [self.mirror, self.announcer]

    async def begin(self, local: Snapshot | None) -> Snapshot | None:
        """Return what to start from: the local state, or what Redis knows where that is newer.

        Raises `StateError` where the lineage can't be kept.
        """
        self.lineage = _read(self._lineage_file)
        # The first call, and alone: it is the one in which a Cluster's client finds the slots.
        mark = await self.mirror.open()
        if mark is not None and (local is None or not self.lineage):
            log.info("local state is lost; going on from Redis", clock=mark.clock)
            await self._succeed(mark)
            return _from(mark)
        if not self.lineage:
            self._keep(uuid.uuid4().hex)
        self.mirror.continue_as(self.lineage)
        if mark is None or local is None or mark.lineage != self.lineage:
            return local
        if mark.clock > local.clock:
            log.warning("local state is older than Redis; going on from there", clock=mark.clock)
            return _from(mark)
        return local

    def share(self, ledger: Ledger, responder: Responder, name: str, clock: Clock) -> None:
        """Keep the ledger and those of the other instances alike. `name`: of the ledger.

        A dry run's wishes are shared among dry runs only. Where AUTO_BLOCK is off nothing is
        adopted: others' blocks would be enforced here.
        """
        if not self._settings.respond.auto_block:
            return
        redis = self._settings.redis
        prefix = f"{redis.key_prefix}:dry_run" if name == "dry_run" else redis.key_prefix
        sharing = Sharing(
            ledger,
            RedisLedger(self.client, Keys(prefix, cluster=redis.cluster), clock),
            RedisNotifier(self.client),
            lambda problem: self._heard("ledger", problem),
            refusal=responder.refusal,
            adopted=responder.adopted,
        )
        self.companions.append(sharing)

    def tell(self, read: Callable[[], Mapping[str, Any]]) -> Overview:
        """Keep what `read` returns in the metrics cache, for seconds at a time."""
        cache = RedisMetricsCache(self.client, self.keys)
        return Overview(cache, self.instance, read)

    def describe(self, read: Callable[[], Mapping[str, str]]) -> ModelCard:
        """Tell all who look which model serves: `read` returns its fields."""
        return ModelCard(RedisModelMetadata(self.client, self.keys), self.instance, read)

    def _heard(self, part: str, problem: str | None) -> None:
        self._problems[part] = problem
        self._tell(next((said for said in self._problems.values() if said), None))

    def coordinate(self, learning: Callable[[], bool], serve: Callable[[Model], None]) -> Training:
        """Let one instance train at a time (see `Training`)."""
        training = Training(self._lease, self.instance, learning, serve)
        self.companions.append(training)
        return training

    async def close(self) -> None:
        """Let go of the connections."""
        await self.client.aclose()

    async def _succeed(self, mark: Mark) -> None:
        """Go on from `mark` under a lineage of our own, so that nobody else can do so, too."""
        self.mirror.continue_as(fresh := uuid.uuid4().hex)
        nothing = Changes(mark.position, mark.clock, _from(mark).rows)
        # Kept only once Redis has it: killed in between, the next start does the same again.
        self._keep(fresh if await self.mirror.claim(mark, nothing) else mark.lineage)

    def _keep(self, lineage: str) -> None:
        replace(self._lineage_file, lineage.encode())
        self.lineage = lineage
        self.mirror.continue_as(lineage)


def _from(mark: Mark) -> Snapshot:
    """Begin where Redis stands; what it knows of an address is fetched when that is seen."""
    nothing = LAYOUT.unpack(np.zeros((0, LAYOUT.width), np.uint8))
    return Snapshot(mark.position, mark.clock, Rows([], nothing))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise StateError(f"{path} can't be read: {error.strerror}; grant the right") from error
