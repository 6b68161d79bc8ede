"""What the records of application protocols add."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ai_suricata.core.schema import FEATURE_NAMES
from ai_suricata.features.extract import Extractor
from fakes import eve

if TYPE_CHECKING:
    from collections.abc import Iterable


def last(records: Iterable[dict[str, Any]]) -> dict[str, float]:
    """Return the latest vector by name."""
    found = Extractor(eve.settings().features)
    points = found.observe([eve.event(record) for record in records])
    return dict(zip(FEATURE_NAMES, points.matrix[-1].tolist(), strict=True))


def asked(**fields: object) -> eve.Record:
    """Return a request with some fields of its own."""
    record = eve.http()
    return record | {"http": record["http"] | fields}


def question(name: str | None, kind: str = "A") -> eve.Record:
    """Return a DNS question as Suricata 7 writes it."""
    told = {"type": "query", "rrname": name, "rrtype": kind}
    return eve.dns(eve.STRANGER, eve.SERVER) | {"dns": told}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (asked(status=500), {"http_server_errors": 1, "http_errors": 0}),
        (asked(status=404), {"http_server_errors": 0, "http_errors": 1}),
        (asked(http_method="OPTIONS"), {"http_odd_methods": 1}),
        (asked(http_method="HEAD"), {"http_odd_methods": 0}),
        (asked(http_method=None), {"http_odd_methods": 0}),
        (asked(url="/a?b=c&d=e%20f"), {"http_strange": 0}),
        (asked(url="/index.php?id=1%27%20OR"), {"http_strange": 1}),
        (asked(url="/static/../../etc/passwd"), {"http_strange": 1}),
        (asked(url="/%2E%2e/"), {"http_strange": 1}),
        (asked(url="/" + "a" * 1001), {"http_strange": 1}),
        (asked(url=None), {"http_strange": 0, "http_requests": 1}),
        (asked(http_user_agent="curl/8"), {"http_user_agents": 1}),
        (asked(), {"http_user_agents": 0}),
        (question("a.example"), {"dns_names": 1, "dns_name_length": 9, "dns_carriers": 0}),
        (question("a.example", "TXT"), {"dns_carriers": 1, "dns_queries": 1}),
        (question("a.example", "NULL"), {"dns_carriers": 1}),
        (question("x" * 5000), {"dns_name_length": 255}),
        (question(None), {"dns_names": 0, "dns_name_length": 0, "dns_queries": 1}),
    ],
)
def test_one_record_adds_what_it_says(record: eve.Record, expected: dict[str, float]) -> None:
    """Each kind of request moves its own features."""
    found = last([record])

    assert expected == {name: found[name] for name in expected}


def test_the_questions_of_suricata_8_are_read_as_well() -> None:
    """They stand in a list beside the type."""
    told = {"type": "request", "queries": [{"rrname": "t.example", "rrtype": "TXT"}]}
    found = last([eve.dns(eve.STRANGER, eve.SERVER) | {"dns": told}])

    assert (1, 1, 9) == (found["dns_names"], found["dns_carriers"], found["dns_name_length"])


def test_a_tunnel_asks_for_many_long_names() -> None:
    """Distinct names and their mean length; a cache that asks again and again has few."""
    tunnel = last(question(f"{n:060x}.t.example", "TXT") for n in range(80))
    cache = last(question("www.example") for _ in range(80))

    assert pytest.approx(80, rel=0.15) == tunnel["dns_names"]
    assert (70, 80) == (tunnel["dns_name_length"], tunnel["dns_carriers"])
    assert (1, 11, 0) == (cache["dns_names"], cache["dns_name_length"], cache["dns_carriers"])


def test_upper_and_lower_case_are_one_name() -> None:
    """Resolvers mix them against forged answers (draft-vixie-dnsext-dns0x20)."""
    assert 1 == last([question("a.example"), question("A.eXample")])["dns_names"]


def test_programs_that_change_their_name_are_counted() -> None:
    """Scanners draw a user agent for each request."""
    records = (asked(http_user_agent=f"browser {n}") for n in range(30))

    assert pytest.approx(30, rel=0.2) == last(records)["http_user_agents"]
