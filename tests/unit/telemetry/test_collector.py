"""Readings that may be absent, rankings, bounded labels."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, generate_latest

from ai_suricata.telemetry.collector import OTHER, Labels, Ranking, Reading, WithoutCreated


def samples(registry: CollectorRegistry) -> list[str]:
    """Lines of the exposition that are samples."""
    lines = generate_latest(WithoutCreated(registry)).decode().splitlines()
    return [line for line in lines if not line.startswith("#")]


def test_a_reading_is_absent_until_it_is_known() -> None:
    """Unknown is no sample; zero is one; None takes it away again."""
    registry = CollectorRegistry()
    reading = Reading("up", "Whether it is up.", registry)

    assert [] == samples(registry)

    reading.set(0)

    assert ["up 0.0"] == samples(registry)

    reading.set(None)

    assert [] == samples(registry)


def test_a_reading_asks_when_it_is_scraped() -> None:
    """A reading with a function is as fresh as the scrape."""
    registry = CollectorRegistry()
    values = iter([1.0, 2.0])
    Reading("age", "An age.", registry, lambda: next(values))

    assert ["age 1.0"] == samples(registry)
    assert ["age 2.0"] == samples(registry)


def test_a_ranking_keeps_the_greatest_only() -> None:
    """Of more rows than the limit, those with the greatest numbers are shown, greatest first."""
    registry = CollectorRegistry()
    ranking = Ranking("top", "The top.", "ip", 2, registry)
    ranking.set([("192.0.2.1", 1), ("192.0.2.3", 3), ("192.0.2.2", 2)])

    assert ['top{ip="192.0.2.3"} 3.0', 'top{ip="192.0.2.2"} 2.0'] == samples(registry)


def test_who_drops_out_of_a_ranking_leaves_no_series() -> None:
    """A new list replaces the old one as a whole."""
    registry = CollectorRegistry()
    ranking = Ranking("top", "The top.", "ip", 2, registry)
    ranking.set([("192.0.2.1", 1)])
    ranking.set([("192.0.2.9", 1)])

    assert ['top{ip="192.0.2.9"} 1.0'] == samples(registry)


def test_labels_past_the_limit_are_other() -> None:
    """A label that comes from data can't make series without end; known ones stay known."""
    labels = Labels(3, known=("alert",))

    assert ["a", "b", OTHER] == [labels.of(word) for word in ("a", "b", "c")]
    assert ["alert", "a", OTHER] == [labels.of(word) for word in ("alert", "a", "c")]


def test_a_label_of_any_length_is_other() -> None:
    """A megabyte of text is no label, and takes no place of one."""
    labels = Labels(1)

    assert OTHER == labels.of("x" * 1_000_000)
    assert "a" == labels.of("a")


def test_created_samples_are_left_out() -> None:
    """Of a counter, its total alone is shown."""
    registry = CollectorRegistry()
    Counter("seen", "What was seen.", registry=registry).inc()

    assert ["seen_total 1.0"] == samples(registry)
