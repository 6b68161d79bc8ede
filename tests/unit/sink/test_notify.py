"""Notices and channels: what is told, and what is refused at the start."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_suricata.config.load import load
from ai_suricata.core.clock import ManualClock
from ai_suricata.core.decision import Decision, LedgerEntry, LedgerState, Table
from ai_suricata.core.errors import ConfigError
from ai_suricata.sink.notify.channel import reason
from ai_suricata.sink.notify.dispatch import Dispatch
from ai_suricata.sink.notify.mail import Mail
from ai_suricata.sink.notify.notice import (
    MOST_DETAILS,
    MOST_LINE,
    MOST_LINES,
    MOST_MEMBERS,
    WORDS,
    Kind,
    Notice,
    as_json,
    of_entry,
    period,
    summary,
)
from ai_suricata.sink.notify.post import Webhook

if TYPE_CHECKING:
    from ai_suricata.config.sink import NotifySettings

NOW = 1_700_000_000.0
_DECISION = Decision(
    target="203.0.113.7",
    table=Table.BLOCK,
    duration=600.0,
    step=0,
    decided_at=NOW,
    event_time=int(NOW * 1_000_000),
    score=0.97,
    reasons=("brute force: 40 logins were denied in 10 minutes",),
    model_version="none",
    features={"denied_logins": 40.0},
)


def entry(**other: Any) -> LedgerEntry:  # noqa: ANN401 - any field of the decision
    """Return an entry of the ledger."""
    decision = msgspec.structs.replace(_DECISION, **other)
    return LedgerEntry(decision, LedgerState.ENFORCED, NOW, NOW + 600)


def notice(number: int = 0, kind: Kind = Kind.BLOCKED) -> Notice:
    """Return a notice that can be told from others."""
    return Notice(kind, NOW, str(number))


def notify_settings(**variables: str) -> NotifySettings:
    """Return settings."""
    return load(environment=variables).notify


def test_a_block_is_told_in_words_and_in_figures() -> None:
    """The title is ours alone; reasons, which may quote, are lines."""
    told = of_entry(Kind.BLOCKED, entry(), NOW + 1, "put back")

    assert "203.0.113.7 blocked for 10 minutes" == told.title
    assert ("brute force: 40 logins were denied in 10 minutes", "put back") == told.lines
    assert ("203.0.113.7", "block", 600.0, 0.97, {"denied_logins": 40.0}, False) == tuple(
        told.details[name]
        for name in ("target", "table", "duration_seconds", "score", "features", "by_hand")
    )


@pytest.mark.parametrize(
    ("kind", "other", "expected"),
    [
        (Kind.BLOCKED, {"table": Table.LIMIT}, "203.0.113.7 rate-limited for 10 minutes"),
        (Kind.BLOCKED, {"by_hand": True}, "203.0.113.7 blocked for 10 minutes, by hand"),
        (
            Kind.BLOCKED,
            {"target": "203.0.113.0/24", "members": ("203.0.113.1", "203.0.113.2")},
            "203.0.113.0/24 (2 offenders) blocked for 10 minutes",
        ),
        (Kind.RELEASED, {}, "203.0.113.7 is no longer blocked"),
        (
            Kind.NEVER_BLOCK_LIFTED,
            {"table": Table.LIMIT},
            "203.0.113.7 is no longer rate-limited: it is never to be",
        ),
        (Kind.BLOCKED_BUT_SEEN, {}, "203.0.113.7 is blocked, and yet it was answered"),
    ],
)
def test_a_title_says_what_was_done(kind: Kind, other: dict[str, Any], expected: str) -> None:
    """In one line."""
    assert expected == of_entry(kind, entry(**other), NOW).title


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (600, "10 minutes"),
        (3600, "1 hour"),
        (86_400, "1 day"),
        (604_800, "7 days"),
        (90, "90 seconds"),
        (0.2, "1 second"),
    ],
)
def test_a_period_is_told_in_its_largest_whole_unit(seconds: float, expected: str) -> None:
    """As people say it."""
    assert expected == period(seconds)


def test_every_kind_has_its_word() -> None:
    """And a summary names the most pressing first."""
    assert set(Kind) == set(WORDS)
    notices = [
        notice(kind=Kind.BLOCKED),
        notice(kind=Kind.BLOCKED),
        notice(kind=Kind.FIREWALL_DOWN),
    ]
    assert "1 firewall down, 2 blocked" == summary(notices)


@given(st.text(st.characters(), max_size=600), st.lists(st.text(st.characters()), max_size=30))
def test_whatever_a_notice_holds_it_can_be_told(title: str, lines: list[str]) -> None:
    """Surrogates, which JSON from the network may hold, control characters, anything."""
    told = as_json(Notice(Kind.BLOCKED, NOW, title, tuple(lines), {"lines": lines}))
    found = msgspec.json.decode(msgspec.json.encode(told))

    assert all(line.isprintable() or line.strip() for line in found["lines"] if line)
    assert not any(ord(sign) < 32 for line in [found["title"], *found["lines"]] for sign in line)
    assert len(found["lines"]) <= MOST_LINES + 1


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        ({"figure": float("nan")}, {"figure": None}),
        ({"text": "\ud800"}, {"left_out": "no JSON"}),
        ({"thing": object()}, {"left_out": "no JSON"}),
        ({"text": "x" * MOST_DETAILS}, {"left_out": f"{MOST_DETAILS + 11} bytes"}),
    ],
)
def test_details_that_can_t_be_told_are_left_out(
    details: dict[str, Any], expected: dict[str, Any]
) -> None:
    """The notice itself is told."""
    told = as_json(Notice(Kind.PAUSED, NOW, "Paused", (), details))
    assert expected == msgspec.json.decode(msgspec.json.encode(told))["details"]


def test_a_notice_is_bounded() -> None:
    """A network of a million members, or a reason without an end, makes no message of megabytes."""
    members = tuple(f"2001:db8::{number:x}" for number in range(10_000))
    told = of_entry(
        Kind.BLOCKED, entry(reasons=("x" * 10_000,) * 100, members=members), NOW, "note"
    )
    found = as_json(told)

    assert [MOST_LINE] * MOST_LINES == [len(line) for line in found["lines"][:-1]]
    assert "(81 more)" == found["lines"][-1]
    assert len(msgspec.json.encode(found)) < 2 * MOST_DETAILS
    assert (MOST_MEMBERS, 10_000) == (len(told.details["members"]), told.details["member_count"])


@pytest.mark.parametrize(
    ("variables", "library"),
    [
        ({"WEBHOOK_URL": "https://example.org/x"}, "httpx"),
        ({"MAIL_TO": "a@example.org", "MAIL_FROM": "b@example.org"}, "aiosmtplib"),
    ],
)
def test_a_missing_library_is_named_with_its_remedy(
    variables: dict[str, str], library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the start, not at the first block."""
    for name in ("ai_suricata.sink.notify.post", "ai_suricata.sink.notify.mail"):
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ConfigError) as caught:
        Dispatch(notify_settings(**variables), ManualClock(NOW))

    expected = f"{next(iter(variables))} needs {library}: run `pip install 'ai-suricata[notify]'`"
    assert [expected] == caught.value.problems


def test_without_a_channel_no_library_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is one."""
    for name in ("httpx", "aiosmtplib"):
        monkeypatch.setitem(sys.modules, name, None)
    assert [] == Dispatch(notify_settings(), ManualClock(NOW)).deliveries


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({"WEBHOOK_URL": "https://"}, "WEBHOOK_URL"),
        ({"WEBHOOK_URL": "https:///SECRET"}, "WEBHOOK_URL"),
        ({"WEBHOOK_URL": "https://host:SECRET/"}, "WEBHOOK_URL"),
        ({"WEBHOOK_URL": "https://[SECRET/"}, "WEBHOOK_URL"),
        ({"WEBHOOK_URL": "https://h/\x01SECRET"}, "WEBHOOK_URL"),
        ({"WEBHOOK_URL": "https://h/", "WEBHOOK_TOKEN": "SECRET\r\nX: y"}, "WEBHOOK_TOKEN"),
        ({"WEBHOOK_URL": "https://h/", "WEBHOOK_TOKEN": "SECRET é"}, "WEBHOOK_TOKEN"),
        ({"WEBHOOK_URL": "https://u:SECRET@h/", "WEBHOOK_TOKEN": "SECRET"}, "WEBHOOK_TOKEN"),
    ],
)
def test_a_webhook_that_can_t_be_is_refused_at_the_start(
    variables: dict[str, str], name: str
) -> None:
    """The text names the variable and not its value."""
    with pytest.raises(ConfigError) as caught:
        Webhook(notify_settings(**variables), ManualClock(NOW))

    assert name in str(caught.value)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({"MAIL_TO": "nobody"}, "MAIL_TO"),
        ({"MAIL_TO": "a@example.org,b@@example.org"}, "MAIL_TO"),
        ({"MAIL_TO": "a..b@example.org"}, "MAIL_TO"),
        ({"MAIL_TO": "ä@example.org"}, "MAIL_TO"),
        ({"MAIL_FROM": "a@example.org\r\nBcc: b@example.org"}, "MAIL_FROM"),
        ({"MAIL_FROM": "Name\r\nBcc: b@example.org <a@example.org>"}, "MAIL_FROM"),
        ({"MAIL_FROM": "nobody"}, "MAIL_FROM"),
        ({"SMTP_PASSWORD": "x", "SMTP_TLS": "tls"}, "SMTP_USERNAME"),
    ],
)
def test_a_mail_that_can_t_be_is_refused_at_the_start(variables: dict[str, str], name: str) -> None:
    """What is no address, and what would make a header of its own."""
    given = {"MAIL_TO": "a@example.org", "MAIL_FROM": "b@example.org", **variables}
    with pytest.raises(ConfigError) as caught:
        Mail(notify_settings(**given), ManualClock(NOW))

    assert name in str(caught.value)


def test_a_line_of_a_mail_s_header_is_never_anybody_else_s() -> None:
    """Whatever the notices say, the header has the lines that it has without them."""
    settings = notify_settings(MAIL_TO="a@example.org", MAIL_FROM="Ä <b@example.org>")
    mail = Mail(settings, ManualClock(NOW))
    evil = Notice(Kind.BLOCKED, NOW, "x\nBcc: c@example.org", ("y\r\n\r\nz",))
    names = [
        [
            line.partition(b":")[0]
            for line in mail.compose([n], 3).split(b"\r\n\r\n")[0].split(b"\r\n")
        ]
        for n in (notice(), evil)
    ]

    assert names[0] == names[1]
    assert b"Lost, since they could not be sent before: 3." in mail.compose([evil], 3)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConnectionRefusedError(111, "Connect call failed SECRET"), "connection refused"),
        (OSError("SECRET"), "no connection"),
        (RuntimeError("SECRET"), "no connection"),
    ],
)
def test_a_reason_holds_nothing_but_the_system_s_own_words(error: Exception, expected: str) -> None:
    """What libraries and peers write may hold anything."""
    wrapped = ValueError("SECRET")
    wrapped.__cause__ = error
    error.__context__ = wrapped  # a ring of causes ends, too

    assert expected == reason(wrapped)
