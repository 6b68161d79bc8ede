"""A mail server on loopback (aiosmtpd); with TLS and logins where a test asks for them."""

from __future__ import annotations

import asyncio
import email
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.policy import default
from typing import TYPE_CHECKING, Any, cast

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator
    from email.message import EmailMessage

    from aiosmtpd.smtp import Envelope, Session


@dataclass
class MailServer:
    """What it got, and what it says. An answer of the lists is used once, the first one first."""

    envelopes: list[Envelope] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    """When each came, by the loop's clock, in seconds."""
    encrypted: list[bool] = field(default_factory=list)
    """Whether each came over TLS."""
    to_data: list[str] = field(default_factory=list)
    to_recipient: list[str] = field(default_factory=list)
    logins: dict[str, str] = field(default_factory=dict)
    """Passwords by user; with any, a login is needed."""
    tried: list[tuple[str, str]] = field(default_factory=list)
    """Logins that were tried."""
    port: int = 0

    @property
    def mails(self) -> list[EmailMessage]:
        """Return the mails that were taken, parsed."""
        return [
            email.message_from_bytes(cast("bytes", e.content), policy=default)
            for e in self.envelopes
        ]

    def texts(self) -> list[str]:
        """Return the text of each mail."""
        return [str(mail.get_content()) for mail in self.mails]

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        _options: list[str],
    ) -> str:
        """Accept the recipient, unless told otherwise."""
        answer = self.to_recipient.pop(0) if self.to_recipient else "250 OK"
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """Take the mail, unless told otherwise."""
        answer = self.to_data.pop(0) if self.to_data else "250 OK"
        if answer.startswith("250"):
            self.envelopes.append(envelope)
            self.at.append(asyncio.get_running_loop().time())
            transport = cast("asyncio.Transport", server.transport)
            self.encrypted.append(transport.get_extra_info("sslcontext") is not None)
        return answer

    def authenticate(
        self,
        _server: SMTP,
        _session: Session,
        _envelope: Envelope,
        _mechanism: str,
        data: Any,  # noqa: ANN401 - aiosmtpd's
    ) -> AuthResult:
        """Look the user up."""
        user, password = "", ""
        if isinstance(data, LoginPassword):
            user, password = data.login.decode(), data.password.decode()
        self.tried.append((user, password))
        return AuthResult(success=self.logins.get(user) == password, handled=False)


@asynccontextmanager
async def mail_server(
    *,
    starttls: ssl.SSLContext | None = None,
    tls: ssl.SSLContext | None = None,
    logins: dict[str, str] | None = None,
) -> AsyncIterator[MailServer]:
    """Yield a server on a free port."""
    server = MailServer(logins=logins or {})
    loop = asyncio.get_running_loop()

    def protocol() -> SMTP:
        return SMTP(
            server,
            hostname="mail.test",
            loop=loop,
            tls_context=starttls,
            require_starttls=starttls is not None,
            authenticator=server.authenticate if server.logins else None,
            auth_required=bool(server.logins),
            auth_require_tls=True,
        )

    listening = await loop.create_server(protocol, "127.0.0.1", 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        await listening.wait_closed()
