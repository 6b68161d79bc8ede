"""What is known of the model that serves: alike in memory and on every kind of Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contract.shared_backends import Shared


async def test_what_was_told_is_read_by_all(one: Shared, other: Shared) -> None:
    """Field by field, as text."""
    fields = {"version": "model-é", "trained_at": "2026-01-01", "figure:recall": "0.97"}

    await one.metadata.tell(fields)

    assert fields == await other.metadata.read()


async def test_nothing_told_is_nothing_read(one: Shared) -> None:
    """No model serves as far as anybody knows."""
    assert {} == await one.metadata.read()


async def test_a_later_model_leaves_no_field_of_the_earlier(one: Shared, other: Shared) -> None:
    """A figure that the new one lacks is gone."""
    await one.metadata.tell({"version": "a", "figure:recall": "0.97"})
    await other.metadata.tell({"version": "b"})

    assert {"version": "b"} == await one.metadata.read()
