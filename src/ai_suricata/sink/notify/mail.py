"""E-mail: plain text, few of them. Needs the extra `notify` (aiosmtplib).

Headers hold the operator's settings, our own words and numbers, nothing else: what an attacker
may have written is text of the body, each line of it indented. What the mail server writes stands
in no log line, since some servers repeat the command that they refuse, and with it the password.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from contextlib import suppress
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from typing import TYPE_CHECKING
from uuid import uuid4

import aiosmtplib

from ai_suricata.core.errors import ConfigError
from ai_suricata.sink.notify.channel import DeliveryError, reason
from ai_suricata.sink.notify.lookup import Lookup
from ai_suricata.sink.notify.notice import WORDS, by_kind, shown, summary

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ai_suricata.config.sink import NotifySettings
    from ai_suricata.core.clock import Clock
    from ai_suricata.sink.notify.notice import Notice

MOST_OF_A_KIND = 100
"""Notices of a kind that a mail lists; the others are counted."""

_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.:\[\]-]{1,253}")
_REPLY = re.compile(r"\s*([245]\.\d{1,3}\.\d{1,3})\b")
"""An enhanced status code (RFC 3463), which says why a server refused."""
_PERMANENT = 500
_GOODBYE = 1.0  # seconds that a server has to answer QUIT


class Mail:
    """Implements `Channel`."""

    name = "mail"
    most = 1000

    def __init__(self, settings: NotifySettings, clock: Clock) -> None:
        """`settings.mail_to` is set. Raises ConfigError for what is no address."""
        self.interval = settings.mail_interval
        self._settings = settings
        self._clock = clock
        self._from = _mailbox("MAIL_FROM", settings.mail_from)
        self._to = [_mailbox("MAIL_TO", address) for address in settings.mail_to]
        if settings.smtp_password is not None and not settings.smtp_username:
            raise ConfigError(
                ["SMTP_PASSWORD is of no use without SMTP_USERNAME: set both or neither"]
            )
        self._lookup = Lookup(settings.smtp_host, settings.smtp_port)
        # The system's own authorities, to which an operator adds those of the house.
        self._tls = ssl.create_default_context()

    def compose(self, notices: Sequence[Notice], lost: int) -> bytes:
        """Return a mail, as RFC 5322 has it."""
        now = datetime.fromtimestamp(self._clock.now(), UTC)
        host = _printable(socket.gethostname())
        mail = EmailMessage(policy=SMTP)
        mail["From"] = self._from
        mail["To"] = self._to
        mail["Subject"] = f"[ai-suricata on {host}] {summary(notices)}"
        mail["Date"] = format_datetime(now)
        mail["Message-ID"] = f"<{uuid4().hex}@{self._from.domain}>"
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody is on holiday for it
        text = "\n".join(_text(host, notices, lost)) + "\n"
        mail.set_content(text, charset="utf-8", cte="quoted-printable")
        return mail.as_bytes()

    async def send(self, message: bytes) -> None:
        """Send it over a connection of its own. Raises `DeliveryError`."""
        timeout = self._settings.timeout
        client = self._client()
        try:
            async with asyncio.timeout(timeout):
                await self._lookup.answered()
                await client.connect()
                await client.sendmail(
                    self._from.addr_spec, [each.addr_spec for each in self._to], message
                )
        except (TimeoutError, aiosmtplib.SMTPException, OSError) as error:
            raise _failure(error, timeout) from None
        else:
            await _part(client)
        finally:
            client.close()

    def _client(self) -> aiosmtplib.SMTP:
        settings = self._settings
        password = settings.smtp_password
        return aiosmtplib.SMTP(
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            username=settings.smtp_username,
            password=None if password is None else password.get_secret_value(),
            local_hostname=_printable(socket.gethostname()),
            timeout=settings.timeout,
            use_tls=settings.smtp_tls == "tls",
            # Not "where the server offers it": somebody in between could take the offer away.
            start_tls=settings.smtp_tls == "starttls",
            tls_context=self._tls,
        )


def _mailbox(variable: str, text: str) -> Address:
    """Return who sends or gets the mail; ConfigError where that can't be a header."""
    name, address = parseaddr(text)
    with suppress(ValueError, HeaderParseError):
        if _ADDRESS.fullmatch(address) and text.isprintable():
            return Address(display_name=name, addr_spec=address)
    raise ConfigError([f"{variable}={text!r} is no mail address: write it like alerts@example.org"])


def _printable(host: str) -> str:
    """Return the machine's name as a word that may stand in a header and in EHLO."""
    return re.sub(r"[^A-Za-z0-9.-]", "-", host) or "localhost"


async def _part(client: aiosmtplib.SMTP) -> None:
    """Say goodbye. The mail has been taken, so that nothing which fails here counts."""
    with suppress(TimeoutError, aiosmtplib.SMTPException, OSError):
        async with asyncio.timeout(_GOODBYE):
            await client.quit()


def _text(host: str, notices: Sequence[Notice], lost: int) -> Iterator[str]:
    """Yield the lines of the body: what happened, by kind, the most pressing first."""
    first, last = (_time(pick(n.time for n in notices)) for pick in (min, max))
    when = f"at {last} UTC" if first == last else f"between {first} and {last} UTC"
    yield f"ai-suricata on {host}, {when}."
    for kind, some in by_kind(notices).items():
        yield from ("", f"{WORDS[kind].capitalize()} ({len(some)})")
        for notice in some[:MOST_OF_A_KIND]:
            title, lines = shown(notice)
            yield from ("", f"  {_time(notice.time)}  {title}")
            yield from (f"      {line}" for line in lines)
        if len(some) > MOST_OF_A_KIND:
            yield from ("", f"  {len(some) - MOST_OF_A_KIND} more; the audit log lists each.")
    if lost:
        yield from ("", f"Lost, since they could not be sent before: {lost}.")


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _failure(error: Exception, timeout: float) -> DeliveryError:
    """Return what went wrong, in words that hold nothing that the server wrote."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        refusals = error.recipients
        final = all(refusal.code >= _PERMANENT for refusal in refusals)
        return DeliveryError(f"no recipient is accepted: {_answer(refusals[0])}", final=final)
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return DeliveryError(_answer(error), final=error.code >= _PERMANENT)
    if type(error) in {aiosmtplib.SMTPException, aiosmtplib.SMTPNotSupported}:
        return DeliveryError("the server offers no STARTTLS, or no login that we know", final=True)
    if isinstance(error, TimeoutError):
        return DeliveryError(f"no answer within {timeout:g} seconds")
    return DeliveryError(reason(error))


def _answer(error: aiosmtplib.SMTPResponseException) -> str:
    if error.code < 0:  # the library's way to say so
        return "what answers there speaks no SMTP"
    stages = {
        aiosmtplib.SMTPAuthenticationError: "the login is refused",
        aiosmtplib.SMTPSenderRefused: "the sender is refused",
        aiosmtplib.SMTPRecipientRefused: "the recipient is refused",
        aiosmtplib.SMTPDataError: "the mail is refused",
    }
    stage = stages.get(type(error), "the server refuses")
    found = _REPLY.match(error.message)
    return f"{stage}: SMTP {error.code}{f' {found[1]}' if found else ''}"
