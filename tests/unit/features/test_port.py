"""What a port is asked for."""

from __future__ import annotations

import pytest

from ai_suricata.core.behaviour import HOURS
from ai_suricata.core.schema import FEATURE_NAMES
from ai_suricata.features.port import PortClass, port_class


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        (22, PortClass.LOGIN),
        (23, PortClass.LOGIN),
        (3389, PortClass.LOGIN),
        (445, PortClass.SHARING),
        (1433, PortClass.DATABASE),
        (5555, PortClass.DEVICE),
        (8080, PortClass.WEB),
        (587, PortClass.MAIL),
        (5060, PortClass.VOICE),
        (123, PortClass.OTHER),
        (0, PortClass.OTHER),
        (65_535, PortClass.OTHER),
    ],
)
def test_a_port_on_tcp_has_its_class(port: int, expected: PortClass) -> None:
    """What no list names is something else."""
    assert expected == port_class(port, udp=False)


@pytest.mark.parametrize("port", [19, 53, 123, 161, 389, 1900, 5353, 11211])
def test_what_amplifies_does_so_on_udp_alone(port: int) -> None:
    """A forged question there floods somebody else with the answer."""
    assert PortClass.AMPLIFIER == port_class(port, udp=True)
    assert PortClass.AMPLIFIER != port_class(port, udp=False)


def test_each_class_has_a_feature_and_a_bit_of_its_own() -> None:
    """Hours of the day and classes share one word of 64 bits."""
    named = {f"day_failed_{each.name.lower()}" for each in PortClass}

    assert named <= set(FEATURE_NAMES)
    assert HOURS + len(PortClass) <= 64
