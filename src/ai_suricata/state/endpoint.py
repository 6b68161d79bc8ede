"""Where Redis is and as whom we come, out of the settings. Knows no Redis library."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from ai_suricata.core.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import SecretStr

    from ai_suricata.config.settings import RedisSettings

SENTINEL_PORT = 26379
_SCHEMES = ("redis", "rediss", "unix")
_URL_REMEDY = (
    "write it like rediss://USER:PASSWORD@HOST:6379/0 or unix:///run/redis/redis.sock?db=0, with "
    "each special character of the password percent-encoded (or the password in REDIS_PASSWORD)"
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One server, and the credentials that it is shown."""

    host: str
    port: int
    db: int
    path: str | None
    """Of a unix socket, which then replaces host and port."""
    username: str | None
    password: str | None = field(repr=False)
    tls: bool


def endpoint(settings: RedisSettings) -> Endpoint:
    """Join REDIS_URL and the single variables: the URL wins, and says only what it says.

    Raises `ConfigError`, without the URL in its text: it may hold a password.
    """
    url = _split(settings.url)
    unix = url.scheme == "unix"
    found = Endpoint(
        host=unquote(url.hostname or "") or settings.host,
        port=url.port or settings.port,
        db=_database(url, settings.db),
        path=unquote(url.path) if unix else None,
        username=unquote(url.username or "") or settings.username,
        password=unquote(url.password or "") or reveal(settings.password),
        tls=not unix and (url.scheme == "rediss" or settings.tls),
    )
    problems = [*_contradictions(found, settings), *_tls_problems(found, settings)]
    if problems:
        raise ConfigError(problems)
    return found


def addresses(variable: str, words: tuple[str, ...], port: int) -> list[tuple[str, int]]:
    """Read `host:port`, `[v6]:port` or `host` (with this port). Raises `ConfigError`."""
    found: list[tuple[str, int]] = []
    for word in words:
        try:
            parts = urlsplit(f"//{word}")
            found.append((parts.hostname or "", parts.port or port))
        except ValueError:
            found.append(("", 0))
    wrong = [word for word, (host, _) in zip(words, found, strict=True) if not host]
    if wrong:
        raise ConfigError(
            [f"{variable}: {word!r} is no server; write it like redis1:{port}" for word in wrong]
        )
    return found


def reveal(secret: SecretStr | None) -> str | None:
    """Return the text of a secret, None for none."""
    return None if secret is None else secret.get_secret_value() or None


def _split(secret: SecretStr | None) -> SplitResult:
    text = reveal(secret) or ""
    if not text:
        return urlsplit("")
    try:
        url = urlsplit(text)
        query = parse_qs(url.query, strict_parsing=True) if url.query else {}
        # A `#` or `?` of a password that was not encoded cuts the URL there.
        broken = bool(url.fragment or url.port == 0 or set(query) - {"db"})
    except ValueError:
        broken = True
    if broken or url.scheme not in _SCHEMES or (url.scheme == "unix" and not url.path):
        # `from None`: urllib's error quotes the part that it could not read.
        raise ConfigError([f"REDIS_URL can't be read; {_URL_REMEDY}"]) from None
    return url


def _database(url: SplitResult, otherwise: int) -> int:
    written = parse_qs(url.query).get("db", [""])[0]
    if not written and url.scheme != "unix":
        written = url.path.strip("/")
    if not written:
        return otherwise
    if not written.isdecimal():
        raise ConfigError([f"REDIS_URL names no number as its database; {_URL_REMEDY}"])
    return int(written)


def _contradictions(found: Endpoint, settings: RedisSettings) -> list[str]:
    problems: list[str] = []
    if found.path and (settings.cluster or settings.sentinels):
        problems.append(
            "REDIS_URL names a unix socket, which neither a Cluster nor Sentinel has; "
            "take it out, or REDIS_CLUSTER and REDIS_SENTINELS"
        )
    if found.db and settings.cluster:
        problems.append("REDIS_DB: a Cluster has the database 0 alone; set it to 0")
    return problems


def _tls_problems(found: Endpoint, settings: RedisSettings) -> list[str]:
    """Read the certificates now: the client reads them at its first command, and says less."""
    if not found.tls:
        return []
    context = ssl.create_default_context()
    problems = []
    if settings.tls_ca is not None:
        try:
            context.load_verify_locations(settings.tls_ca)
        except OSError as error:  # ssl.SSLError is one too
            problems.append(_unusable("REDIS_TLS_CA", settings.tls_ca, error))
    if settings.tls_cert is not None:
        try:
            # Without a password, OpenSSL would ask for one on the terminal.
            context.load_cert_chain(settings.tls_cert, settings.tls_key, password="")
        except OSError as error:
            problems.append(_unusable("REDIS_TLS_CERT", settings.tls_cert, error))
    return problems


def _unusable(variable: str, path: Path, error: OSError) -> str:
    reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
    return (
        f"{variable}={path}: it (or its key) can't be used ({reason}); name a PEM file that this "
        "user may read, the key in REDIS_TLS_KEY belonging to the certificate and not encrypted"
    )
