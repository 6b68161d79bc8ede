"""What a daemon is made of: the stages, built out of the settings and joined."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ai_suricata.analysis import Analysis
from ai_suricata.backend import (
    dead_letter_of,
    fleet_of,
    local_state,
    recorder_of,
    source_of,
)
from ai_suricata.chronicle import Chronicle
from ai_suricata.classify.ensemble import Classifier
from ai_suricata.classify.learning import Learning
from ai_suricata.classify.shadow import Shadow
from ai_suricata.classify.supervision import Supervision
from ai_suricata.control.behaviour import features_of
from ai_suricata.core.decision import LedgerState, Table
from ai_suricata.core.position import parted
from ai_suricata.features.bystander import Bystanders
from ai_suricata.features.extract import Extractor
from ai_suricata.firewall.dry_run import DryRun
from ai_suricata.mirroring import Mirroring
from ai_suricata.pipeline import Pipeline
from ai_suricata.respond.enforcer import Enforcer, targets_of
from ai_suricata.respond.labelling import Labelling
from ai_suricata.respond.ledger import Ledger
from ai_suricata.respond.operator import Operator, Surroundings
from ai_suricata.respond.protection import Protection
from ai_suricata.respond.responder import Responder
from ai_suricata.respond.sentry import Sentry
from ai_suricata.respond.standing import Records
from ai_suricata.respond.surroundings import addresses_of, gateways, name_servers, own_addresses
from ai_suricata.serving import Serving, fields_of
from ai_suricata.sink.audit import AuditLog
from ai_suricata.sink.notify.dispatch import Dispatch
from ai_suricata.state.label import LabelLog
from ai_suricata.telemetry.health import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ai_suricata.classify.model import Model
    from ai_suricata.config.respond import RespondSettings
    from ai_suricata.config.settings import ClassifySettings, Settings
    from ai_suricata.core.address import Network
    from ai_suricata.core.clock import Clock
    from ai_suricata.core.verdict import Verdict
    from ai_suricata.exchange import Exchange
    from ai_suricata.firewall.fleet import Fleet
    from ai_suricata.state.hold import Hold
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
        self.dispatch = Dispatch(settings.notify, clock, metrics.notification)
        self.chronicle = self._chronicle()
        self.sentry = Sentry()
        self.ledger.follow(self.sentry.changed)
        labels = LabelLog(settings.state.directory / "labels.jsonl")
        self.labelling = Labelling(labels, clock, on_label=metrics.label)
        self.bystanders: Bystanders | None = None
        self._serving = Serving(settings, clock, health, metrics)
        self._supervision: Supervision | None = None

    def fleet(self) -> Fleet:
        """Return the firewalls that FIREWALL names, or their dry run."""
        dry = self.settings.respond.dry_run
        return fleet_of(self.settings, self.chronicle.sent, dry=dry)

    async def recall(self, fleet: Fleet) -> None:
        """Give a dry run the tables that an earlier one had: they were nowhere but in memory."""
        self.sentry.recall(self.ledger.entries())
        if fleet.name == DryRun.name:
            for table in Table:
                held = dict.fromkeys(targets_of(self.ledger.enforced(table)), 0.0)
                for member in fleet.members:
                    await member.add(table, held)

    def responder(self, fleet: Fleet) -> Responder:
        """Return what decides, and keeps the firewalls in step."""
        settings = self.settings
        protection = protection_of(settings, self.clock)
        enforcer = Enforcer(fleet, self.ledger, protection, self.chronicle)
        responder = Responder(respond_settings(settings), self.ledger, enforcer, self.clock)
        self.metrics.gap(responder.gap)
        self.metrics.never_block_age(protection.age)
        protection.listed = self.metrics.never_block_size
        self.metrics.never_block_size(len(protection.never_block.networks))
        return responder

    def operator(self, responder: Responder) -> Operator:
        """Return what carries out a person's orders."""
        folder = self.settings.state.directory
        return Operator(
            responder,
            responder.enforcer.protection,
            Records.of(folder),
            self.labelling,
            self.clock,
            Surroundings(self.health.snapshot, self._tell_pause),
        )

    def exchange(self, responder: Responder) -> Exchange | None:
        """Return the connection to Redis, where it is in use; the ledger is shared over it."""
        if not self.settings.state.redis_enabled:
            return None
        from ai_suricata.exchange import Exchange  # noqa: PLC0415 - redis-py, only where it is used

        exchange = Exchange(self.settings, self._tell_redis, self.metrics.notification)
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
            sentry=self.sentry if self.chronicle.real else None,
            seen=self.chronicle.seen,
            dead_letter=dead_letter_of(settings, self.clock),
            aside=aside,
            mirroring=Mirroring(extractor, exchange.mirror) if exchange is not None else None,
            companions=(
                recorder,
                self.dispatch,
                *(exchange.companions if exchange is not None else ()),
            ),
        )
        analysis = pipeline.analysis
        self.labelling.features = partial(features_of, extractor.table)
        self.labelling.model = lambda: analysis.classifier.version
        self.bystanders = Bystanders(extractor.table, settings.classify.medium)
        responder.judge.bystander = self.bystanders
        if exchange is not None:
            pipeline.companions += (
                exchange.tell(pipeline.overview),
                exchange.describe(lambda: fields_of(analysis.classifier.model)),
            )
        return pipeline

    def _chronicle(self) -> Chronicle:
        settings = self.settings
        path = settings.state.directory / "audit.jsonl"
        audit = AuditLog(
            path,
            self.clock,
            settings.sink.audit_bytes,
            settings.sink.audit_files,
            firewall=self.ledger_name,
        )
        real = not settings.respond.dry_run and settings.firewall.firewall != DryRun.name
        chronicle = Chronicle(
            audit, self.metrics, self.health, self.clock, real=real, notify=self.dispatch.take
        )
        ledger = self.ledger
        chronicle.count_active(
            {table: partial(ledger.count, table, {LedgerState.ENFORCED}) for table in Table}
        )
        return chronicle

    def _analysis(self, extractor: Extractor, exchange: Exchange | None) -> Analysis:
        settings = self.settings
        model = self._serving.stored()
        classify = settings.classify
        analysis = Analysis(
            extractor, Classifier(classify, model), _learning(classify, model), self._serving.begin
        )
        self._supervision = self._supervise(analysis)
        analysis.observers.append(self._supervision.observe)
        if exchange is not None:

            def serve(shared: Model) -> None:
                analysis.serve(shared)
                self._serving.begin(shared)

            training = exchange.coordinate(lambda: analysis.learning is not None, serve)
            analysis.coordinate(training.permitted, training.trained)
        return analysis

    def _supervise(self, analysis: Analysis) -> Supervision:
        """Return what watches drift, and scores the shadow model beside the one that serves."""
        model = self._serving.shadow()
        classify = self.settings.classify
        shadow = None if model is None else Shadow(model, model.version, classify)
        return Supervision(lambda: analysis.classifier.model, self.metrics, self.health, shadow)

    def promoted(self) -> Model | None:
        """Return the model that was promoted since the last look, if one was; reads the disk."""
        return self._serving.promoted()

    def reload(self, analysis: Analysis, classify: ClassifySettings, model: Model | None) -> None:
        """Go on with other thresholds, and with `model` where one was promoted."""
        if model is not None:
            analysis.serve(model)
            analysis.learning = _learning(classify, model)
        analysis.classifier = Classifier(classify, analysis.classifier.model)
        if self.bystanders is not None:
            self.bystanders.harmless = classify.medium
        if self._supervision is not None and self._supervision.shadow is not None:
            self._supervision.shadow.reload(classify)

    def _tell_pause(self, hold: Hold | None) -> None:
        self.chronicle.paused(hold.reason if hold is not None else None)

    def _tell_redis(self, problem: str | None) -> None:
        said = problem or "shared"
        self.health.set("redis", Status.DEGRADED if problem else Status.OK, said)
        self.metrics.state_backend(up=problem is None)


def _learning(settings: ClassifySettings, model: Model | None) -> Learning | None:
    """Return a learning period, unless the model knows this network already."""
    if model is not None and model.local:
        return None
    return Learning(settings.training_events, settings.medium)


def respond_settings(settings: Settings) -> RespondSettings:
    """Return what the response takes: without the spoof guard, no network in place of neighbours.

    Forged packets would then be enough to have a whole network blocked.
    """
    if settings.classify.spoof_guard:
        return settings.respond
    return settings.respond.model_copy(update={"promote_ipv4": 0, "promote_ipv6": 0})


def protection_of(settings: Settings, clock: Clock) -> Protection:
    """Return who is never blocked as far as settings and this machine tell; may wait for DNS."""
    return Protection(fixed(settings), around(settings), clock=clock)


def fixed(settings: Settings) -> dict[str, tuple[Network, ...]]:
    """Return whom the settings protect, by what they are."""
    return {
        "NEVER_BLOCK": settings.respond.never_block,
        "home network": settings.features.home_net,
    }


def around(settings: Settings) -> dict[str, Callable[[], tuple[Network, ...]]]:
    """Return what this machine is asked for, since it lives by it."""
    asked: dict[str, Callable[[], tuple[Network, ...]]] = {
        "own address": own_addresses,
        "own gateway": gateways,
        "own DNS server": name_servers,
    }
    firewall = settings.firewall
    if firewall.firewall == "pfsense" or settings.source.eve_source == "ssh":
        asked["the firewall"] = lambda: tuple(
            network for one in firewall.each() for network in addresses_of(one.host)
        )
    return asked


def _both(one: Listener, other: Listener) -> Listener:
    def listen(verdicts: Sequence[Verdict]) -> None:
        one(verdicts)
        other(verdicts)

    return listen
