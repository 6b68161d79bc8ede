"""An operator at work: the whole response path with a firewall that can fail, files, a socket."""

from __future__ import annotations

import asyncio
import ctypes
import os
import platform
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from ai_suricata.control.server import ControlServer
from ai_suricata.core.decision import LedgerState, Table
from ai_suricata.respond.labelling import Labelling
from ai_suricata.respond.operator import Operator, Surroundings
from ai_suricata.respond.standing import Records
from ai_suricata.state.label import LabelLog
from fakes.response import ResponsePath, verdict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from ai_suricata.core.decision import LedgerEntry
    from ai_suricata.state.hold import Hold
    from ai_suricata.state.label import Label

FEATURES = {"alerts": 3.0, "flows": 0.0, "login_attempts": 40.0}
"""What is known of each address but the strangers."""
STRANGER = "192.0.2.200"
T = TypeVar("T")
_NOBODY = 65534
_SETRESUID = {"x86_64": 117, "aarch64": 147}
"""Number of the system call by machine: libc's own wrapper changes all threads."""


class OperatedPath(ResponsePath):
    """A response path with an operator; `restart` begins both anew on the same files."""

    def __init__(self, folder: Path) -> None:
        """`folder`: as STATE_DIR."""
        self.folder = folder
        self.kinds: list[str] = []
        self.holds: list[Hold | None] = []
        super().__init__()

    def restart(self, **variables: str) -> None:
        """Begin anew as after a kill."""
        super().restart(**variables)
        self.operator = Operator(
            self.responder,
            self.protection,
            Records.of(self.folder),
            Labelling(
                LabelLog(self.folder / "labels.jsonl"),
                self.clock,
                lambda address: None if address == STRANGER else FEATURES,
                lambda: "m-1",
                self.kinds.append,
            ),
            self.clock,
            Surroundings(describe=lambda: {"phase": "ready"}, on_pause=self.holds.append),
        )

    def labels(self) -> list[Label]:
        """Return the stored labels."""
        return LabelLog(self.folder / "labels.jsonl").read()

    @asynccontextmanager
    async def running(self, **variables: str) -> AsyncIterator[Operator]:
        """Begin anew, load, recall, and let the responder run meanwhile."""
        self.restart(**variables)
        await self.ledger.load()
        await self.operator.recall()
        self.responder.judge.recall()
        task = asyncio.create_task(self.responder.run())
        try:
            yield self.operator
        finally:
            self.responder.stop()
            async with asyncio.timeout(20):
                await task


async def in_table(path: OperatedPath, table: Table = Table.BLOCK) -> set[str]:
    """Return what the firewall's table holds."""
    return {str(target) for target in await path.firewall.entries(table)}


def state_of(path: OperatedPath, target: str, table: Table = Table.BLOCK) -> LedgerState:
    """Return the state of a target's entry."""
    return entry_of(path, target, table).state


def entry_of(path: OperatedPath, target: str, table: Table = Table.BLOCK) -> LedgerEntry:
    """Return a target's entry."""
    entry = path.ledger.latest(target, table)
    assert entry is not None
    return entry


async def decided(path: OperatedPath, *addresses: str) -> None:
    """Let the daemon block the addresses by itself, and wait until it has."""
    await path.responder.respond([verdict(address) for address in addresses])
    assert await path.responder.settled(10)


class Served:
    """An operator behind a control socket, in a thread of its own, for those who only ask."""

    def __init__(self, folder: Path, socket: Path, **variables: str) -> None:
        """`folder`: as STATE_DIR; `variables`: settings of the response."""
        self.path = OperatedPath(folder)
        self._socket = socket
        self._variables = variables
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    async def _run(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        async with (
            self.path.running(**self._variables) as operator,
            ControlServer(operator, self._socket),
        ):
            self._ready.set()
            await self._over.wait()

    def call(self, coroutine: Any) -> Any:  # noqa: ANN401 - whatever the coroutine returns
        """Run a coroutine in the thread's loop, and return what it returns."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=20)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(20)


@contextmanager
def open_folder() -> Iterator[Path]:
    """Yield a folder that every user may look into, as pytest's own may not."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def as_nobody(act: Callable[[], T]) -> T:
    """Do something as the user nobody, in a thread that alone is that user; needs root."""

    def done() -> T:
        number, keep = _SETRESUID[platform.machine()], ctypes.c_int(-1)
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.syscall(number, keep, ctypes.c_int(_NOBODY), keep) != 0:
            raise OSError(ctypes.get_errno(), "setresuid")
        assert _NOBODY == os.geteuid()
        return act()

    with ThreadPoolExecutor(1) as one:
        return one.submit(done).result(20)
