"""What the records of application protocols add."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ai_suricata.core.schema import FEATURE_NAMES
from ai_suricata.features.extract import Extractor
from fakes import eve

if TYPE_CHECKING:
    from collections.abc import Iterable


_LOGINS = ("login_attempts", "day_login_attempts", "day_login_denied")


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


@pytest.mark.parametrize("inside", ["STAT", "LIST", "UIDL", "RETR"])
def test_who_reads_mail_has_given_the_right_password(inside: str) -> None:
    """Suricata 7 does not say whether a password of POP3 was right: what follows it does."""
    guesser = last(eve.pop3("PASS", at=30 * n) for n in range(9))
    reader = last(eve.pop3(word, at=30 * n) for n in range(9) for word in ("USER", "PASS", inside))

    assert (9, 9, 9) == tuple(guesser[name] for name in _LOGINS)
    assert (0, 0, 0) == tuple(reader[name] for name in _LOGINS)


def test_who_reads_much_mail_hides_no_other_login() -> None:
    """A mailbox of one's own must not make up for passwords that were refused elsewhere."""
    reading = [eve.pop3("RETR", at=n) for n in range(50)]
    found = last([*reading, *(eve.ftp(at=60 + 30 * n) for n in range(4))])

    assert (4, 4, 4) == tuple(found[name] for name in _LOGINS)


def test_suricata_8_says_which_passwords_of_pop3_were_refused() -> None:
    """The reply to PASS is -ERR; a refusal of another command is no refused password."""
    refused = [eve.pop3("PASS", at=n, success=False) for n in range(5)]
    rest = [eve.pop3("PASS", at=60, success=True), eve.pop3("RETR", at=90, success=False)]
    found = last([*refused, *rest])

    assert (5, 5, 5) == tuple(found[name] for name in _LOGINS)


def given(word: str, data: str, at: float) -> eve.Record:
    """Return a refused command of FTP with what was given."""
    record = eve.ftp(at=at)
    record["ftp"] |= {"command": word, "command_data": data}
    return record


def test_names_and_passwords_that_were_given_are_told_apart() -> None:
    """A program with an old password gives the same each time; who guesses has others."""
    stale = last(given(w, "old", 30.0 * n) for n in range(15) for w in ("USER", "PASS"))
    guesser = last(given("PASS", f"{n}", 30.0 * n) for n in range(15))

    assert 2 == stale["day_credentials"]
    assert pytest.approx(15, rel=0.2) == guesser["day_credentials"]


def test_a_command_of_ftp_without_a_reply_is_no_login() -> None:
    """A reply that was not captured says nothing of a password."""
    record = eve.ftp(code=None)
    record["ftp"] = {"command": "PASS"}

    assert 0 == last([record])["login_attempts"]


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


def test_programs_that_change_their_name_are_counted() -> None:
    """Scanners draw a user agent for each request."""
    records = (asked(http_user_agent=f"browser {n}") for n in range(30))

    assert pytest.approx(30, rel=0.2) == last(records)["http_user_agents"]
