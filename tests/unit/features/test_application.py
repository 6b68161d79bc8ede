"""What the records of application protocols add."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ai_suricata.core.schema import FEATURE_NAMES
from ai_suricata.features.extract import Extractor
from fakes import eve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


_LOGINS = ("login_attempts", "day_login_attempts", "day_login_denied", "day_passwords")


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


@pytest.mark.parametrize("made", [eve.pop3, eve.pop3_as_ftp], ids=["Suricata 8", "Suricata 7"])
def test_passwords_that_pop3_refuses_are_counted(made: Callable[..., eve.Record]) -> None:
    """The reply to PASS is -ERR; a busy mailbox, a right password and RETR are something else."""
    refused = [made("PASS", f"guess {n}", "-ERR no", at=30.0 * n) for n in range(5)]
    rest = [
        made("PASS", "right", "+OK", at=180.0),
        made("PASS", "right", "-ERR [IN-USE] locked", at=210.0),
        made("RETR", "1", "-ERR no such message", at=240.0),
    ]
    found = last([*refused, *rest])

    assert (5, 5, 5, 5) == tuple(found[name] for name in _LOGINS)


@pytest.mark.parametrize("command", ["APOP", "AUTH", "<SASL DATA>"])
def test_other_logins_of_pop3_are_counted(command: str) -> None:
    """RFC 1939, 7, and RFC 5034."""
    found = last(eve.pop3(command, f"{n}", "-ERR no", at=30.0 * n) for n in range(6))

    assert (6, 6, 6, 6) == tuple(found[name] for name in _LOGINS)


@pytest.mark.parametrize("command", ["AUTH", "FEAT", "USER", "OPTS"])
def test_530_before_the_login_refuses_no_password(command: str) -> None:
    """Servers answer so to whatever comes before it, or comes without TLS."""
    found = last(eve.guess("TLS", at=30.0 * n, command=command) for n in range(6))

    assert (0, 0, 0, 0) == tuple(found[name] for name in _LOGINS)


def test_refused_passwords_are_told_apart() -> None:
    """A program with an old password gives the same each time; who guesses has others."""
    stale = last(eve.guess("old", at=30.0 * n) for n in range(15))
    guesser = last(eve.guess(f"{n}", at=30.0 * n) for n in range(15))

    assert (15, 1) == (stale["day_login_denied"], stale["day_passwords"])
    assert pytest.approx(15, rel=0.2) == guesser["day_passwords"]


def test_requests_of_the_day_outlast_the_recent_window() -> None:
    """A slow scanner of web pages leaves one request in ten minutes, and many in a day."""
    found = last(eve.http(at=900.0 * n, url=f"/{n}", status=404) for n in range(12))

    assert (1, 1) == (found["http_requests"], found["http_errors"])
    assert (12, 12) == (found["day_http_requests"], found["day_http_errors"])


def test_the_same_page_again_and_again_is_counted() -> None:
    """Requests beyond the different ones, of method and path."""
    found = last(asked(url="/login") for _ in range(32))

    assert (32, 1, 31) == tuple(
        found[name] for name in ("http_requests", "http_distinct", "http_repeats")
    )


def test_many_different_pages_are_no_repeats() -> None:
    """Beyond what the sketch tells apart, nothing is said of repeats."""
    assert 0 == last(asked(url=f"/{n}") for n in range(640))["http_repeats"]


def test_programs_that_change_their_name_are_counted() -> None:
    """Scanners draw a user agent for each request."""
    records = (asked(http_user_agent=f"browser {n}") for n in range(30))

    assert pytest.approx(30, rel=0.2) == last(records)["http_user_agents"]
