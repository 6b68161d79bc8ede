"""Reads metrics as Prometheus would."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from ai_suricata.telemetry.metrics import Metrics


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    """Return the sample as Prometheus would read it, or None where there is none."""
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            if (sample.name, sample.labels) == (f"suricata_ai_{name}", labels):
                return sample.value
    return None


def label_values(metrics: Metrics, name: str, label: str) -> set[str]:
    """Return the values that a label of a family has."""
    families = text_string_to_metric_families(metrics.render().decode())
    (family,) = [f for f in families if f.name == f"suricata_ai_{name}"]
    return {sample.labels[label] for sample in family.samples}
