"""What the response does to the series."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING

import pytest

from ai_suricata.core.decision import Table
from ai_suricata.telemetry.series import WORDS
from unit.telemetry.scrape import label_values, value

if TYPE_CHECKING:
    from collections.abc import Callable

    from ai_suricata.telemetry.metrics import Metrics


def test_what_the_firewall_confirmed_counts_in_its_own_table(metrics: Metrics) -> None:
    """Blocks and rate limits are told apart; both take their time into one histogram."""
    metrics.enforced(Table.BLOCK, [0.2, 400.0])
    metrics.enforced(Table.LIMIT, [0.2])
    metrics.active(Table.BLOCK, 2)
    metrics.active(Table.LIMIT, 1)

    assert (2.0, 1.0) == (value(metrics, "blocks_total"), value(metrics, "rate_limits_total"))
    assert (2.0, 1.0) == (value(metrics, "active_blocks"), value(metrics, "active_rate_limits"))
    assert 3.0 == value(metrics, "detect_to_enforced_seconds_count")
    assert 2.0 == value(metrics, "detect_to_enforced_seconds_bucket", le="0.25")


@pytest.mark.parametrize("bound", ["0.01", "0.025", "0.05", "0.1", "0.15", "0.2", "0.25", "0.5"])
def test_enforcement_below_a_second_is_told_finely(metrics: Metrics, bound: str) -> None:
    """The aim is a quarter of a second: a quantile is only as fine as its buckets."""
    metrics.enforced(Table.BLOCK, [float(bound) - 0.001, float(bound) + 0.001])

    assert 1.0 == value(metrics, "detect_to_enforced_seconds_bucket", le=bound)


def test_a_time_from_the_future_is_no_negative_time(metrics: Metrics) -> None:
    """Suricata's clock may be ahead of ours: the histogram's sum must not go down."""
    metrics.enforced(Table.BLOCK, [-5.0])
    metrics.states_killed(1, -5.0)
    metrics.command("add", "ok", -5.0)

    assert 0.0 == value(metrics, "detect_to_enforced_seconds_sum")
    assert 0.0 == value(metrics, "state_kill_seconds_sum")
    assert 0.0 == value(metrics, "firewall_command_seconds_sum", command="add")


def test_a_dry_run_confirms_nothing(metrics: Metrics) -> None:
    """Blocks and active blocks stay 0: no table has anything. What would be has its own series."""
    metrics.dry_run(dry_run=True)
    metrics.enforced(Table.BLOCK, [0.2, 0.3])
    metrics.enforced(Table.LIMIT, [0.2])
    metrics.active(Table.BLOCK, 2)
    metrics.active(Table.LIMIT, 1)

    assert 1.0 == value(metrics, "dry_run")
    assert (0.0, 0.0) == (value(metrics, "blocks_total"), value(metrics, "rate_limits_total"))
    assert (0.0, 0.0) == (value(metrics, "active_blocks"), value(metrics, "active_rate_limits"))
    assert 0.0 == value(metrics, "detect_to_enforced_seconds_count")
    assert 2.0 == value(metrics, "dry_run_decisions_total", table="block")
    assert 1.0 == value(metrics, "dry_run_decisions_total", table="limit")
    assert 2.0 == value(metrics, "dry_run_active", table="block")
    assert 1.0 == value(metrics, "dry_run_active", table="limit")


def test_a_real_run_is_no_dry_run(metrics: Metrics) -> None:
    """Whether it is one is unknown until it is said; nothing of a real run counts as dry."""
    assert value(metrics, "dry_run") is None

    metrics.dry_run(dry_run=False)
    metrics.enforced(Table.BLOCK, [0.2])
    metrics.active(Table.BLOCK, 1)

    assert (0.0, 1.0) == (value(metrics, "dry_run"), value(metrics, "blocks_total"))
    assert 0.0 == value(metrics, "dry_run_decisions_total", table="block")
    assert 0.0 == value(metrics, "dry_run_active", table="block")


def test_decisions_count_by_outcome(metrics: Metrics) -> None:
    """Outcomes are the ledger's states."""
    metrics.decisions("requested", 2)
    metrics.decisions("refused")

    assert 2.0 == value(metrics, "decisions_total", outcome="requested")
    assert 1.0 == value(metrics, "decisions_total", outcome="refused")


def test_a_budget_counts_by_table(metrics: Metrics) -> None:
    """What it stopped, and whether its breaker is open now; both are 0 before anything happens."""
    assert 0.0 == value(metrics, "budget_exhausted_total", table="limit")
    assert 0.0 == value(metrics, "budget_breaker_open", table="limit")

    metrics.budget_exhausted(Table.BLOCK)
    metrics.budget_exhausted(Table.BLOCK, 4)
    metrics.breaker(Table.BLOCK, open=True)

    assert 5.0 == value(metrics, "budget_exhausted_total", table="block")
    assert 1.0 == value(metrics, "budget_breaker_open", table="block")
    assert 0.0 == value(metrics, "budget_exhausted_total", table="limit")
    assert 0.0 == value(metrics, "budget_breaker_open", table="limit")

    metrics.breaker(Table.BLOCK, open=False)

    assert 0.0 == value(metrics, "budget_breaker_open", table="block")


@pytest.mark.parametrize(
    ("feed", "name"),
    [
        (lambda m: m.blocked_but_seen(3), "blocked_but_seen_total"),
        (lambda m: m.put_back(3), "put_back_total"),
        (lambda m: m.rulings_dropped(3), "rulings_dropped_total"),
        (lambda m: m.promotions(3), "promotions_total"),
        (lambda m: m.states_killed(3, 0.1), "states_killed_total"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_a_count_begins_at_zero(
    metrics: Metrics, feed: Callable[[Metrics], None], name: str
) -> None:
    """A rule on an increase needs the zero before it; after that, as many as were told."""
    assert 0.0 == value(metrics, name)

    feed(metrics)
    feed(metrics)

    assert 6.0 == value(metrics, name)


def test_the_time_of_ending_connections_is_measured(metrics: Metrics) -> None:
    """One batch is one measurement, however many connections it ends."""
    metrics.states_killed(30, 0.2)
    metrics.states_killed(0, 0.02)

    assert 2.0 == value(metrics, "state_kill_seconds_count")
    assert 1.0 == value(metrics, "state_kill_seconds_bucket", le="0.1")


@pytest.mark.parametrize(
    ("name", "follow"),
    [
        ("enforcement_gap_seconds", lambda m, read: m.gap(read)),
        ("never_block_age_seconds", lambda m, read: m.never_block_age(read)),
    ],
    ids=["gap", "age"],
)
def test_an_age_is_that_of_the_scrape(
    metrics: Metrics, name: str, follow: Callable[[Metrics, Callable[[], float | None]], None]
) -> None:
    """It grows by itself, so it is asked for each time; unknown is absent, and no zero."""
    ages: list[float | None] = [0.0, 90.0, None]

    assert value(metrics, name) is None

    follow(metrics, lambda: ages.pop(0))

    assert [0.0, 90.0, None] == [value(metrics, name) for _ in range(3)]


def test_the_never_block_list_has_a_size(metrics: Metrics) -> None:
    """The latest counts; unknown before the first."""
    assert value(metrics, "never_block_networks") is None

    metrics.never_block_size(14)
    metrics.never_block_size(17)

    assert 17.0 == value(metrics, "never_block_networks")


def test_a_pause_shows(metrics: Metrics) -> None:
    """0 where nobody has paused."""
    assert 0.0 == value(metrics, "paused")

    metrics.paused(paused=True)

    assert 1.0 == value(metrics, "paused")

    metrics.paused(paused=False)

    assert 0.0 == value(metrics, "paused")


def test_a_firewall_nobody_uses_is_not_down(metrics: Metrics) -> None:
    """Without a word on the firewall there is no sample, so no alert rule fires on it."""
    assert value(metrics, "firewall_up") is None

    metrics.firewall(up=False)

    assert 0.0 == value(metrics, "firewall_up")

    metrics.firewall(up=True)

    assert 1.0 == value(metrics, "firewall_up")


def test_each_of_a_pair_has_its_own_series(metrics: Metrics) -> None:
    """Beside the one for all, which a word on a member leaves alone."""
    long = f"admin@{'firewall.' * 12}example.com"
    metrics.firewall(up=False)
    metrics.firewall(up=True, place=f"{long}:22")
    metrics.firewall(up=False, place=f"{long}:2222")

    assert 0.0 == value(metrics, "firewall_up")
    assert 1.0 == value(metrics, "firewall_member_up", firewall=f"{long}:22")
    assert 0.0 == value(metrics, "firewall_member_up", firewall=f"{long}:2222")


def test_commands_count_by_name_and_result(metrics: Metrics) -> None:
    """Each command to the firewall counts with what came of it, and with its time."""
    metrics.command("add", "ok", 0.02)
    metrics.command("add", "unreachable", 10.0)
    metrics.command("add", "ok", 0.03)

    assert 2.0 == value(metrics, "firewall_commands_total", command="add", result="ok")
    assert 1.0 == value(metrics, "firewall_commands_total", command="add", result="unreachable")
    assert 3.0 == value(metrics, "firewall_command_seconds_count", command="add")
    assert 2.0 == value(metrics, "firewall_command_seconds_bucket", command="add", le="0.05")


def test_notifications_count_by_channel_and_result(metrics: Metrics) -> None:
    """With the first word of a channel come the zeros that a rule on its failures needs."""
    metrics.notification("webhook", "sent")
    metrics.notification("mail", "dropped")

    assert 1.0 == value(metrics, "notifications_total", channel="webhook", result="sent")
    assert 0.0 == value(metrics, "notifications_total", channel="webhook", result="dropped")
    assert 0.0 == value(metrics, "notifications_total", channel="webhook", result="refused")
    assert 1.0 == value(metrics, "notifications_total", channel="mail", result="dropped")


def test_labels_of_examples_are_counted(metrics: Metrics) -> None:
    """In all, and by label."""
    assert 0.0 == value(metrics, "labels_by_type_total", label="attack")

    metrics.label("normal")
    metrics.label("normal")
    metrics.label("attack")

    assert 3.0 == value(metrics, "labeled_examples_total")
    assert 2.0 == value(metrics, "labels_by_type_total", label="normal")
    assert 1.0 == value(metrics, "labels_by_type_total", label="attack")


@pytest.mark.parametrize(
    ("feed", "family", "label"),
    [
        (lambda m, word: m.decisions(word), "decisions", "outcome"),
        (lambda m, word: m.command(word, "ok", 0.1), "firewall_commands", "command"),
        (lambda m, word: m.command(word, "ok", 0.1), "firewall_command_seconds", "command"),
        (lambda m, word: m.command("add", word, 0.1), "firewall_commands", "result"),
        (lambda m, word: m.notification(word, "sent"), "notifications", "channel"),
        (lambda m, word: m.notification("mail", word), "notifications", "result"),
        (lambda m, word: m.label(word), "labels_by_type", "label"),
    ],
    ids=["outcome", "command", "time", "result", "channel", "sending", "label"],
)
def test_label_values_are_bounded(
    metrics: Metrics, feed: Callable[[Metrics, str], None], family: str, label: str
) -> None:
    """Words without end come under `other`: a series lives for as long as the process."""
    for number in range(2 * WORDS):
        feed(metrics, f"made_up_{number}")

    assert WORDS + 1 == len(label_values(metrics, family, label))
    assert "other" in label_values(metrics, family, label)


def test_two_threads_lose_no_count(metrics: Metrics) -> None:
    """Notifications are sent beside the daemon's own thread, and a scrape comes at any time."""

    def tell() -> None:
        for _ in range(500):
            metrics.notification("webhook", "sent")
            metrics.blocked_but_seen(1)

    threads = [Thread(target=tell) for _ in range(4)]
    for thread in threads:
        thread.start()
    scrapes = [metrics.render() for _ in range(3)]
    for thread in threads:
        thread.join()

    assert all(b"suricata_ai_blocked_but_seen_total" in scrape for scrape in scrapes)
    assert 2000.0 == value(metrics, "notifications_total", channel="webhook", result="sent")
    assert 2000.0 == value(metrics, "blocked_but_seen_total")
