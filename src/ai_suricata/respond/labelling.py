"""An operator's unblocking or blocking as a label for training."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from ai_suricata.core.errors import StateError
from ai_suricata.core.schema import SCHEMA_VERSION
from ai_suricata.state.label import Label

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ai_suricata.core.clock import Clock
    from ai_suricata.state.label import Kind, LabelLog

log = structlog.get_logger(__name__)

MOST_AT_ONCE = 1000
"""Labels of one order: an order that touches more was meant for all of them, not for each."""
_TURN = 50
"""Addresses that are looked up before other tasks have their turn."""


class Labelling:
    """Writes down what was said, with the features of that moment."""

    def __init__(
        self,
        labels: LabelLog,
        clock: Clock,
        features: Callable[[str], Mapping[str, float] | None] = lambda _address: None,
        model: Callable[[], str] = lambda: "none",
        on_label: Callable[[str], None] = lambda _kind: None,
    ) -> None:
        """`features` of an address at this moment; `on_label` is called with each kind kept."""
        self._labels = labels
        self._clock = clock
        self.features = features
        """Returns all features of an address by name, or None where nothing is known of it."""
        self.model = model
        """Returns the version of the model that serves."""
        self._on_label = on_label

    async def keep(self, targets: Sequence[str], kind: Kind, reason: str) -> str:
        """Label the targets; return what went wrong, in words, or nothing.

        A label that can't be kept must not undo what the operator has just done: it is told.
        """
        labels: list[Label] = []
        for number, target in enumerate(targets[:MOST_AT_ONCE]):
            labels.append(self._label(target, kind, reason))
            if number % _TURN == _TURN - 1:
                await asyncio.sleep(0)
        try:
            await self._labels.append(labels)
        except StateError as error:
            log.error("labels are lost", count=len(labels), problem=str(error))
            return f"the label for training is lost: {error}"
        for _ in labels:
            self._on_label(kind.value)
        return ""

    def _label(self, target: str, kind: Kind, reason: str) -> Label:
        features = self.features(target)
        return Label(
            time=self._clock.now(),
            address=target,
            label=kind,
            reason=reason,
            schema=SCHEMA_VERSION,
            features=None if features is None else dict(features),
            model=self.model(),
        )
