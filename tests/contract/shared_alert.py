"""Alerts by number, as the store keeps them."""

from __future__ import annotations

from ai_suricata.state.shared import StoredAlert


def alert(number: int) -> StoredAlert:
    """Return the alert of this number; no two are alike."""
    return StoredAlert(
        id=f"sensor-1-{number:06d}",
        time=1_700_000_000_000_000 + number,
        source_ip="2001:db8::bad",
        signature_id=2_000_000 + number,
        signature='ET SCAN "Grüße" \\ from 日本',
        category="Attempted Information Leak",
        severity=1 + number % 3,
        src_ip="2001:db8::bad",
        src_port=None if number % 2 else 40_000,
        dest_ip="2001:db8::1",
        dest_port=None if number % 2 else 22,
        proto="TCP",
        score=0.1 + number / 7,
        level="HIGH",
        action="BLOCK",
        reasons=("22 ports in 10 seconds", "no handshake"),
    )
