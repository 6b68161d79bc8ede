"""Training in turn: one at a time, the others serve its model; without Redis each for itself."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pytest
from structlog.testing import capture_logs

from ai_suricata import training as module
from ai_suricata.classify.artifact import dump, load
from ai_suricata.classify.estimator import fit
from ai_suricata.classify.model import Model, unlabelled
from ai_suricata.core.clock import ManualClock
from ai_suricata.core.errors import StateError
from ai_suricata.core.schema import FEATURES
from ai_suricata.state.clients import connect
from ai_suricata.state.local import LocalLease
from ai_suricata.state.redis.keys import Keys
from ai_suricata.state.redis.lease import RedisLease
from ai_suricata.training import ARTIFACT, Training
from fakes.redis_client import until
from fakes.redis_servers import valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ai_suricata.state.shared import Grant, Lease
    from fakes.redis_servers import Standalone

AWAY = StateError("nothing listens there")
LEASE = 15.0


def made(seed: int) -> Model:
    """Return a small model."""
    rows = np.random.default_rng(seed).poisson(2.0, (120, len(FEATURES)))
    return unlabelled(fit(rows.astype(np.float64)))


FIRST, SECOND = made(1), made(2)


@dataclass
class FragileLease(LocalLease):
    """A lease that all instances share, and that can be away."""

    problem: StateError | None = None
    lose_answer: bool = False
    """The next write is carried out, and nobody hears of it."""
    writes: int = 0

    def _answer(self) -> None:
        if self.problem is not None:
            raise self.problem

    async def take(self, name: str, holder: str, seconds: float) -> Grant | None:
        """Take it, unless it is away."""
        self._answer()
        return await super().take(name, holder, seconds)

    async def renew(self, grant: Grant, seconds: float) -> bool:
        """Hold it, unless it is away."""
        self._answer()
        return await super().renew(grant, seconds)

    async def give_up(self, grant: Grant) -> None:
        """Let others have it, unless it is away."""
        self._answer()
        await super().give_up(grant)

    async def write(self, grant: Grant, key: str, value: bytes) -> bool:
        """Write, unless it is away."""
        self._answer()
        self.writes += 1
        written = await super().write(grant, key, value)
        if self.lose_answer:
            self.lose_answer = False
            raise StateError("the answer was lost")
        return written

    async def read(self, key: str) -> bytes | None:
        """Read, unless it is away."""
        self._answer()
        return await super().read(key)


@dataclass
class Instance:
    """A daemon that learns, as far as training is concerned."""

    lease: Lease
    name: str = "one"
    learning: bool = True
    served: list[str] = field(default_factory=list)
    training: Training = field(init=False)

    def __post_init__(self) -> None:
        self.training = Training(self.lease, self.name, lambda: self.learning, self._serve)

    def _serve(self, model: Model) -> None:
        self.learning = False
        self.served.append(model.version)

    def train(self, model: Model) -> None:
        """End the learning period with a model of its own."""
        assert self.training.permitted()
        self.learning = False
        self.training.trained(model)


@pytest.fixture
def clock() -> ManualClock:
    """Return the clock of the lease."""
    return ManualClock(1_700_000_000.0)


@pytest.fixture
def lease(clock: ManualClock) -> FragileLease:
    """Return a lease that nobody holds."""
    return FragileLease(clock)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TURN", 0.002)


@asynccontextmanager
async def running(*instances: Instance) -> AsyncIterator[None]:
    """Let instances run; their end is awaited."""
    tasks = [asyncio.create_task(each.training.run()) for each in instances]
    try:
        yield
    finally:
        for each in instances:
            each.training.stop()
        async with asyncio.timeout(5):
            await asyncio.gather(*tasks)


async def published(lease: Lease) -> str:
    """Return the version of the model that others find; "" where there is none."""
    content = await lease.read(ARTIFACT)
    return "" if content is None else load(content).version


async def test_one_has_the_turn_and_the_other_serves_its_model(lease: FragileLease) -> None:
    """Nobody trains before it was asked who may."""
    one, two = Instance(lease), Instance(lease, "two")
    assert not one.training.permitted()
    await one.training.step()
    await two.training.step()
    assert [True, False] == [each.training.permitted() for each in (one, two)]

    one.train(FIRST)
    await one.training.step()
    await two.training.step()

    assert FIRST.version == await published(lease)
    assert ([], [FIRST.version]) == (one.served, two.served)
    assert not two.learning


async def test_the_turn_is_held_as_long_as_the_learning_takes(
    lease: FragileLease, clock: ManualClock
) -> None:
    """Each look renews it."""
    one, two = Instance(lease), Instance(lease, "two")
    for _ in range(10):
        await one.training.step()
        await two.training.step()
        clock.advance(LEASE - 1)

    assert [True, False] == [each.training.permitted() for each in (one, two)]


async def test_a_holder_that_vanished_is_replaced(lease: FragileLease, clock: ManualClock) -> None:
    """Its lease ends by itself."""
    one, two = Instance(lease), Instance(lease, "two")
    await one.training.step()
    await two.training.step()
    clock.advance(LEASE + 1)
    await two.training.step()

    assert two.training.permitted()


async def test_a_holder_that_slept_finds_its_write_refused_and_serves_the_others(
    lease: FragileLease, clock: ManualClock
) -> None:
    """It was stopped while it trained; what it made in its sleep must not replace newer work."""
    one, two = Instance(lease), Instance(lease, "two")
    await one.training.step()
    clock.advance(LEASE + 1)
    await two.training.step()
    two.train(SECOND)
    await two.training.step()

    with capture_logs() as logs:
        one.train(FIRST)
        await one.training.step()

    assert SECOND.version == await published(lease)
    assert [SECOND.version] == one.served
    assert [FIRST.version] == [entry["mine"] for entry in logs]


async def test_a_holder_that_slept_and_lost_its_connection_is_refused_all_the_same(
    lease: FragileLease, clock: ManualClock
) -> None:
    """A call that fails when it wakes must not earn it a new grant."""
    one, two = Instance(lease), Instance(lease, "two")
    async with running(one):
        await until(one.training.permitted)
        clock.advance(LEASE + 1)
        # Both of this in one go: nothing of the first one runs in between.
        await two.training.step()
        two.train(SECOND)
        await two.training.step()
        lease.problem = AWAY
        one.train(FIRST)
        await until(lambda: one.training._alone)
        lease.problem = None
        await until(lambda: bool(one.served))

    assert SECOND.version == await published(lease)
    assert [SECOND.version] == one.served


async def test_a_holder_that_woke_before_it_trained_serves_what_was_published(
    lease: FragileLease, clock: ManualClock
) -> None:
    """Its lease can't be renewed, and there is a model already."""
    one, two = Instance(lease), Instance(lease, "two")
    await one.training.step()
    clock.advance(LEASE + 1)
    await two.training.step()
    two.train(SECOND)
    await two.training.step()
    await one.training.step()

    assert [SECOND.version] == one.served
    assert not one.training.permitted()


async def test_without_redis_an_instance_trains_alone_and_publishes_later(
    lease: FragileLease,
) -> None:
    """Its network is watched from the first day, whoever is away."""
    lease.problem = AWAY
    one = Instance(lease)
    async with running(one):
        await until(one.training.permitted)
        one.train(FIRST)
        lease.problem = None
        await until(lambda: lease.writes == 1)

    assert FIRST.version == await published(lease)


async def test_an_answer_that_was_lost_is_asked_for_again(lease: FragileLease) -> None:
    """The same grant writes the same model: twice is once."""
    one = Instance(lease)
    async with running(one):
        await until(one.training.permitted)
        lease.lose_answer = True
        one.train(FIRST)
        await until(lambda: lease.writes == 2)

    assert FIRST.version == await published(lease)
    assert [] == one.served


async def test_when_redis_is_back_it_is_asked_who_may(lease: FragileLease) -> None:
    """Alone is who can ask nobody, not who could not ask once."""
    lease.problem = AWAY
    one, two = Instance(lease), Instance(lease, "two")
    async with running(one):
        await until(one.training.permitted)
        lease.problem = None
        await until(lambda: not one.training._alone)
        await two.training.step()

        assert [True, False] == [each.training.permitted() for each in (one, two)]


async def test_a_stop_publishes_what_was_trained_and_lets_the_others_go_on(
    lease: FragileLease,
) -> None:
    """Also what was trained in the last moment; nobody waits for a lease to end."""
    one, two = Instance(lease), Instance(lease, "two")
    async with running(one):
        await until(one.training.permitted)
        one.train(FIRST)
        one.training.stop()
    assert FIRST.version == await published(lease)

    three = Instance(lease, "three", learning=True)
    lease._values.clear()
    async with running(two):
        await until(two.training.permitted)
    await three.training.step()
    assert three.training.permitted()


@pytest.mark.parametrize("content", [b"", b"hello", dump(SECOND)[:-100]])
async def test_a_published_model_that_does_not_fit_is_said_and_trained_anew(
    lease: FragileLease, content: bytes
) -> None:
    """It may be of another version: nobody serves what was trained on other features."""
    lease._values[ARTIFACT] = content
    one = Instance(lease)
    with capture_logs() as logs:
        await one.training.step()

    assert [] == one.served
    assert one.training.permitted()
    assert ["the published model does not fit"] == [entry["event"] for entry in logs]


async def test_an_instance_that_has_a_model_asks_for_nothing(lease: FragileLease) -> None:
    """It serves what it has; the turn is for those who learn."""
    one, two = Instance(lease, learning=False), Instance(lease, "two")
    await one.training.step()
    await two.training.step()

    assert [False, True] == [each.training.permitted() for each in (one, two)]


async def test_a_stop_is_not_held_up_by_redis(lease: FragileLease) -> None:
    """What can't be published now is trained anew, or published by another."""
    lease.problem = AWAY
    one = Instance(lease)
    async with running(one):
        await until(one.training.permitted)
        one.train(FIRST)

    assert 0 == lease.writes


async def test_on_a_real_server_the_one_that_slept_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a lease that ends by the server's clock, and an artifact that goes there and back."""
    monkeypatch.setattr(module, "_LEASE_SECONDS", 0.2)
    with valkey() as server:
        clients = [connect(server.settings()) for _ in range(2)]
        leases = [RedisLease(client, Keys("ai_suricata")) for client in clients]
        one, two = (Instance(each, n) for each, n in zip(leases, ("one", "two"), strict=True))
        await one.training.step()
        assert one.training.permitted()
        async with asyncio.timeout(10):
            while not two.training.permitted():
                await two.training.step()
        two.train(SECOND)
        await two.training.step()
        one.train(FIRST)
        await one.training.step()

        assert SECOND.version == await published(leases[0])
        assert [SECOND.version] == one.served
        _check_names(server)
        for client in clients:
            await client.aclose()


def _check_names(server: Standalone) -> None:
    """Both keys are in one slot: a script needs that on a Cluster."""
    assert {
        b"ai_suricata:{lease}:holder:training_lock",
        b"ai_suricata:{lease}:value:models:artifact",
    } == set(server.processes[0].client().keys("*"))
