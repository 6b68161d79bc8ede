"""The networks that an operator has named at run time as never to be blocked: `allow.json`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from ai_suricata.core.address import parse_network
from ai_suricata.core.errors import StateError
from ai_suricata.state.file import replace

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ai_suricata.core.address import Network


class Allowance(msgspec.Struct, frozen=True):
    """One network that is never blocked, because a person said so."""

    network: str
    """Canonical text; an address has its full prefix length."""
    comment: str
    since: float
    """Wall-clock seconds since the epoch."""

    @property
    def parsed(self) -> Network:
        """The network as an object."""
        return parse_network(self.network)


_decoder = msgspec.json.Decoder(list[Allowance])


class AllowanceFile:
    """Keeps the list, whole."""

    def __init__(self, path: Path) -> None:
        """`path`: a .json file; made when first needed."""
        self.path = path

    async def load(self) -> list[Allowance]:
        """Return the list; empty where there is no file.

        Raises `StateError` where it can't be read: whom the operator protects must be known before
        anything is blocked.
        """
        return await asyncio.to_thread(self.read)

    async def save(self, allowances: Iterable[Allowance]) -> None:
        """Store the list in the place of the earlier one. Raises `StateError`; that one stays."""
        content = msgspec.json.format(msgspec.json.encode(list(allowances)), indent=1)
        await asyncio.to_thread(replace, self.path, content + b"\n")

    def read(self) -> list[Allowance]:
        """Return the list as it is stored, for those who only look. Raises as `load`."""
        try:
            found = _decoder.decode(self.path.read_bytes())
            for allowance in found:
                parse_network(allowance.network)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StateError(
                f"{self.path} can't be read: {error.strerror}; grant the right"
            ) from error
        except (msgspec.DecodeError, ValueError) as error:
            raise StateError(
                f"{self.path} can't be read ({error}); mend it, or move it away and add its "
                "networks again with `ai-suricata allow add`"
            ) from error
        return found
