"""One daemon: has its parts built out of the settings, and lives their life cycle.

STARTING, READY, DRAINING, STOPPED, or FAILED.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
from typing import TYPE_CHECKING

import structlog

from ai_suricata import __version__
from ai_suricata.assembly import Assembly, fixed, respond_settings
from ai_suricata.backend import (
    blocks_elsewhere,
    describe_source,
)
from ai_suricata.config.change import change
from ai_suricata.control.address import socket_path
from ai_suricata.control.server import ControlServer
from ai_suricata.core.clock import Clock, SystemClock
from ai_suricata.core.errors import ConfigError
from ai_suricata.telemetry.health import Health, Phase, Status
from ai_suricata.telemetry.logs import configure
from ai_suricata.telemetry.metrics import Metrics
from ai_suricata.telemetry.server import MetricsServer
from ai_suricata.telemetry.systemd import (
    READY,
    STOPPING,
    WATCHDOG,
    notify,
    status,
    watchdog_interval,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ai_suricata.classify.model import Model
    from ai_suricata.config.settings import Settings
    from ai_suricata.core.verdict import Verdict
    from ai_suricata.pipeline import Pipeline
    from ai_suricata.respond.operator import Operator
    from ai_suricata.respond.responder import Responder

    Listener = Callable[[Sequence[Verdict]], None]
    Reload = Callable[[], Settings]
    """Reads the settings again, raising `ConfigError`."""

log = structlog.get_logger(__name__)

RECONCILE_AT_START = 2.0
"""Seconds that the first reconciling may take before the daemon is ready without it."""
READ_ON = 10.0
"""Seconds after the first signal in which what was written before it is still read."""
MOST_FILES = 65_536
"""Descriptors that the daemon asks for, as far as it may."""
DRAIN = 20.0
"""Seconds after the first signal in which the stages finish what was read."""


class Daemon:
    """One instance. `run` returns when it has stopped, and raises where it could not go on."""

    def __init__(
        self,
        settings: Settings,
        listener: Listener = lambda _verdicts: None,
        clock: Clock | None = None,
        reload: Reload | None = None,
    ) -> None:
        """Take the settings; `listener` is handed every verdict, `clock` is the wall clock.

        `reload`: what SIGHUP calls; without it, that signal has its usual meaning.
        """
        self.settings = settings
        self._reload = reload
        self.clock = clock or SystemClock()
        self.metrics = Metrics(self.clock)
        self.health = Health(self.clock)
        self.server = MetricsServer(settings.telemetry, self.metrics, self.health)
        self.assembly = Assembly(settings, self.clock, self.metrics, self.health)
        self._listener = listener
        self._task: asyncio.Task[None] | None = None
        self._pipeline: Pipeline | None = None
        self._operator: Operator | None = None
        self._stopping = False
        self._overdue = False
        self._reloading: asyncio.Task[None] | None = None
        self._limits: tuple[asyncio.TimerHandle, ...] = ()
        self._beaten = 0.0

    async def run(self) -> None:
        """Start, work until a signal or `stop`, drain, and store."""
        self._task = asyncio.current_task()
        _allow_many_files()
        self.health.enter(Phase.STARTING)
        try:
            await self._live()
        except asyncio.CancelledError:
            if not self._overdue:
                self.health.enter(Phase.FAILED)
                raise
            log.warning(
                "time to drain is over; what was not stored is read again at the next start"
            )
        except BaseException:  # whatever ends it, /health says so until the process is gone
            self.health.enter(Phase.FAILED)
            raise
        self.health.enter(Phase.STOPPED)

    def stop(self) -> None:
        """Stop as on the first signal: what has been written by now is worked through."""
        if self._stopping:
            return
        self._stopping = True
        self.health.enter(Phase.DRAINING)
        notify(STOPPING)
        if self._pipeline is not None:
            self._drain(self._pipeline)

    def _drain(self, pipeline: Pipeline) -> None:
        pipeline.stop()
        loop = asyncio.get_running_loop()
        self._limits = (
            loop.call_later(READ_ON, pipeline.stop_reading),
            loop.call_later(DRAIN, self._give_up),
        )

    def lag(self) -> int:
        """Return the bytes of the source that are not worked through yet."""
        return self._pipeline.lag() if self._pipeline is not None else 0

    async def _live(self) -> None:
        async with contextlib.AsyncExitStack() as stack:
            self._handle_signals(stack)
            self._introduce()
            stack.enter_context(self.server)
            pipeline = await self._build(stack)
            await self._first_reconcile(pipeline.responder)
            await self._take_orders(stack)
            self._pipeline = pipeline
            if self._stopping:
                self._drain(pipeline)
            else:
                self.health.enter(Phase.READY)
                notify(READY, status("reading"))
            stack.callback(self._forget_limits)
            await pipeline.run()

    async def _build(self, stack: contextlib.AsyncExitStack) -> Pipeline:
        """Open state and ledger, and build what works on them; `stack` closes it all."""
        assembly = self.assembly
        await assembly.state.open()
        stack.push_async_callback(assembly.state.close)
        await assembly.ledger.load()
        self._tell_of_others()
        fleet = assembly.fleet()
        stack.push_async_callback(fleet.close)
        await assembly.recall(fleet)
        responder = await asyncio.to_thread(assembly.responder, fleet)  # asks DNS
        self._operator = assembly.operator(responder)
        await self._operator.recall()
        exchange = assembly.exchange(responder)
        if exchange is not None:
            stack.push_async_callback(exchange.close)
        return await assembly.pipeline(responder, exchange, self._listener, self._heartbeat)

    async def _take_orders(self, stack: contextlib.AsyncExitStack) -> None:
        """Listen to the operator, now that the tables of an earlier run were looked at."""
        if self._operator is not None:
            path = socket_path(self.settings.state)
            await stack.enter_async_context(ControlServer(self._operator, path))

    def _tell_of_others(self) -> None:
        """Tell of real blocks that this run has nothing to do with, such as from before DRY_RUN."""
        for name, count in blocks_elsewhere(self.settings).items():
            remedy = "take DRY_RUN out" if self.settings.respond.dry_run else f"set FIREWALL={name}"
            self.health.set(
                "other blocks",
                Status.DEGRADED,
                f"{count} entries of an earlier run stay on {name} and do not end by themselves: "
                f"{remedy}, or stop this and run `ai-suricata blocks release --all` with it",
            )

    def _introduce(self) -> None:
        """Say in one line what this is, and what it is about to do."""
        settings = self.settings
        log.info(
            "ai-suricata starts",
            version=__version__,
            source=describe_source(settings),
            home_net=[str(network) for network in settings.features.home_net],
            firewall=settings.firewall.firewall,
            auto_block=settings.respond.auto_block,
            dry_run=settings.respond.dry_run,
            state=str(settings.state.directory),
            redis=settings.state.redis_enabled,
        )

    async def _first_reconcile(self, responder: Responder) -> None:
        """Bring the tables in order before the first event, unless the firewall is away."""
        self.health.set("firewall", Status.OK, "not asked yet")
        if not await responder.start(RECONCILE_AT_START):
            self.assembly.chronicle.awaited("no answer yet; it is asked again")

    def _heartbeat(self) -> None:
        """Feed systemd's watchdog. The pipeline calls this: one that hangs starves it."""
        interval = watchdog_interval()
        now = asyncio.get_running_loop().time()
        if interval is not None and now - self._beaten >= interval / 4:
            self._beaten = now
            notify(WATCHDOG)

    def _handle_signals(self, stack: contextlib.AsyncExitStack) -> None:
        loop = asyncio.get_running_loop()
        handlers = {signal.SIGTERM: self._on_signal, signal.SIGINT: self._on_signal}
        if self._reload is not None:
            handlers[signal.SIGHUP] = self._on_hangup
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
            stack.callback(loop.remove_signal_handler, number)

    def _on_signal(self) -> None:
        """Stop at the first signal, and at once at the second."""
        if self._stopping:
            self._cancel()
        else:
            self.stop()

    def _on_hangup(self) -> None:
        self._reloading = asyncio.create_task(self.reload(), name="reload")

    async def reload(self) -> None:
        """Read the configuration again, and take what may change at once.

        Wrong settings change nothing, and are named; so is what waits for a restart.
        """
        if self._reload is None or self._pipeline is None:
            log.warning("configuration is not read again before the start is over")
            return
        try:
            found = change(self.settings, await asyncio.to_thread(self._reload))
        except ConfigError as error:
            for problem in error.problems:
                log.error("wrong setting; the settings stay as they were", problem=problem)
            return
        self.settings = found.settings
        model = await asyncio.to_thread(self.assembly.promoted)  # loads an artifact
        self._apply(self._pipeline, model)
        if {"LOG_LEVEL", "LOG_FORMAT"}.intersection(found.taken):
            configure(self.settings.telemetry)
        log.info("configuration read again", changed=list(found.taken))
        if found.later:
            log.warning("changed settings that need a restart", settings=list(found.later))

    def _apply(self, pipeline: Pipeline, model: Model | None) -> None:
        settings = self.settings
        self.assembly.reload(pipeline.analysis, settings.classify, model)
        pipeline.responder.reload(respond_settings(settings), fixed(settings))

    def _give_up(self) -> None:
        self._overdue = True
        self._cancel()

    def _forget_limits(self) -> None:
        for limit in self._limits:
            limit.cancel()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()


def _allow_many_files() -> None:
    """Raise the soft limit of descriptors as far as the hard one lets us (systemd's is 1024).

    A glob can match more files than that, and the limit is only low for programs that still call
    select(2) (systemd.exec(5), LimitNOFILE).
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
