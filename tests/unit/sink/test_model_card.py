"""The card of the model that serves: written when another one serves, and when Redis is back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ai_suricata.core.errors import StateError
from ai_suricata.sink.model import ModelCard
from ai_suricata.state.local import LocalModelMetadata

if TYPE_CHECKING:
    from collections.abc import Mapping


class Metadata(LocalModelMetadata):
    """Counts what is told, and fails as often as it is asked to."""

    def __init__(self, failures: int = 0) -> None:
        super().__init__()
        self.failures = failures
        self.tries = 0

    async def tell(self, fields: Mapping[str, str]) -> None:
        """Fail, or keep."""
        self.tries += 1
        if self.tries <= self.failures:
            raise StateError("Redis is away")
        await super().tell(fields)


async def test_the_model_is_told_once_with_the_instance_that_serves_it() -> None:
    """A second look writes nothing while the same model serves."""
    metadata = Metadata()
    card = ModelCard(metadata, "home", lambda: {"version": "a"})
    await card._look()
    await card._look()

    assert {"version": "a", "instance": "home"} == await metadata.read()
    assert 1 == metadata.tries


async def test_another_model_takes_the_place_of_the_earlier() -> None:
    """As soon as it serves."""
    metadata = Metadata()
    serving = {"version": "a"}
    card = ModelCard(metadata, "home", lambda: serving)
    await card._look()
    serving["version"] = "b"
    await card._look()

    assert {"version": "b", "instance": "home"} == await metadata.read()


async def test_what_could_not_be_written_is_written_later() -> None:
    """Redis may be away when a model begins to serve."""
    metadata = Metadata(failures=1)
    card = ModelCard(metadata, "home", lambda: {"version": "a"})
    await card._look()
    assert {} == await metadata.read()
    await card._look()

    assert {"version": "a", "instance": "home"} == await metadata.read()


async def test_without_a_model_nothing_is_told() -> None:
    """Patterns that judge alone are no model."""
    metadata = Metadata()
    await ModelCard(metadata, "home", dict)._look()

    assert 0 == metadata.tries


async def test_it_runs_until_it_is_stopped() -> None:
    """At once, not at the next look."""
    metadata = Metadata()
    card = ModelCard(metadata, "home", lambda: {"version": "a"})
    async with asyncio.timeout(2):
        running = asyncio.create_task(card.run())
        while not metadata.tries:
            await asyncio.sleep(0)
        card.stop()
        await running

    assert 1 == metadata.tries
