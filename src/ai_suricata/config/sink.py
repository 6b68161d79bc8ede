"""What the sinks take: what is kept of alerts and decisions, and who is told of them."""

from __future__ import annotations

from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import SecretStr, model_validator

from ai_suricata.config.kinds import Group, Words, setting

_HERE = frozenset({"127.0.0.1", "::1", "localhost"})
"""Where a token may go in the clear: it does not leave this machine."""
_HARMLESS = "https://localhost"
"""In the place of a URL that is not set."""


class SinkSettings(Group):
    """What `sink` takes."""

    max_alerts: int = setting(
        "MAX_ALERTS", 10_000, "alerts kept in the alert store", unit="alerts", ge=0
    )
    retention_days: int = setting(
        "RETENTION_DAYS",
        90,
        "how long they are kept (known and checked; this version does not use it yet)",
        unit="days",
        ge=1,
    )
    dead_letter_bytes: int = setting(
        "DEAD_LETTER_BYTES",
        1024 * 1024,
        "samples of rejected lines in STATE_DIR/rejected.jsonl, the newest; 0 keeps none",
        unit="bytes",
        ge=0,
        le=1024**3,
    )
    audit_bytes: int = setting(
        "AUDIT_BYTES",
        10 * 1024 * 1024,
        "size from which STATE_DIR/audit.jsonl is rotated; 0: never (logrotate may)",
        unit="bytes",
        ge=0,
        le=1024**4,
    )
    audit_files: int = setting(
        "AUDIT_FILES", 10, "rotated audit logs that are kept", unit="files", ge=1, le=10_000
    )


class NotifySettings(Group):
    """What `sink.notify` takes: who is told of blocks and troubles, beside `threat_alerts`."""

    webhook_url: SecretStr | None = setting(
        "WEBHOOK_URL",
        None,
        "where decisions and troubles are POSTed as JSON (needs the extra `notify`)",
    )
    webhook_token: SecretStr | None = setting(
        "WEBHOOK_TOKEN", None, "sent along as `Authorization: Bearer …`"
    )
    mail_to: Words = setting(
        "MAIL_TO", (), "who gets a mail of decisions and troubles (needs the extra `notify`)"
    )
    mail_from: str = setting("MAIL_FROM", "", "its sender")
    smtp_host: str = setting("SMTP_HOST", "localhost", "the mail server", min_length=1)
    smtp_port: int = setting("SMTP_PORT", 25, "its port", ge=1, le=65535)
    smtp_username: str | None = setting("SMTP_USERNAME", None, "who logs in there")
    smtp_password: SecretStr | None = setting("SMTP_PASSWORD", None, "any character is allowed")
    smtp_tls: Literal["none", "starttls", "tls"] = setting(
        "SMTP_TLS", "none", "none, starttls (mostly port 587) or tls (mostly port 465)"
    )
    mail_interval: float = setting(
        "MAIL_INTERVAL",
        60.0,
        "least time between two mails; what happens meanwhile goes into one",
        unit="seconds",
        ge=1,
        le=86_400,
    )
    timeout: float = setting(
        "NOTIFY_TIMEOUT", 10.0, "longest wait for one notification", unit="seconds", gt=0, le=300
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        problems: list[str] = []
        if self.mail_to and not self.mail_from:
            problems.append("MAIL_FROM is missing: set it to the sender of the mails to MAIL_TO")
        if self.smtp_password is not None and self.smtp_tls == "none":
            problems.append(
                "SMTP_PASSWORD would travel in the clear; set SMTP_TLS to starttls or tls"
            )
        url = self.webhook_url.get_secret_value() if self.webhook_url is not None else _HARMLESS
        if not _is_url(url):
            problems.append("WEBHOOK_URL is no URL; write it like https://HOST/PATH")
        elif self.webhook_token is not None and not _is_safe(url):
            problems.append(
                "WEBHOOK_TOKEN would travel in the clear; let WEBHOOK_URL begin with https://"
            )
        if not url.startswith(("http://", "https://")):
            problems.append("WEBHOOK_URL has to begin with https:// or http://; write it in full")
        if problems:
            raise ValueError("\n".join(problems))
        return self


def _is_url(url: str) -> bool:
    """Say whether it names a host; what is wrong otherwise stays untold: it may hold a secret."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # its text repeats what could not be read
        return False


def _is_safe(url: str) -> bool:
    """Say whether nobody on the way can read what is sent there."""
    parts = urlsplit(url)
    return parts.scheme == "https" or parts.hostname in _HERE
