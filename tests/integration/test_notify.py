"""Notifications to real servers on loopback: what arrives, and what is done where it does not."""

from __future__ import annotations

import asyncio
import logging
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from ai_suricata.config.load import load
from ai_suricata.core.clock import ManualClock
from ai_suricata.sink.notify import delivery
from ai_suricata.sink.notify.dispatch import Dispatch
from ai_suricata.sink.notify.notice import Kind, Notice
from fakes.certificate import Authority
from fakes.redis_client import until
from fakes.smtp import mail_server
from fakes.webhook import Answer, webhook_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NOW = 1_700_000_000.0
USER, PASSWORD, TOKEN = "alerts", "PASSWORDSECRET é", "TOKENSECRET"
SECRETS = ("PASSWORDSECRET", TOKEN, "PATHSECRET", "QUERYSECRET")
AUTHORITIES = "SSL_CERT_FILE"
"""Where OpenSSL looks for the authorities that it trusts, instead of the system's file."""


def blocked(number: int = 1) -> Notice:
    """Return the notice of a block."""
    target = f"203.0.113.{number}" if number < 256 else f"2001:db8::{number:x}"
    return Notice(
        Kind.BLOCKED, NOW, f"{target} blocked for 10 minutes", ("40 logins were denied",), {"n": 1}
    )


DOWN = Notice(Kind.FIREWALL_DOWN, NOW, "The firewall admin@192.0.2.1:22 does not answer")


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pauses be short, and no proxy of this machine stand in the way."""
    monkeypatch.setattr(delivery, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(delivery, "LONGEST_PAUSE", 0.05)
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def results() -> list[tuple[str, str]]:
    """Return what the observer heard."""
    return []


def dispatch(results: list[tuple[str, str]], **variables: Any) -> Dispatch:  # noqa: ANN401 - any
    """Return a dispatch with short rests between messages."""
    values = {name: str(value) for name, value in variables.items()}
    settings = load(environment={"NOTIFY_TIMEOUT": "5", **values}).notify
    made = Dispatch(
        settings, ManualClock(NOW), lambda channel, result: results.append((channel, result))
    )
    for each in made.deliveries:
        each.channel.interval = 0.05
    return made


@asynccontextmanager
async def running(dispatch: Dispatch) -> AsyncIterator[Dispatch]:
    """Run it; its end is awaited."""
    task = asyncio.create_task(dispatch.run())
    try:
        yield dispatch
    finally:
        dispatch.stop()
        async with asyncio.timeout(10):
            await task


def mail_variables(port: int, **other: str) -> dict[str, Any]:
    """Return the settings of a mail server."""
    return {
        "MAIL_TO": "noc@example.org, night@example.org",
        "MAIL_FROM": "Ai Suricata <alerts@example.org>",
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": port,
        **other,
    }


def contexts(authority: Authority) -> ssl.SSLContext:
    """Return the TLS of a server on 127.0.0.1."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.issue("server.test", "127.0.0.1"))
    return context


async def test_a_post_holds_the_notices_and_the_token(results: list[tuple[str, str]]) -> None:
    """One JSON object, which can be understood without a manual."""
    async with webhook_server() as server:
        made = dispatch(results, WEBHOOK_URL=server.url, WEBHOOK_TOKEN=TOKEN)
        async with running(made):
            made.take([blocked(), DOWN])
            await until(lambda: len(results) == 2)

    request = server.requests[0]
    content = request.content
    assert ("POST", "/hooks/PATHSECRET?key=QUERYSECRET") == (request.method, request.path)
    assert f"Bearer {TOKEN}" == request.headers["authorization"]
    assert "application/json" == request.headers["content-type"]
    assert "ai-suricata: 1 firewall down, 1 blocked" == content["text"]
    assert (0, "ai-suricata", "2023-11-14T22:13:20.000000Z") == (
        content["dropped"],
        content["source"],
        content["time"],
    )
    assert {
        "kind": "blocked",
        "time": "2023-11-14T22:13:20.000000Z",
        "title": "203.0.113.1 blocked for 10 minutes",
        "lines": ["40 logins were denied"],
        "details": {"n": 1},
    } == content["notices"][0]
    assert [("webhook", "sent")] * 2 == results


async def test_a_thousand_blocks_become_few_posts(results: list[tuple[str, str]]) -> None:
    """Each once, in order; what comes while a message is on its way waits for the next one."""
    async with webhook_server() as server:
        made = dispatch(results, WEBHOOK_URL=server.url)
        async with running(made):
            for number in range(1, 1001):
                made.take([blocked(number)])
                if number % 50 == 0:
                    await asyncio.sleep(0)
            await until(lambda: len(results) == 1000)

    assert [blocked(n).title for n in range(1, 1001)] == [n["title"] for n in server.notices]
    assert 10 <= len(server.requests) <= 12
    assert {("webhook", "sent")} == set(results)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(500),
        Answer(503, {"Retry-After": "nonsense"}),
        Answer(429),
        Answer(408),
        Answer(raw=b"SSH-2.0-OpenSSH_9.9\r\n"),
        Answer(raw=b""),
        Answer(raw=b"HTTP/1.1 200 OK\r\nbad header\x00\r\n\r\n"),
    ],
    ids=["500", "503", "429", "408", "no HTTP", "hung up", "no header"],
)
async def test_a_failure_that_may_pass_is_tried_again(
    answer: Answer, results: list[tuple[str, str]]
) -> None:
    """The second message has the id of the first, so that a receiver knows it."""
    async with webhook_server() as server:
        server.answers.append(answer)
        made = dispatch(results, WEBHOOK_URL=server.url)
        async with running(made):
            made.take([blocked()])
            await until(lambda: ("webhook", "sent") in results)

    assert [("webhook", "retried"), ("webhook", "sent")] == results
    assert 2 == len(server.requests)
    assert 1 == len({request.content["id"] for request in server.requests})


@pytest.mark.parametrize("wish", ["1", "Tue, 14 Nov 2023 22:13:21 GMT"], ids=["seconds", "date"])
async def test_a_wish_to_wait_is_granted(wish: str, results: list[tuple[str, str]]) -> None:
    """Retry-After has seconds or a date (RFC 9110, 10.2.3)."""
    async with webhook_server() as server:
        server.answers.append(Answer(429, {"Retry-After": wish}))
        made = dispatch(results, WEBHOOK_URL=server.url)
        async with running(made):
            made.take([blocked()])
            await until(lambda: ("webhook", "sent") in results)

    assert 0.95 <= server.requests[1].at - server.requests[0].at < 5


@pytest.mark.parametrize("status", [401, 403, 404, 410, 302])
async def test_a_refusal_is_not_tried_again(status: int, results: list[tuple[str, str]]) -> None:
    """A redirect is one: it would carry the token to somebody else. The next message tells."""
    async with webhook_server() as server, webhook_server() as elsewhere:
        server.answers.append(Answer(status, {"Location": elsewhere.url}))
        made = dispatch(results, WEBHOOK_URL=server.url, WEBHOOK_TOKEN=TOKEN)
        with capture_logs() as logs:
            async with running(made):
                made.take([blocked(), blocked(2)])
                await until(lambda: len(results) == 2)
                made.take([DOWN])
                await until(lambda: len(results) == 3)

    assert [*[("webhook", "refused")] * 2, ("webhook", "sent")] == results
    assert [0, 2] == [request.content["dropped"] for request in server.requests]
    assert [] == elsewhere.requests
    assert ["notices can't be sent", "notices are sent again"] == [log["event"] for log in logs]
    assert logs[0]["problem"].startswith(f"HTTP {status}")


async def test_a_server_that_is_away_is_given_up_after_some_tries(
    results: list[tuple[str, str]],
) -> None:
    """It is said once, and the first message that arrives says how many were lost."""
    async with webhook_server() as server:
        url = server.url
    made = dispatch(results, WEBHOOK_URL=url)
    with capture_logs() as logs:
        async with running(made):
            made.take([blocked()])
            await until(lambda: ("webhook", "dropped") in results)
            made.take([DOWN])
            await until(lambda: results.count(("webhook", "dropped")) == 2)

    assert [("webhook", "retried")] * (delivery.TRIES - 1) == results[: delivery.TRIES - 1]
    assert ["notices can't be sent", "notices were never sent"] == [log["event"] for log in logs]
    assert "connection refused" == logs[0]["problem"]
    assert 2 == logs[1]["count"]


async def test_a_slow_server_holds_up_no_other_channel(results: list[tuple[str, str]]) -> None:
    """Nor whoever hands notices over. What it takes in the end counts once."""
    async with webhook_server() as server, mail_server() as post:
        server.answers.append(Answer(after=0.5))
        made = dispatch(results, WEBHOOK_URL=server.url, **mail_variables(post.port))
        async with running(made):
            made.take([blocked()])
            await until(lambda: len(results) == 2)

    assert [("mail", "sent"), ("webhook", "sent")] == results
    assert (1, 1) == (len(server.requests), len(post.mails))


async def test_a_server_that_never_answers_costs_its_time_limit(
    results: list[tuple[str, str]],
) -> None:
    """Then it is tried again."""
    async with webhook_server() as server:
        server.answers.append(Answer(never=True))
        made = dispatch(results, WEBHOOK_URL=server.url, NOTIFY_TIMEOUT=0.2)
        with capture_logs() as logs:
            async with running(made):
                made.take([blocked()])
                await until(lambda: ("webhook", "sent") in results)

    assert [("webhook", "retried"), ("webhook", "sent")] == results
    assert "no answer within 0.2 seconds" == logs[0]["problem"]


async def test_the_body_of_an_answer_is_not_read(results: list[tuple[str, str]]) -> None:
    """One without an end takes neither time nor memory."""
    async with webhook_server() as server:
        server.answers.append(Answer(endless=True))
        made = dispatch(results, WEBHOOK_URL=server.url)
        async with running(made):
            made.take([blocked()])
            await until(lambda: ("webhook", "sent") in results)

    assert [("webhook", "sent")] == results
    assert server.sent < 16 * 1024 * 1024


@pytest.mark.parametrize("channel", ["webhook", "mail"])
async def test_a_stop_in_the_middle_ends_within_the_time_limit(
    channel: str, results: list[tuple[str, str]]
) -> None:
    """What is on its way to a server that never answers is lost, counted and said."""
    async with webhook_server() as server:
        server.answers.extend([Answer(never=True)] * 9)
        variables: dict[str, Any] = (
            {"WEBHOOK_URL": server.url} if channel == "webhook" else mail_variables(server.port)
        )
        made = dispatch(results, NOTIFY_TIMEOUT=0.5, **variables)
        made.deliveries[0]._grace._seconds = 0.3
        made.deliveries[0].channel.most = 1
        task = asyncio.create_task(made.run())
        made.take([blocked(), DOWN])
        await until(lambda: made.deliveries[0]._in_hand == 1)
        with capture_logs() as logs:
            began = asyncio.get_running_loop().time()
            made.stop()
            async with asyncio.timeout(5):
                await task

    assert asyncio.get_running_loop().time() - began < 1
    assert [(channel, "dropped")] * 2 == results
    assert [2] == [log["count"] for log in logs if log["event"] == "notices were never sent"]


async def test_what_waits_at_the_stop_is_sent_at_once(results: list[tuple[str, str]]) -> None:
    """Without the rest between two messages: a last mail is worth more than a rule."""
    async with webhook_server() as server, mail_server() as post:
        made = dispatch(results, WEBHOOK_URL=server.url, **mail_variables(post.port))
        for each in made.deliveries:
            each.channel.interval = 3600
        async with running(made):
            made.take([blocked()])
            await until(lambda: len(results) == 2)
            made.take([DOWN])

    assert 2 == len(server.notices)
    assert 2 == len(post.mails)
    assert {("webhook", "sent"), ("mail", "sent")} == set(results)


async def test_a_mail_reads_well(results: list[tuple[str, str]]) -> None:
    """Plain text, the most pressing first, from and to whom the settings say."""
    async with mail_server() as server:
        made = dispatch(results, **mail_variables(server.port))
        async with running(made):
            made.take([blocked(), DOWN])
            await until(lambda: len(results) == 2)

    mail, text = server.mails[0], server.texts()[0]
    assert ["noc@example.org", "night@example.org"] == server.envelopes[0].rcpt_tos
    assert "Ai Suricata <alerts@example.org>" == mail["From"]
    assert "noc@example.org, night@example.org" == mail["To"]
    assert mail["Subject"].endswith("] 1 firewall down, 1 blocked")
    assert "auto-generated" == mail["Auto-Submitted"]
    assert "Tue, 14 Nov 2023 22:13:20 +0000" == mail["Date"]
    assert mail["Message-ID"].endswith("@example.org>")
    assert "text/plain" == mail.get_content_type()
    assert [
        "Firewall down (1)",
        "",
        "  2023-11-14 22:13:20  The firewall admin@192.0.2.1:22 does not answer",
        "",
        "Blocked (1)",
        "",
        "  2023-11-14 22:13:20  203.0.113.1 blocked for 10 minutes",
        "      40 logins were denied",
    ] == text.splitlines()[2:]


async def test_a_thousand_blocks_become_two_mails(results: list[tuple[str, str]]) -> None:
    """The first goes at once, the rest once MAIL_INTERVAL is over; most are counted, not listed."""
    async with mail_server() as server:
        made = dispatch(results, **mail_variables(server.port))
        made.deliveries[0].channel.interval = 0.5
        async with running(made):
            made.take([blocked()])
            await until(lambda: len(results) == 1)
            made.take([blocked(n) for n in range(2, 1001)])
            await until(lambda: len(results) == 1000)

    assert 2 == len(server.mails)
    assert server.at[1] - server.at[0] >= 0.45
    assert server.mails[1]["Subject"].endswith("] 999 blocked")
    assert "  899 more; the audit log lists each." in server.texts()[1].splitlines()


async def test_what_an_attacker_wrote_is_text_of_the_body(
    results: list[tuple[str, str]],
) -> None:
    """No line break of it makes a header, ends the mail or begins a line."""
    evil = (
        "x\r\n.\r\nMAIL FROM:<a@b>\r\nBcc: evil@example.org\r\n\r\n\u2028\u202eolleh\ud800\x1b[2J"
    )
    notice = Notice(Kind.BLOCKED, NOW, f"203.0.113.1 {evil}", (evil, evil))
    async with mail_server() as server:
        made = dispatch(results, **mail_variables(server.port))
        async with running(made):
            made.take([notice])
            await until(lambda: len(results) == 1)

    mail, text = server.mails[0], server.texts()[0]
    assert [("mail", "sent")] == results
    assert ["noc@example.org", "night@example.org"] == server.envelopes[0].rcpt_tos
    assert mail["Bcc"] is None
    assert "203.0.113.1" not in str(mail["Subject"])
    begun = [line for line in text.splitlines() if line and not line.startswith(" ")]
    assert 2 == len(begun)  # the first line, and the heading
    assert 3 == text.count("Bcc: evil@example.org\\x0d\\x0a")
    assert not set("\u2028\u202e\x1b") & set(text)


@pytest.mark.parametrize("way", ["starttls", "tls"])
async def test_a_mail_goes_over_tls(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, results: list[tuple[str, str]]
) -> None:
    """After a login, where there is one; any character may stand in its password."""
    authority = Authority(tmp_path, "house")
    monkeypatch.setenv(AUTHORITIES, str(authority.ca))
    logins = {USER: PASSWORD} if way == "starttls" else {}
    login = {"SMTP_USERNAME": USER, "SMTP_PASSWORD": PASSWORD} if logins else {}
    async with mail_server(**{way: contexts(authority)}, logins=logins) as server:
        made = dispatch(results, **mail_variables(server.port, SMTP_TLS=way, **login))
        async with running(made):
            made.take([blocked()])
            await until(lambda: len(results) == 1)

    assert [("mail", "sent")] == results
    assert [True] == server.encrypted
    assert list(logins.items()) == server.tried


async def test_an_unknown_authority_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, results: list[tuple[str, str]]
) -> None:
    """Neither by the webhook nor by the mails; nothing is handed over."""
    monkeypatch.setenv(AUTHORITIES, str(Authority(tmp_path / "house", "house").ca))
    stranger = contexts(Authority(tmp_path / "other", "other"))
    logins = {USER: PASSWORD}
    async with (
        webhook_server(stranger) as hook,
        mail_server(starttls=stranger, logins=logins) as post,
    ):
        made = dispatch(
            results,
            WEBHOOK_URL=hook.url,
            **mail_variables(
                post.port, SMTP_TLS="starttls", SMTP_USERNAME=USER, SMTP_PASSWORD=PASSWORD
            ),
        )
        with capture_logs() as logs:
            async with running(made):
                made.take([blocked()])
                await until(lambda: sum(result == "dropped" for _, result in results) == 2)

    assert ([], [], []) == (hook.requests, post.envelopes, post.tried)
    problems = {log["problem"] for log in logs if "problem" in log}
    assert {"its certificate is not trusted: unable to get local issuer certificate"} == problems


async def test_a_post_goes_over_tls_that_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, results: list[tuple[str, str]]
) -> None:
    """By the system's authorities, to which an operator can add the own one."""
    authority = Authority(tmp_path, "house")
    monkeypatch.setenv(AUTHORITIES, str(authority.ca))
    async with webhook_server(contexts(authority)) as server:
        made = dispatch(results, WEBHOOK_URL=server.url)
        async with running(made):
            made.take([blocked()])
            await until(lambda: len(results) == 1)

    assert [("webhook", "sent")] == results


async def test_no_mail_goes_in_the_clear_where_starttls_is_asked_for(
    results: list[tuple[str, str]],
) -> None:
    """A server without the offer, or somebody in between who took it away, is refused."""
    async with mail_server() as server:
        made = dispatch(results, **mail_variables(server.port, SMTP_TLS="starttls"))
        with capture_logs() as logs:
            async with running(made):
                made.take([blocked()])
                await until(lambda: len(results) == 1)

    assert [("mail", "refused")] == results
    assert [] == server.envelopes
    assert "the server offers no STARTTLS, or no login that we know" == logs[0]["problem"]


async def test_a_wrong_password_is_refused_and_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, results: list[tuple[str, str]]
) -> None:
    """Trying again could lock the account."""
    authority = Authority(tmp_path, "house")
    monkeypatch.setenv(AUTHORITIES, str(authority.ca))
    async with mail_server(starttls=contexts(authority), logins={USER: "another"}) as server:
        made = dispatch(
            results,
            **mail_variables(
                server.port, SMTP_TLS="starttls", SMTP_USERNAME=USER, SMTP_PASSWORD=PASSWORD
            ),
        )
        with capture_logs() as logs:
            async with running(made):
                made.take([blocked()])
                await until(lambda: len(results) == 1)

    assert [("mail", "refused")] == results
    assert "the login is refused: SMTP 535 5.7.8" == logs[0]["problem"]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("451 4.3.0 try later", ["retried", "sent"]),
        ("552 5.3.4 too large", ["refused"]),
        ("554 5.7.1 spam", ["refused"]),
    ],
)
async def test_a_mail_is_tried_again_where_the_server_says_later(
    answer: str, expected: list[str], results: list[tuple[str, str]]
) -> None:
    """4xx means later, 5xx never (RFC 5321, 4.2.1). The second try has the same Message-ID."""
    async with mail_server() as server:
        server.to_data.append(answer)
        made = dispatch(results, **mail_variables(server.port))
        with capture_logs() as logs:
            async with running(made):
                made.take([blocked()])
                await until(lambda: len(results) == len(expected))

    assert [("mail", result) for result in expected] == results
    assert f"the mail is refused: SMTP {answer[:9]}" == logs[0]["problem"]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (["550 5.1.1 nobody", "550 5.1.1 nobody"], ["refused"]),
        (["550 5.1.1 nobody", "450 4.2.1 busy"], ["retried", "sent"]),
        (["550 5.1.1 nobody"], ["sent"]),
    ],
)
async def test_a_mail_that_one_recipient_gets_is_sent(
    answers: list[str], expected: list[str], results: list[tuple[str, str]]
) -> None:
    """It is refused where all are, for ever."""
    async with mail_server() as server:
        server.to_recipient.extend(answers)
        made = dispatch(results, **mail_variables(server.port))
        async with running(made):
            made.take([blocked()])
            await until(lambda: len(results) == len(expected))

    assert [("mail", result) for result in expected] == results


async def test_no_secret_is_logged(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    results: list[tuple[str, str]],
) -> None:
    """Neither by us nor by the libraries, at any level, whatever a server repeats of it."""
    authority = Authority(tmp_path, "house")
    monkeypatch.setenv(AUTHORITIES, str(authority.ca))
    caplog.set_level(logging.DEBUG)
    async with (
        webhook_server() as hook,
        mail_server(starttls=contexts(authority), logins={USER: PASSWORD}) as post,
    ):
        echo = f"{hook.url} {TOKEN} {PASSWORD}".encode()
        hook.answers.extend(
            [
                Answer(raw=echo + b"\r\n\r\n"),
                Answer(raw=b"HTTP/1.1 200 " + echo + b"\r\nX: " + echo + b"\x00\r\n\r\n"),
                Answer(500, {"Retry-After": TOKEN, "X-Echo": TOKEN}, body=echo),
                Answer(301, {"Location": hook.url}),
            ]
        )
        post.to_data.extend([f"451 {PASSWORD[:14]}", f"451 4.4.{PASSWORD[:14]}", "554 no"])
        made = dispatch(
            results,
            WEBHOOK_URL=hook.url,
            WEBHOOK_TOKEN=TOKEN,
            **mail_variables(
                post.port, SMTP_TLS="starttls", SMTP_USERNAME=USER, SMTP_PASSWORD=PASSWORD
            ),
        )
        with capture_logs() as logs:
            async with running(made):
                made.take([blocked()])
                await until(lambda: sum(result == "refused" for _, result in results) == 2)
                made.take([DOWN])
                await until(lambda: sum(result == "sent" for _, result in results) == 2)

    ours = [record for record in caplog.records if record.name != "mail.log"]  # the server's own
    told = f"{logs} {[(record.getMessage(), vars(record)) for record in ours]}"
    assert [] == [secret for secret in SECRETS if secret in told]
    assert 5 == len(hook.requests)


async def test_a_library_that_stumbles_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, results: list[tuple[str, str]]
) -> None:
    """Its words may hold anything: the class of the error alone is told."""

    def stumble(*_args: object, **_more: object) -> None:
        raise RuntimeError("PATHSECRET")

    monkeypatch.setattr("httpx.AsyncClient", stumble)
    made = dispatch(results, WEBHOOK_URL="http://127.0.0.1:9/x")
    with capture_logs() as logs:
        async with running(made):
            made.take([blocked()])
            await until(lambda: ("webhook", "dropped") in results)

    assert "unexpected RuntimeError" == logs[0]["problem"]


async def test_without_a_channel_nothing_is_done() -> None:
    """It may be run and stopped all the same."""
    made = dispatch([])
    async with running(made):
        made.take([blocked()])

    assert [] == made.deliveries
