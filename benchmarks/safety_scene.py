"""The daemon of the safety test, the firewall that it commands, and the ways into it.

The daemon is the real one, built out of settings as `ai-suricata run` does it, in this process: so
its ledger can be looked at, and a test can break a part of it. eve.json, sshd and Redis are real.
"""

from __future__ import annotations

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from benchmarks.safety_input import SEEN, Hostile, Way
from benchmarks.safety_world import HOME_NET, NEVER_BLOCK, SERVER

from ai_suricata.config.load import load
from ai_suricata.control.address import socket_path
from ai_suricata.control.client import ControlError, ask
from ai_suricata.control.order import Allow, Block
from ai_suricata.control.protocol import Failure
from ai_suricata.core.clock import SystemClock
from ai_suricata.core.decision import LIVE, Decision, LedgerEntry, LedgerState, Table
from ai_suricata.daemon import Daemon
from ai_suricata.respond.order import Outcome as Carried
from ai_suricata.state.clients import connect
from ai_suricata.state.redis.keys import Keys
from ai_suricata.state.redis.ledger import RedisLedger
from ai_suricata.telemetry.health import Phase
from ai_suricata.telemetry.logs import configure
from fakes import eve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence
    from pathlib import Path

    from ai_suricata.config.settings import Settings
    from ai_suricata.control.order import Order
    from ai_suricata.pipeline import Pipeline
    from ai_suricata.respond.responder import Responder
    from fakes.redis_servers import Standalone
    from fakes.sshd import PfStandIn

PATIENCE = 120.0
"""Seconds that anything may take here."""
PREFIX = "ai_suricata"
_SIGNATURES = 6  # alerts of each input: five are enough for a block
_CHUNK = 500  # inputs that are written at a time
_DURATION = 3600.0
_HANDS = 4  # orders at a time; the daemon takes eight


def variables(
    folder: Path, pf: PfStandIn, redis: Standalone, more: Sequence[str] = ()
) -> dict[str, str]:
    """Return the daemon's settings; `more`: to be never blocked."""
    return {
        **pf.environment(),
        "EVE_PATH": str(folder / "eve.json"),
        "EVE_START": "beginning",
        "STATE_DIR": str(folder / "state"),
        "METRICS_PORT": "0",
        "LOG_LEVEL": "ERROR",
        "AUTO_BLOCK": "true",
        "BLOCKS_PER_MINUTE": "1000000",
        "BLOCKS_TOTAL": "1000000",
        "BLOCK_DURATION": str(int(_DURATION)),
        "RATE_LIMIT_DURATION": str(int(_DURATION)),
        "HOME_NET": HOME_NET,  # narrow, so that private addresses come as strangers
        "NEVER_BLOCK": ",".join((*NEVER_BLOCK, *more)),
        "NEVER_BLOCK_REFRESH": "1",
        "TRAINING_EVENTS": "10000000",  # the shipped model judges to the end
        "REDIS_ENABLED": "true",
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": str(redis.port),
        "REDIS_KEY_PREFIX": PREFIX,
    }


class Scene:
    """The daemon at work."""

    def __init__(self, folder: Path, pf: PfStandIn, redis: Standalone) -> None:
        """`folder`: takes eve.json and state."""
        self.pf = pf
        self.allowed: list[str] = []
        """What a reload is to add to NEVER_BLOCK."""

        def read() -> Settings:
            return load(None, variables(folder, pf, redis, self.allowed))

        settings = read()
        configure(settings.telemetry)
        self.daemon = Daemon(settings, reload=read)
        self._eve = folder / "eve.json"
        self._eve.touch()
        self._client = connect(settings.redis)
        self._other = RedisLedger(self._client, Keys(PREFIX), SystemClock())
        self._control = socket_path(settings.state)
        # Not the loop's own threads: an order waits for what the daemon does in those.
        self._hands = ThreadPoolExecutor(_HANDS)

    @property
    def pipeline(self) -> Pipeline:
        """Return the daemon's stages; it must be ready."""
        pipeline = self.daemon._pipeline  # noqa: SLF001 - the test looks at what it runs
        if pipeline is None:
            raise RuntimeError("the daemon is not ready")
        return pipeline

    @property
    def responder(self) -> Responder:
        """Return the part that decides and enforces."""
        return self.pipeline.responder

    def entries(self) -> list[LedgerEntry]:
        """Return the daemon's ledger as it is."""
        return self.responder.ledger.entries()

    async def put(self, inputs: Sequence[Hostile]) -> dict[Hostile, str]:
        """Let all inputs in by their ways; return what was said at once to those by hand."""
        seen = [one for one in inputs if one.way in SEEN]
        for start in range(0, len(seen), _CHUNK):
            lines = [line for one in seen[start : start + _CHUNK] for line in lines_of(one)]
            await asyncio.to_thread(_append, self._eve, lines)
            await self.until(lambda: self.daemon.lag() == 0, "all is read")
        await self._share([one for one in inputs if one.way is Way.SHARED])
        return await self._order([one for one in inputs if one.way is Way.HAND])

    async def settle(self) -> None:
        """Wait until nothing is owed to disk or firewall any more, and all is proved."""
        ledger = self.responder.ledger
        await self.until(
            lambda: (
                self.responder.unsaved == 0
                and not any(ledger.pending(table) or ledger.ended(table) for table in Table)
            ),
            "all is proved",
        )

    async def until(self, reached: Callable[[], object], what: str) -> None:
        """Wait until the condition holds; TimeoutError with `what` after `PATIENCE`."""
        limit = time.monotonic() + PATIENCE
        while not reached():
            if time.monotonic() > limit:
                raise TimeoutError(f"not within {PATIENCE:.0f} s: {what}")
            await asyncio.sleep(0.02)

    async def _share(self, inputs: Sequence[Hostile]) -> None:
        """Decide on them as another instance; the last one tells when all have been heard of."""
        for one in inputs:
            try:
                await self._other.write([shared(one.text)])
            except UnicodeEncodeError:
                continue  # half a surrogate pair: no message can hold it
        if inputs:
            mark = f"49.0.{len(inputs) >> 8 & 255}.{len(inputs) & 255}"
            await self._other.write([shared(mark)])
            ledger = self.responder.ledger
            await self.until(lambda: ledger.latest(mark, Table.BLOCK), "what others decided")

    async def _order(self, inputs: Sequence[Hostile]) -> dict[Hostile, str]:
        """Block them by hand, without force; return why not, by input, or nothing."""
        said = await asyncio.gather(
            *(self._told(Block(i.text, Table.BLOCK, _DURATION)) for i in inputs)
        )
        return dict(zip(inputs, said, strict=True))

    async def allow(self, *texts: str) -> None:
        """Let the operator say that these are never blocked; RuntimeError where that fails."""
        for text in texts:
            if problem := await self._told(Allow(text)):
                raise RuntimeError(f"{text} can't be allowed: {problem}")

    async def _told(self, order: Order) -> str:
        """Put an order over the daemon's socket; return why it was not carried out, or nothing."""
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._hands, ask, self._control, order, Carried)
        except ControlError as error:
            return error.failure.value
        except UnicodeEncodeError:
            return Failure.INVALID.value  # half a surrogate pair: no order can hold it
        return ""

    async def close(self) -> None:
        """Let go of what is this side's own."""
        self._hands.shutdown()
        await self._client.aclose()


@asynccontextmanager
async def running(folder: Path, pf: PfStandIn, redis: Standalone) -> AsyncIterator[Scene]:
    """Yield a daemon that is ready; it is stopped at the end."""
    scene = Scene(folder, pf, redis)
    task = asyncio.create_task(scene.daemon.run(), name="daemon")
    try:
        health = scene.daemon.health
        await scene.until(lambda: health.phase is Phase.READY or task.done(), "ready")
        yield scene
    finally:
        scene.daemon.stop()
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(task, return_exceptions=True)
        await scene.close()


def lines_of(one: Hostile) -> list[bytes]:
    """Return the lines of eve.json that call for a block of the input, as of just now."""
    at = time.time() - eve.START
    records = [_alert(one, number, at) for number in range(_SIGNATURES)]
    return [json.dumps(record).encode() for record in records]


def shared(target: str) -> LedgerEntry:
    """Return a block that another instance has carried out."""
    now = time.time()
    decision = Decision(
        target=target,
        table=Table.BLOCK,
        duration=_DURATION,
        step=0,
        decided_at=now,
        event_time=int(now * 1_000_000),
        score=1.0,
        reasons=("attack signatures",),
        model_version="none",
    )
    return LedgerEntry(decision, LedgerState.ENFORCED, now, now + _DURATION)


def live(entries: Iterable[LedgerEntry]) -> list[LedgerEntry]:
    """Return those that are, or are to be, in a table."""
    return [entry for entry in entries if entry.state in LIVE]


def _alert(one: Hostile, number: int, at: float) -> eve.Record:
    known: dict[str, Any] = {"sid": 2_020_000 + number, "signature": f"ET EXPLOIT {number}"}
    if not one.proven:
        return eve.alert(one.text, SERVER, at, proto="UDP", **known)
    known["app_proto"] = "http"
    if one.way is Way.OPENER:
        return eve.alert(SERVER, one.text, at, opener=one.text, direction="to_client", **known)
    if one.way is Way.NAMED:
        record = eve.alert(SERVER, one.text, at, opener=SERVER, category=eve.TROJAN, **known)
        record["alert"]["source"] = {"ip": one.text, "port": 80}
        record["alert"]["target"] = {"ip": SERVER, "port": 40_000}
        return record
    return eve.alert(one.text, SERVER, at, opener=one.text, **known)


def _append(path: Path, lines: Sequence[bytes]) -> None:
    with path.open("ab") as file:
        file.write(b"".join(line + b"\n" for line in lines))
