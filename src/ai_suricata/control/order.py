"""The orders that go over the control socket, each with what it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec

from ai_suricata.core.decision import Table
from ai_suricata.respond.order import MOST_WORDS

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from ai_suricata.respond.operator import Operator

Text = Annotated[str, msgspec.Meta(max_length=MOST_WORDS)]
Name = Annotated[str, msgspec.Meta(max_length=200)]
"""An address or a network: longer than any of them."""


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="do"):
    """Base of all orders. Each can `put` itself to the operator (see `respond.operator`)."""


class Status(Order, frozen=True, tag="status"):
    """Answered by a `Standing`."""

    def put(self, operator: Operator) -> Awaitable[object]:
        """Put the order."""
        return operator.status()


class Block(Order, frozen=True, tag="block"):
    """Answered by an `Outcome`."""

    target: Name
    table: Table
    duration: float
    """Seconds."""
    reason: Text = ""
    force: bool = False

    def put(self, operator: Operator) -> Awaitable[object]:
        """Put the order."""
        return operator.block(self.target, self.table, self.duration, self.reason, force=self.force)


class Lift(Order, frozen=True, tag="lift"):
    """Answered by an `Outcome`."""

    target: Name
    reason: Text = ""

    def put(self, operator: Operator) -> Awaitable[object]:
        """Put the order."""
        return operator.lift(self.target, self.reason)


class Undo(Order, frozen=True, tag="undo"):
    """Answered by an `Outcome`."""

    since: float
    """Wall-clock seconds since the epoch."""

    def put(self, operator: Operator) -> Awaitable[object]:
        """Put the order."""
        return operator.undo(self.since)


class Pause(Order, frozen=True, tag="pause"):
    """Answered by a `Hold`."""

    reason: Text = ""

    def put(self, operator: Operator) -> Awaitable[object]:
        """Put the order."""
        return operator.pause(self.reason)


class Resume(Order, frozen=True, tag="resume"):
    """Answered by the `Hold` that was, or null."""

    def put(self, operator: Operator) -> Awaitable[object]:
        """Put the order."""
        return operator.resume()


class Allow(Order, frozen=True, tag="allow"):
    """Answered by an `Outcome`."""

    network: Name
    comment: Text = ""

    def put(self, operator: Operator) -> Awaitable[object]:
        """Put the order."""
        return operator.allow(self.network, self.comment)


class Disallow(Order, frozen=True, tag="disallow"):
    """Answered by an `Allowance`."""

    network: Name

    def put(self, operator: Operator) -> Awaitable[object]:
        """Put the order."""
        return operator.disallow(self.network)


class Allowances(Order, frozen=True, tag="allowances"):
    """Answered by a list of `Allowance`."""

    def put(self, operator: Operator) -> Awaitable[object]:
        """Put the order."""
        return operator.allowances()


class ReleaseAll(Order, frozen=True, tag="release_all"):
    """Answered by an `Outcome`."""

    def put(self, operator: Operator) -> Awaitable[object]:
        """Put the order."""
        return operator.release_all()


AnyOrder = (
    Status | Block | Lift | Undo | Pause | Resume | Allow | Disallow | Allowances | ReleaseAll
)
