"""What each thing that happens does to the series."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ai_suricata.core.decision import Table
from ai_suricata.core.verdict import ACTION_OF_LEVEL, Level, Verdict
from ai_suricata.telemetry.metrics import EVENT_TYPES, Metrics
from unit.telemetry.scrape import value

if TYPE_CHECKING:
    from collections.abc import Callable

    from ai_suricata.core.clock import ManualClock

START = 1_700_000_000.0

# The names that operators have in their dashboards, as far as this version feeds them.
CONTRACT = [
    "uptime_seconds",
    "alerts_total",
    "alerts_by_severity_total",
    "alerts_by_action_total",
    "blocks_total",
    "active_blocks",
    "rate_limits_total",
    "critical_threats_total",
    "high_threats_total",
    "avg_threat_score",
    "processing_time_seconds",
    "alerts_per_second",
    "top_source_ips",
    "training_examples_total",
    "labeled_examples_total",
    "labels_by_type_total",
    "pattern_detections_total",
    "avg_anomaly_score",
    "max_anomaly_score",
    "min_anomaly_score",
    "events_total",
    "lines_rejected_total",
    "source_lag_bytes",
    "source_rotations_total",
    "source_lag_seconds",
    "detect_to_enforced_seconds",
    "enforcement_gap_seconds",
    "decisions_total",
    "budget_exhausted_total",
    "never_block_hits_total",
    "blocked_but_seen_total",
    "firewall_up",
    "firewall_commands_total",
    "state_backend_up",
    "state_flush_seconds",
    "model_info",
    "feature_drift",
    "queue_depth",
]
OWN = [
    "active_rate_limits",
    "budget_breaker_open",
    "dry_run",
    "dry_run_active",
    "dry_run_decisions_total",
    "events_repeated_total",
    "firewall_command_seconds",
    "firewall_member_up",
    "lines_dropped_total",
    "never_block_age_seconds",
    "never_block_networks",
    "notifications_total",
    "paused",
    "promotions_total",
    "put_back_total",
    "rulings_dropped_total",
    "shadow_disagreements_total",
    "shadow_rows_total",
    "source_losses_total",
    "state_kill_seconds",
    "states_killed_total",
]


def verdict(level: Level, score: float, *patterns: str) -> Verdict:
    """Make a verdict out of what metrics look at."""
    return Verdict(
        address="192.0.2.1",
        time=0,
        score=score,
        proven_score=score,
        level=level,
        action=ACTION_OF_LEVEL[level],
        home=False,
        reasons=(),
        patterns=patterns,
        model_version="none",
    )


def test_the_names_are_those_of_the_contract(metrics: Metrics) -> None:
    """No name is missing, and no name exists that nothing feeds."""
    total = {"counter": "_total", "info": "_info"}
    names = [f.name + total.get(f.type, "") for f in metrics.registry.collect()]

    assert sorted(f"suricata_ai_{name}" for name in CONTRACT + OWN) == sorted(names)


def test_two_daemons_in_a_process_share_nothing(clock: ManualClock) -> None:
    """The registry is the object's own."""
    first, second = Metrics(clock), Metrics(clock)
    first.never_block_hit()

    assert (1.0, 0.0) == (
        value(first, "never_block_hits_total"),
        value(second, "never_block_hits_total"),
    )


def test_uptime_follows_the_clock(metrics: Metrics, clock: ManualClock) -> None:
    """Seconds since construction, never negative where the clock is set back."""
    clock.advance(90)

    assert 90.0 == value(metrics, "uptime_seconds")

    clock.advance(-1000)

    assert 0.0 == value(metrics, "uptime_seconds")


def test_a_batch_is_counted(metrics: Metrics) -> None:
    """Events by type, alerts by severity and in all, rejected lines by reason, and the time."""
    metrics.batch({"alert": 3, "flow": 5}, {1: 1, 3: 2}, {"not_json": 4}, 0.02)
    metrics.batch({"alert": 1}, {1: 1}, {}, 0.2)

    assert 4.0 == value(metrics, "events_total", event_type="alert")
    assert 5.0 == value(metrics, "events_total", event_type="flow")
    assert 4.0 == value(metrics, "alerts_total")
    assert 2.0 == value(metrics, "alerts_by_severity_total", severity="1")
    assert 4.0 == value(metrics, "lines_rejected_total", reason="not_json")
    assert 2.0 == value(metrics, "processing_time_seconds_count")
    assert 1.0 == value(metrics, "processing_time_seconds_bucket", le="0.1")


def test_a_source_that_says_nothing_has_a_zero(metrics: Metrics) -> None:
    """The alert rule on a silent source needs a series before the first event."""
    assert 0.0 == value(metrics, "events_total", event_type="alert")


def test_event_types_are_bounded(metrics: Metrics) -> None:
    """Types without end come under `other`; none is lost, and `alert` keeps its own label."""
    for number in range(1000):
        metrics.batch({f"made_up_{number}": 1}, {}, {}, 0.001)
    metrics.batch({"alert": 1}, {1: 1}, {}, 0.001)
    families = {f.name: f for f in metrics.registry.collect()}
    samples = families["suricata_ai_events"].samples
    types = {s.labels["event_type"]: s.value for s in samples if s.name.endswith("_total")}

    assert EVENT_TYPES + 1 == len(types)
    assert 1001.0 == sum(types.values())
    assert 1.0 == types["alert"]


def test_an_unheard_of_severity_is_other(metrics: Metrics) -> None:
    """A severity comes from a rule file, so its label is bounded as well."""
    metrics.batch({"alert": 2}, {0: 1, 255: 1}, {}, 0.001)

    assert 2.0 == value(metrics, "alerts_by_severity_total", severity="other")


def test_alerts_a_second_are_those_of_the_last_minute(metrics: Metrics, clock: ManualClock) -> None:
    """In the first minute over the time since the start, later over 60 s; 0 when it is quiet."""
    clock.advance(10)
    metrics.batch({"alert": 30}, {2: 30}, {}, 0.001)

    assert 3.0 == value(metrics, "alerts_per_second")

    clock.advance(49)

    assert 30 / 59 == value(metrics, "alerts_per_second")

    clock.advance(600)

    assert 0.0 == value(metrics, "alerts_per_second")

    metrics.batch({"alert": 30}, {2: 30}, {}, 0.001)

    assert 0.5 == value(metrics, "alerts_per_second")


def test_verdicts_are_counted_by_action_level_and_pattern(metrics: Metrics) -> None:
    """Each verdict counts once for its action and level, and once for each of its patterns."""
    metrics.verdicts(
        [
            verdict(Level.CRITICAL, 0.9, "port scan", "brute force"),
            verdict(Level.HIGH, 0.8, "port scan"),
            verdict(Level.INFO, 0.1),
        ]
    )

    assert 1.0 == value(metrics, "alerts_by_action_total", action="BLOCK")
    assert 1.0 == value(metrics, "alerts_by_action_total", action="RATE_LIMIT")
    assert 0.0 == value(metrics, "alerts_by_action_total", action="MONITOR")
    assert (1.0, 1.0) == (
        value(metrics, "critical_threats_total"),
        value(metrics, "high_threats_total"),
    )
    assert 2.0 == value(metrics, "pattern_detections_total", pattern="port scan")
    assert pytest.approx(0.6) == value(metrics, "avg_threat_score")


def test_scores_of_the_last_minute_only(metrics: Metrics, clock: ManualClock) -> None:
    """An average of nothing is absent: a gap in the graph, not a zero."""
    assert value(metrics, "avg_threat_score") is None

    metrics.verdicts([verdict(Level.HIGH, 0.8)])

    assert 0.8 == value(metrics, "avg_threat_score")

    clock.advance(60)

    assert value(metrics, "avg_threat_score") is None


def test_anomaly_scores_have_a_mean_and_extremes(metrics: Metrics) -> None:
    """Mean, greatest and least; absent before the first score."""
    names = ("avg_anomaly_score", "max_anomaly_score", "min_anomaly_score")

    assert [None, None, None] == [value(metrics, name) for name in names]

    metrics.anomaly([0.25, 0.75])
    metrics.anomaly([0.5])

    assert [0.5, 0.75, 0.25] == [value(metrics, name) for name in names]


def test_rotations_are_told_in_all_and_counted_once(metrics: Metrics) -> None:
    """The source says how many it has seen so far; the counter does not add that up again."""
    metrics.source(lag_bytes=10, rotations=1)

    assert value(metrics, "source_lag_seconds") is None

    metrics.source(lag_bytes=0, rotations=3)
    metrics.latest(START - 1.5)

    assert 3.0 == value(metrics, "source_rotations_total")
    assert (0.0, 1.5) == (value(metrics, "source_lag_bytes"), value(metrics, "source_lag_seconds"))


def test_top_sources_are_at_most_ten(metrics: Metrics) -> None:
    """A scan of the whole Internet makes ten series."""
    metrics.top_sources([(f"192.0.2.{number}", number) for number in range(100)])

    assert 99.0 == value(metrics, "top_source_ips", ip="192.0.2.99")
    assert 90.0 == value(metrics, "top_source_ips", ip="192.0.2.90")
    assert value(metrics, "top_source_ips", ip="192.0.2.89") is None


def test_a_failed_flush_shows(metrics: Metrics) -> None:
    """The latest flush says whether the state is stored; each one took its time."""
    metrics.flush(0.02, ok=True)

    assert 1.0 == value(metrics, "state_backend_up")

    metrics.flush(0.5, ok=False)

    assert 0.0 == value(metrics, "state_backend_up")
    assert 2.0 == value(metrics, "state_flush_seconds_count")


def test_one_model_serves_at_a_time(metrics: Metrics) -> None:
    """The info names the present model alone; its rows count once, however often it is told."""
    assert 1.0 == value(metrics, "model_info", version="none")

    metrics.model("a", 5000)
    metrics.model("a", 5000)
    metrics.model("b", 6000)

    assert value(metrics, "model_info", version="a") is None
    assert 1.0 == value(metrics, "model_info", version="b")
    assert 11_000.0 == value(metrics, "training_examples_total")


def test_a_queue_has_a_depth(metrics: Metrics) -> None:
    """The depth is that of the latest word on the stage."""
    metrics.queue("classify", 3)
    metrics.queue("classify", 1)

    assert 1.0 == value(metrics, "queue_depth", stage="classify")


@pytest.mark.parametrize(
    "feed",
    [
        lambda m: m.batch({}, {}, {}, 0.0),
        lambda m: m.verdicts([]),
        lambda m: m.anomaly([]),
        lambda m: m.enforced(Table.BLOCK, []),
        lambda m: m.top_sources([]),
    ],
    ids=["batch", "verdicts", "anomaly", "enforced", "top_sources"],
)
def test_nothing_is_no_score(metrics: Metrics, feed: Callable[[Metrics], None]) -> None:
    """An empty batch, on whichever way, changes no score and no count."""
    feed(metrics)

    assert value(metrics, "avg_threat_score") is None
    assert value(metrics, "avg_anomaly_score") is None
    assert (0.0, 0.0) == (value(metrics, "alerts_total"), value(metrics, "blocks_total"))
