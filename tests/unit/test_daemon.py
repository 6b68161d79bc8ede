"""The life of the daemon: started, ready, drained, stopped; built out of its settings."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

import numpy as np
import pytest
from structlog.testing import capture_logs

from ai_suricata import daemon as module
from ai_suricata.assembly import protection_of
from ai_suricata.backend import stored_ledger
from ai_suricata.classify.artifact import dump
from ai_suricata.classify.estimator import fit
from ai_suricata.classify.model import unlabelled
from ai_suricata.classify.store import ModelStore, Origin
from ai_suricata.config.load import load
from ai_suricata.core.decision import Table
from ai_suricata.core.errors import ConfigError, StateError
from ai_suricata.core.position import files_of
from ai_suricata.core.schema import FEATURES
from ai_suricata.daemon import Daemon
from ai_suricata.features.table import LAYOUT
from ai_suricata.firewall.dry_run import DryRun
from ai_suricata.firewall.fleet import Fleet
from ai_suricata.respond import surroundings
from ai_suricata.state.memory import MemoryState
from ai_suricata.telemetry.health import Phase
from fakes import eve
from fakes.response import ATTACKER, FakeFirewall, clock_at, decision, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from ai_suricata.config.settings import Settings

LOGINS = b"".join(eve.line(eve.login(ATTACKER, at=at)) + b"\n" for at in range(100))
JUST_NOW = eve.START + 100.0


def settings_in(folder: Path, **variables: str) -> Settings:
    """Return settings with all files below `folder`."""
    return load(
        environment={
            "EVE_PATH": str(folder / "eve.json"),
            "EVE_START": "beginning",
            "STATE_DIR": str(folder / "state"),
            "METRICS_PORT": "0",
            "AUTO_BLOCK": "true",
            **variables,
        }
    )


def daemon_in(folder: Path, **variables: str) -> Daemon:
    """Return a daemon whose wall clock stands just behind the events."""
    return Daemon(settings_in(folder, **variables), clock=clock_at(JUST_NOW))


@asynccontextmanager
async def running(daemon: Daemon) -> AsyncIterator[asyncio.Task[None]]:
    """Let it run until it is ready; stop it and wait for its end."""
    task = asyncio.create_task(daemon.run())
    try:
        await until(lambda: daemon.health.ready or task.done())
        yield task
    finally:
        daemon.stop()
        async with asyncio.timeout(20):
            await task


async def test_it_goes_through_its_phases(tmp_path: Path) -> None:
    """STARTING, READY, DRAINING, STOPPED."""
    daemon = daemon_in(tmp_path)
    phases: list[Phase] = []
    enter = daemon.health.enter

    def spy(phase: Phase) -> None:
        phases.append(phase)
        enter(phase)

    daemon.health.enter = spy  # type: ignore[method-assign]
    async with running(daemon):
        pass

    assert [Phase.STARTING, Phase.READY, Phase.DRAINING, Phase.STOPPED] == phases


async def test_an_attacker_in_the_file_is_blocked_in_the_ledger(tmp_path: Path) -> None:
    """From eve.json to a proved entry; who only looks reads the same from disk."""
    (tmp_path / "eve.json").write_bytes(LOGINS)
    daemon = daemon_in(tmp_path)
    async with running(daemon):
        await until(lambda: daemon.assembly.ledger.enforced(Table.BLOCK))
        assert 0 == daemon.lag()

    name, entries = stored_ledger(daemon.settings)
    assert "dry_run" == name
    assert [ATTACKER] == [e.target for e in entries if e.decision.table is Table.BLOCK]


async def test_a_stop_while_it_starts_is_not_lost(tmp_path: Path) -> None:
    """It never becomes ready, stores its place, and ends as asked."""
    daemon = daemon_in(tmp_path)
    phases: list[Phase] = []
    enter = daemon.health.enter

    def spy(phase: Phase) -> None:
        phases.append(phase)
        enter(phase)
        if phase is Phase.STARTING:
            daemon.stop()

    daemon.health.enter = spy  # type: ignore[method-assign]
    async with asyncio.timeout(10):
        await daemon.run()

    assert [Phase.STARTING, Phase.DRAINING, Phase.STOPPED] == phases
    assert await MemoryState(tmp_path / "state", "dry_run", LAYOUT).behaviour.load() is not None


async def test_stopping_twice_is_stopping(tmp_path: Path) -> None:
    """Only a second signal cancels."""
    daemon = daemon_in(tmp_path)
    async with running(daemon):
        daemon.stop()
        daemon.stop()

    assert Phase.STOPPED is daemon.health.phase


async def test_a_second_signal_cancels(tmp_path: Path) -> None:
    """Whatever still goes on."""
    daemon = daemon_in(tmp_path)
    task = asyncio.create_task(daemon.run())
    await until(lambda: daemon.health.ready)
    daemon._on_signal()
    daemon._on_signal()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert Phase.FAILED is daemon.health.phase


async def test_draining_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A firewall that hangs at the end does not keep it: the place is stored, the exit is clean."""
    monkeypatch.setattr(module, "DRAIN", 0.6)
    (tmp_path / "eve.json").write_bytes(LOGINS)
    firewall = FakeFirewall()
    firewall.hanging["add"] = asyncio.Event()
    daemon = daemon_in(tmp_path)
    monkeypatch.setattr(daemon.assembly, "fleet", lambda: Fleet([firewall]))
    with capture_logs() as told:
        async with running(daemon):
            await until(lambda: "add" in firewall.calls)

    assert Phase.STOPPED is daemon.health.phase
    assert [line["event"] for line in told if "drain" in line["event"]]
    snapshot = await MemoryState(tmp_path / "state", "dry_run", LAYOUT).behaviour.load()
    assert snapshot is not None
    [position] = files_of(snapshot.position, str(tmp_path / "eve.json"))
    assert len(LOGINS) == position.offset


async def test_it_is_ready_without_a_firewall_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Degraded, after a bounded wait; the command in flight is not broken off."""
    monkeypatch.setattr(module, "RECONCILE_AT_START", 0.05)
    (tmp_path / "state").mkdir()
    daemon = daemon_in(tmp_path, FIREWALL="pfsense", PFSENSE_KNOWN_HOSTS="k")
    await daemon.assembly.ledger.request([decision(at=JUST_NOW)])
    firewall = FakeFirewall()
    answer = firewall.hanging["add"] = asyncio.Event()
    daemon.assembly.fleet = lambda: Fleet([firewall])  # type: ignore[method-assign]
    async with running(daemon):
        health = daemon.health.snapshot()["parts"]["firewall"]
        assert ("degraded", "no answer yet; it is asked again") == (
            health["status"],
            health["detail"],
        )
        assert b"suricata_ai_firewall_up 0.0" in daemon.metrics.render()

        answer.set()
        await until(lambda: daemon.assembly.ledger.enforced(Table.BLOCK))
        await until(lambda: b"suricata_ai_firewall_up 1.0" in daemon.metrics.render())
    assert 1 == firewall.calls.count("add")


@pytest.mark.parametrize("by", [{"FIREWALL": "pfsense"}, {"EVE_SOURCE": "ssh"}])
async def test_own_addresses_gateways_and_the_firewall_are_never_blocked(
    tmp_path: Path, by: dict[str, str]
) -> None:
    """Along with HOME_NET and the operator's list."""
    variables = {
        **by,
        "PFSENSE_HOST": "203.0.113.254",
        "PFSENSE_KNOWN_HOSTS": str(tmp_path / "known_hosts"),
        "HOME_NET": "192.0.2.0/24",
        "NEVER_BLOCK": "198.51.100.7",
    }
    settings = daemon_in(tmp_path, **variables).settings
    never_block = protection_of(settings, clock_at()).never_block

    assert "the firewall: 203.0.113.254/32" == never_block.reason_for_text("203.0.113.254")
    assert "home network: 192.0.2.0/24" == never_block.reason_for_text("192.0.2.200")
    assert "NEVER_BLOCK: 198.51.100.7/32" == never_block.reason_for_text("198.51.100.7")
    for found in (surroundings.own_addresses, surroundings.gateways, surroundings.name_servers):
        for network in found():
            assert never_block.reason(network) is not None


async def test_a_dry_run_sends_nothing_wherever_the_firewall_is(tmp_path: Path) -> None:
    """DRY_RUN wins over FIREWALL, and keeps a ledger of its own."""
    variables = {"FIREWALL": "pfsense", "PFSENSE_KNOWN_HOSTS": "k", "DRY_RUN": "true"}
    daemon = daemon_in(tmp_path, **variables)

    assert isinstance(daemon.assembly.fleet().members[0], DryRun)
    assert "dry_run" == stored_ledger(daemon.settings)[0]


async def test_a_snapshot_that_is_damaged_stops_the_start(tmp_path: Path) -> None:
    """With the remedy; guessing a place would count twice or skip."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state/behaviour.1.log").write_bytes(b"damaged")
    daemon = daemon_in(tmp_path)

    with pytest.raises(StateError, match="move it away"):
        await daemon.run()
    assert Phase.FAILED is daemon.health.phase


async def test_a_model_is_learned_stored_and_served_again(tmp_path: Path) -> None:
    """The learning period is not repeated after a restart."""
    lines = [eve.line(eve.flow(f"198.51.100.{n % 200 + 1}", at=n / 10)) for n in range(300)]
    (tmp_path / "eve.json").write_bytes(b"".join(line + b"\n" for line in lines))
    first = daemon_in(tmp_path, TRAINING_EVENTS="100")
    async with running(first):
        await until((tmp_path / "state/models/active").exists, 60.0)
        await until(lambda: 0 == first.lag())

    second = daemon_in(tmp_path, TRAINING_EVENTS="100")
    async with running(second):
        served = second.health.snapshot()["parts"]["model"]["detail"]
        assert served.endswith("serves")
    assert served == first.health.snapshot()["parts"]["model"]["detail"]


async def test_a_model_that_is_damaged_is_told_and_learned_anew(tmp_path: Path) -> None:
    """The daemon does its work meanwhile."""
    store = ModelStore(tmp_path / "state/models")
    store.folder.mkdir(parents=True)
    entry = store.add(unlabelled(fit(np.ones((5, len(FEATURES))))), Origin.LEARNED, 0.0)
    store.promote(entry.name)
    (tmp_path / "state/models/0001.model").write_bytes(b"damaged")
    daemon = daemon_in(tmp_path)
    with capture_logs() as told:
        async with running(daemon):
            pass

    problems = [t["problem"] for t in told if t["event"] == "the chosen model is not used"]
    assert ["model 1 is not what was stored: its bytes have changed"] == problems


async def test_a_model_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    """Learning anew would replace it: the remedy is somebody else's."""
    (tmp_path / "state/models/active").mkdir(parents=True)

    with pytest.raises(StateError, match=r"models/active can't be read: Is a directory; grant"):
        await daemon_in(tmp_path).run()


async def test_a_promoted_model_serves_with_the_next_reload(tmp_path: Path) -> None:
    """Without a restart; one that does not know this network begins to learn it."""
    store = ModelStore(tmp_path / "state/models")
    store.folder.mkdir(parents=True)
    local = unlabelled(fit(np.ones((5, len(FEATURES)))))
    foreign = replace(local, version="elsewhere", local=False)
    for model in (local, foreign):
        store.add(model, Origin.IMPORTED, 0.0)
    store.promote("1")
    daemon = Daemon(settings_in(tmp_path), reload=lambda: settings_in(tmp_path))
    async with running(daemon):
        pipeline = daemon._pipeline
        assert pipeline is not None
        assert (local.version, None) == (
            pipeline.analysis.classifier.version,
            pipeline.analysis.learning,
        )
        store.promote("2")
        await daemon.reload()
        assert "elsewhere" == pipeline.analysis.classifier.version
        assert pipeline.analysis.learning is not None
        store.rollback()
        await daemon.reload()
        assert local.version == pipeline.analysis.classifier.version
        assert pipeline.analysis.learning is None


async def test_a_shadow_model_scores_beside_and_is_told(tmp_path: Path) -> None:
    """In /health and the metrics; the verdicts stay those of the model that serves."""
    (tmp_path / "eve.json").write_bytes(LOGINS)
    calm = unlabelled(fit(np.ones((5, len(FEATURES)))))
    (tmp_path / "shadow.model").write_bytes(dump(replace(calm, version="the-shadow")))
    daemon = daemon_in(tmp_path, SHADOW_MODEL=str(tmp_path / "shadow.model"))
    async with running(daemon):
        await until(lambda: 0 == daemon.lag())
        detail = daemon.health.snapshot()["parts"]["shadow model"]["detail"]
        rendered = daemon.metrics.render().decode()

    assert detail.startswith("the-shadow is scored beside: of ")
    assert "suricata_ai_shadow_rows_total 0.0" not in rendered


async def test_a_shadow_model_that_does_not_fit_stops_the_start(tmp_path: Path) -> None:
    """It is a wrong setting, and its name is told."""
    daemon = daemon_in(tmp_path, SHADOW_MODEL=str(tmp_path / "none.model"))

    with pytest.raises(ConfigError, match=r"SHADOW_MODEL: .*none.model does not exist"):
        await daemon.run()


async def test_places_of_another_source_are_kept_while_it_is_not_in_use(tmp_path: Path) -> None:
    """EVE_SOURCE may be set to a socket for a week and back: the file goes on where it stood."""
    (tmp_path / "eve.json").write_bytes(LOGINS)
    first = daemon_in(tmp_path)
    async with running(first):
        await until(lambda: 0 == first.lag())
    socket = daemon_in(tmp_path, EVE_SOURCE="socket", EVE_SOCKET=str(tmp_path / "eve.sock"))
    async with running(socket):
        pass
    snapshot = await MemoryState(tmp_path / "state", "dry_run", LAYOUT).behaviour.load()

    assert snapshot is not None
    [position] = files_of(snapshot.position, str(tmp_path / "eve.json"))
    assert len(LOGINS) == position.offset


async def test_a_new_configuration_takes_effect_at_once(tmp_path: Path) -> None:
    """Thresholds, the spoof guard, what is never blocked; the model stays."""
    first = settings_in(tmp_path)
    second = settings_in(
        tmp_path,
        CRITICAL_THRESHOLD="0.99",
        SPOOF_GUARD="false",
        NEVER_BLOCK=ATTACKER,
        BLOCK_DURATION="77",
        METRICS_PORT="9999",
        EVE_PATH="/elsewhere",
    )
    daemon = Daemon(first, clock=clock_at(JUST_NOW), reload=lambda: second)
    (tmp_path / "eve.json").write_bytes(LOGINS)
    async with running(daemon):
        await until(lambda: daemon.assembly.ledger.enforced(Table.BLOCK))
        assert daemon._pipeline is not None
        model = daemon._pipeline.analysis.classifier.model
        with capture_logs() as told:
            await daemon.reload()
        await until(lambda: not daemon.assembly.ledger.live(Table.BLOCK))

        classifier = daemon._pipeline.analysis.classifier
        assert (0.99, False) == (classifier.settings.critical, classifier.settings.spoof_guard)
        assert model is classifier.model
        assert 77 == daemon._pipeline.responder.settings.block_duration
        later = [line["settings"] for line in told if "need a restart" in line["event"]]
        assert [["EVE_PATH", "METRICS_PORT"]] == [sorted(names) for names in later]
        assert first.source == daemon.settings.source


async def test_a_wrong_configuration_changes_nothing(tmp_path: Path) -> None:
    """Each problem is named."""

    def wrong() -> Settings:
        raise ConfigError(["A is wrong", "B is wrong"])

    daemon = Daemon(settings_in(tmp_path), clock=clock_at(JUST_NOW), reload=wrong)
    before = daemon.settings
    async with running(daemon):
        with capture_logs() as told:
            await daemon.reload()

    assert before is daemon.settings
    assert ["A is wrong", "B is wrong"] == [line["problem"] for line in told if "problem" in line]


async def test_the_watchdog_is_fed_at_most_four_times_an_interval(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand batches a second are not a thousand messages; without systemd there are none."""
    sent: list[str] = []
    monkeypatch.setattr(module, "notify", lambda *lines: sent.extend(lines))
    daemon = daemon_in(tmp_path)
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    daemon._heartbeat()
    assert [] == sent

    monkeypatch.setenv("WATCHDOG_USEC", "60000000")
    for _ in range(100):
        daemon._heartbeat()
    assert ["WATCHDOG=1"] == sent


def test_the_address_of_a_firewall_that_is_a_name_is_looked_up(tmp_path: Path) -> None:
    """At the start; its session's addresses are learned once it is connected."""
    daemon = daemon_in(
        tmp_path,
        FIREWALL="pfsense",
        PFSENSE_HOST="localhost",
        PFSENSE_KNOWN_HOSTS=str(tmp_path / "known_hosts"),
    )

    protection = protection_of(daemon.settings, daemon.clock)
    assert protection.absolute.reason(ip_address("127.0.0.1")) is not None
