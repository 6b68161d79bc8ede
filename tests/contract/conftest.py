"""The shared stores of two instances, on every kind of backend; its servers start once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from contract.shared_backends import LOCAL, SYSTEM

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from contract.shared_backends import Backend, Shared


@pytest.fixture(
    scope="session",
    params=[*LOCAL, *(pytest.param(each, marks=pytest.mark.system) for each in SYSTEM)],
)
def shared_kind(request: pytest.FixtureRequest) -> Iterator[Callable[[], Backend]]:
    """Start the servers of each kind in turn."""
    with request.param() as make:
        yield make


@pytest.fixture
async def shared_backend(shared_kind: Callable[[], Backend]) -> AsyncIterator[Backend]:
    """Yield a backend that holds nothing."""
    made = shared_kind()
    yield made
    await made.close()


@pytest.fixture
async def one(shared_backend: Backend) -> Shared:
    """Return the stores of one instance."""
    return await shared_backend.instance()


@pytest.fixture
async def other(shared_backend: Backend) -> Shared:
    """Return those of another instance."""
    return await shared_backend.instance()
