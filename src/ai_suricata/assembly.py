"""What a daemon is made of: the stages, built out of the settings and joined."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai_suricata.analysis import Analysis
from ai_suricata.backend import (
    dead_letter_of,
    firewall_of,
    local_state,
    recorder_of,
    source_of,
)
from ai_suricata.chronicle import Chronicle
from ai_suricata.classify.ensemble import Classifier
from ai_suricata.classify.learning import Learning
from ai_suricata.core.decision import Table
from ai_suricata.core.position import parted
from ai_suricata.features.extract import Extractor
from ai_suricata.firewall.dry_run import DryRun
from ai_suricata.mirroring import Mirroring
from ai_suricata.pipeline import Pipeline
from ai_suricata.respond.enforcer import Enforcer, targets_of
from ai_suricata.respond.ledger import Ledger
from ai_suricata.respond.never_block import NeverBlock
from ai_suricata.respond.responder import Responder
from ai_suricata.respond.surroundings import addresses_of, gateways, name_servers, own_addresses
from ai_suricata.serving import Serving
from ai_suricata.sink.audit import AuditLog
from ai_suricata.telemetry.health import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ai_suricata.classify.estimator import Model
    from ai_suricata.config.settings import Settings
    from ai_suricata.core.clock import Clock
    from ai_suricata.core.verdict import Verdict
    from ai_suricata.exchange import Exchange
    from ai_suricata.firewall.base import Firewall
    from ai_suricata.telemetry.health import Health
    from ai_suricata.telemetry.metrics import Metrics

    Listener = Callable[[Sequence[Verdict]], None]


class Assembly:
    """Builds each part once; what two parts share stands here."""

    def __init__(self, settings: Settings, clock: Clock, metrics: Metrics, health: Health) -> None:
        """Nothing is opened yet; `clock` is the wall clock."""
        self.settings = settings
        self.clock = clock
        self.metrics = metrics
        self.health = health
        self.ledger_name, self.state = local_state(settings)
        self.ledger = Ledger(self.state.ledger, clock)
        self._serving = Serving(settings.state.directory / "model.zip", health, metrics)

    def firewall(self) -> Firewall:
        """Return the firewall that FIREWALL names, or its dry run."""
        dry = self.settings.respond.dry_run
        return firewall_of(self.settings, self.metrics.command, dry=dry)

    async def recall(self, firewall: Firewall) -> None:
        """Give a dry run the tables that an earlier one had: they were nowhere but in memory."""
        if firewall.name == DryRun.name:
            for table in Table:
                await firewall.add(table, targets_of(self.ledger.enforced(table)))

    def responder(self, firewall: Firewall) -> Responder:
        """Return what decides, and keeps the firewall in step."""
        settings = self.settings
        audit = AuditLog(settings.state.directory / "audit.jsonl", self.clock)
        real = firewall.name != DryRun.name
        chronicle = Chronicle(self.ledger, audit, self.metrics, self.health, self.clock, real=real)
        enforcer = Enforcer(firewall, self.ledger, never_block_of(settings), chronicle)
        return Responder(settings.respond, self.ledger, enforcer, self.clock)

    def exchange(self, responder: Responder) -> Exchange | None:
        """Return the connection to Redis, where it is in use; the ledger is shared over it."""
        if not self.settings.state.redis_enabled:
            return None
        from ai_suricata.exchange import Exchange  # noqa: PLC0415 - redis-py, only where it is used

        exchange = Exchange(self.settings, self._tell_redis)
        exchange.share(self.ledger, responder, self.ledger_name, self.clock)
        return exchange

    async def pipeline(
        self,
        responder: Responder,
        exchange: Exchange | None,
        listener: Listener,
        heartbeat: Callable[[], None],
    ) -> Pipeline:
        """Return the stages, joined, where an earlier run left them.

        Raises `StateError` and `ConfigError`.
        """
        settings = self.settings
        snapshot = await self.state.behaviour.load()
        if exchange is not None:
            snapshot = await exchange.begin(snapshot)
        extractor = Extractor(settings.features, own_addresses())
        if exchange is not None:
            extractor.table.keep_evicted()
        if snapshot is not None:
            extractor.restore(snapshot)
        recorder = recorder_of(settings, exchange)
        position, aside = parted(
            snapshot.position if snapshot is not None else {}, settings.source.eve_source
        )
        pipeline = Pipeline(
            source=source_of(settings, position),
            analysis=self._analysis(extractor, exchange),
            responder=responder,
            store=self.state.behaviour,
            flush_interval=settings.state.flush_interval,
            most_bytes=settings.source.buffer_bytes,
            clock=self.clock,
            metrics=self.metrics,
            health=self.health,
            heartbeat=heartbeat,
            listener=listener if exchange is None else _both(listener, exchange.announcer.take),
            recorder=recorder,
            dead_letter=dead_letter_of(settings, self.clock),
            aside=aside,
            mirroring=Mirroring(extractor, exchange.mirror) if exchange is not None else None,
            companions=(recorder, *(exchange.companions if exchange is not None else ())),
        )
        if exchange is not None:
            pipeline.companions.append(exchange.tell(pipeline.overview))
        return pipeline

    def _analysis(self, extractor: Extractor, exchange: Exchange | None) -> Analysis:
        settings = self.settings
        model = self._serving.stored()
        learning = Learning(settings.classify.training_events) if model is None else None
        analysis = Analysis(
            extractor, Classifier(settings.classify, model), learning, self._serving.begin
        )
        if exchange is not None:

            def serve(shared: Model) -> None:
                analysis.serve(shared)
                self._serving.begin(shared)

            training = exchange.coordinate(lambda: analysis.learning is not None, serve)
            analysis.coordinate(training.permitted, training.trained)
        return analysis

    def _tell_redis(self, problem: str | None) -> None:
        said = problem or "shared"
        self.health.set("redis", Status.DEGRADED if problem else Status.OK, said)
        self.metrics.state_backend(up=problem is None)


def never_block_of(settings: Settings) -> NeverBlock:
    """Return who is never blocked, asking this machine for its surroundings."""
    uses_firewall = settings.firewall.firewall != DryRun.name or settings.source.eve_source == "ssh"
    return NeverBlock(
        {
            "NEVER_BLOCK": settings.respond.never_block,
            "home network": settings.features.home_net,
            "own address": own_addresses(),
            "own gateway": gateways(),
            "own DNS server": name_servers(),
            "the firewall": addresses_of(settings.firewall.host) if uses_firewall else (),
        }
    )


def _both(one: Listener, other: Listener) -> Listener:
    def listen(verdicts: Sequence[Verdict]) -> None:
        one(verdicts)
        other(verdicts)

    return listen
