"""One instance trains at a time, and the others serve what it has trained.

The lease has a fencing token: an instance that was stopped while it held the lease, and replaced,
finds its write refused when it wakes, and takes over the model of the one that replaced it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from ai_suricata.classify.artifact import dump, load
from ai_suricata.core.cancellation import heed
from ai_suricata.core.errors import ArtifactError, StateError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ai_suricata.classify.model import Model
    from ai_suricata.state.shared import Grant, Lease

log = structlog.get_logger(__name__)

LOCK = "training_lock"
ARTIFACT = "models:artifact"
_LEASE_SECONDS = 15.0
_TURN = 3.0  # seconds between two looks; a third and more of the lease is left to renew it


class Training:
    """Takes the lease while this instance learns; publishes its model, or serves another's."""

    def __init__(
        self,
        lease: Lease,
        instance: str,
        learning: Callable[[], bool],
        serve: Callable[[Model], None],
    ) -> None:
        """`learning` says whether this instance still learns; `serve` is given others' models."""
        self._lease = lease
        self._instance = instance
        self._learning = learning
        self._serve = serve
        self._grant: Grant | None = None
        self._alone = False
        self._trained: Model | None = None
        self._wake = asyncio.Event()
        self._stopping = False

    def permitted(self) -> bool:
        """Whether this instance has the turn to train; without Redis it always has."""
        return self._alone or self._grant is not None

    def trained(self, model: Model) -> None:
        """Take note that this instance has trained a model; it is published soon."""
        self._trained = model
        self._wake.set()

    async def run(self) -> None:
        """Hold the lease while learning, and publish; until `stop`. Redis may come and go."""
        while not self._stopping:
            await self._try(self.step)
            await self._next_turn()
        await self._try(self._finish)

    def stop(self) -> None:
        """End `run`."""
        self._stopping = True
        self._wake.set()

    async def step(self) -> None:
        """Do once what is due: publish, take or renew the lease, take over another's model."""
        if self._trained is not None:
            await self._publish(self._trained)
        elif self._learning():
            if self._grant is not None and not await self._lease.renew(self._grant, _LEASE_SECONDS):
                self._grant = None
            if self._grant is None and not await self._take_over():
                self._grant = await self._lease.take(LOCK, self._instance, _LEASE_SECONDS)

    async def _try(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
            self._alone = False
        except StateError as error:
            # There is nobody to ask: this instance goes on alone, and publishes later. It keeps
            # its grant, by which Redis will know whether another one has trained meanwhile.
            log.debug("training can't be coordinated", problem=str(error))
            self._alone = True
        heed()

    async def _next_turn(self) -> None:
        try:
            async with asyncio.timeout(_TURN):
                await self._wake.wait()
        except TimeoutError:
            return
        finally:
            self._wake.clear()

    async def _finish(self) -> None:
        """Publish what was trained in the last moment, and let others have their turn."""
        if self._trained is not None:
            await self._publish(self._trained)
        if self._grant is not None:
            await self._lease.give_up(self._grant)

    async def _publish(self, model: Model) -> None:
        grant = self._grant or await self._lease.take(LOCK, self._instance, _LEASE_SECONDS)
        if grant is None:
            return  # another one trains; the next look shows what has come of it
        written = await self._lease.write(grant, ARTIFACT, dump(model))
        self._grant = self._trained = None
        if written:
            await self._lease.give_up(grant)
            return
        log.warning("another instance has trained meanwhile; its model serves", mine=model.version)
        await self._take_over()

    async def _take_over(self) -> bool:
        """Serve the model that was published, if one was; return whether."""
        content = await self._lease.read(ARTIFACT)
        if content is None:
            return False
        try:
            model = await asyncio.to_thread(load, content)
        except ArtifactError as error:
            log.warning("the published model does not fit", problem=str(error))
            return False
        self._serve(model)
        return True
