"""What went wrong between us and Redis, in a sentence with the remedy.

Nothing of a server's own text is told but the name of a command: an old server that does not know
HELLO quotes its arguments, and those hold the password.
"""

from __future__ import annotations

import builtins
import errno
import re
import socket
import ssl
from typing import TYPE_CHECKING

from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import (
    AuthenticationError,
    ConnectionError,  # noqa: A004 - redis-py's own, no subclass of Python's
    MaxConnectionsError,
    RedisClusterException,
    TimeoutError,  # noqa: A004 - redis-py's own, as above
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

_BY_CODE = {
    "WRONGPASS": (
        "Redis refused user and password (it does not say which of the two is wrong); check "
        "REDIS_USERNAME and REDIS_PASSWORD, and with ACL LIST that the user is on"
    ),
    "NOAUTH": "Redis asks for a password; set REDIS_PASSWORD, and REDIS_USERNAME for an ACL user",
    "DENIED": (
        "Redis is in protected mode and serves its own machine alone; give it a password and set "
        "REDIS_PASSWORD"
    ),
    "LOADING": "Redis is still loading its data; wait: it answers when that is done",
    "READONLY": (
        "this Redis is a replica and takes no writes; name the master in REDIS_HOST, or let "
        "REDIS_SENTINELS find it"
    ),
    "OOM": "Redis is at its memory limit and takes no writes; raise maxmemory or free memory",
    "MISCONF": (
        "Redis takes no writes because it can't save its data; its log says why: free disk space, "
        "or put right the folder that CONFIG GET dir shows"
    ),
    "NOREPLICAS": (
        "Redis takes no writes because too few replicas are linked; bring them back, or lower "
        "min-replicas-to-write"
    ),
    "MASTERDOWN": (
        "this Redis is a replica that lost its master and answers no reads; bring the master back, "
        "or name it in REDIS_HOST"
    ),
    "CLUSTERDOWN": (
        "the Cluster is down, or some of its slots have no master; CLUSTER INFO says which: bring "
        "the missing node back"
    ),
    "MOVED": "this Redis is a node of a Cluster; set REDIS_CLUSTER to true",
}
_BY_TEXT = {
    "invalid DB index": "REDIS_DB is higher than this server allows; lower it, or raise databases",
    "DB index is out of range": (
        "REDIS_DB is higher than this server allows; lower it, or raise databases"
    ),
    "max number of clients": (
        "Redis has as many clients as it allows; raise maxclients, or close others"
    ),
    "without any password configured": (
        "Redis has no password for this user; take REDIS_PASSWORD out, or set one on the server"
    ),
    "Cluster mode is not enabled": "this Redis is no Cluster; set REDIS_CLUSTER to false",
    "cluster support disabled": "this Redis is no Cluster; set REDIS_CLUSTER to false",
    "auth:": (
        "the Sentinels refused user and password; check REDIS_SENTINEL_USERNAME and "
        "REDIS_SENTINEL_PASSWORD"
    ),
}
_TIMEOUT = (
    "Redis did not answer within REDIS_SOCKET_TIMEOUT; see whether it hangs, a firewall drops its "
    "packets, or REDIS_TLS is set for a port without TLS; else raise the limit"
)
_NO_TLS = "the server does not speak TLS on this port; name its TLS port, or set REDIS_TLS to false"
_CERTIFICATE = (
    "the server did not accept our certificate, or wants one; set REDIS_TLS_CERT and "
    "REDIS_TLS_KEY to a pair that its CA has signed"
)
_REFUSED = (
    "nothing listens there: the connection was refused; start Redis, or correct REDIS_HOST and "
    "REDIS_PORT"
)
# With TLS 1.3 a server may cut the connection so fast that its reason (no certificate) is lost.
_LOST = (
    "the connection to Redis was lost or could not be made; see whether it runs and is reachable, "
    "and whether it wants TLS (REDIS_TLS) and our certificate (REDIS_TLS_CERT, REDIS_TLS_KEY)"
)
_BY_KIND: tuple[tuple[type[BaseException], str], ...] = (
    (AuthenticationError, _BY_CODE["WRONGPASS"]),
    (socket.gaierror, "the name of the server is not known; correct REDIS_HOST"),
    (ConnectionRefusedError, _REFUSED),
    (FileNotFoundError, "there is no such unix socket; start Redis, or correct REDIS_URL"),
    (PermissionError, "this user may not open the unix socket; see its group and unixsocketperm"),
    (TimeoutError, _TIMEOUT),
    (builtins.TimeoutError, _TIMEOUT),
    (
        MasterNotFoundError,
        (
            "no Sentinel knows a master that is up; a failover takes seconds, else check "
            "REDIS_SENTINEL_MASTER and REDIS_SENTINELS"
        ),
    ),
    (
        MaxConnectionsError,
        "all our connections to Redis are in use: its answers are slower than our questions",
    ),
    (
        RedisClusterException,
        (
            "no node of the Cluster knows a master for every slot; CLUSTER INFO says more, and "
            "REDIS_CLUSTER_NODES may name further nodes"
        ),
    ),
    (ConnectionError, _LOST),
    (OSError, _LOST),
)
"""The more telling kind first."""


_TLS_REASONS = {
    "WRONG_VERSION_NUMBER": _NO_TLS,
    "RECORD_LAYER_FAILURE": _NO_TLS,
    "PACKET_LENGTH_TOO_LONG": _NO_TLS,
    "CERTIFICATE_REQUIRED": _CERTIFICATE,
    "BAD_CERTIFICATE": _CERTIFICATE,
    "HANDSHAKE_FAILURE": _CERTIFICATE,
    "UNKNOWN_CA": _CERTIFICATE,
}


def describe(error: BaseException) -> str:
    """Return a sentence with the remedy, and never a secret: not even one that the error quotes."""
    chain = list(_chain(error))
    return (
        _first(_by_permission, chain)
        or _first(_by_code, chain)
        or _first(_by_tls, chain)
        or _first(_by_text, chain)
        or _by_kind(chain)
        or f"Redis refused what it was asked ({_code(error) or type(error).__name__}); its log, or "
        "the same command in redis-cli, says more"
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and what it came from: redis-py wraps the telling one up to three times."""
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _first(
    reading: Callable[[BaseException], str | None], chain: Iterable[BaseException]
) -> str | None:
    return next((text for link in chain if (text := reading(link))), None)


def _code(error: BaseException) -> str | None:
    """Return the first word of the server's reply, which is its code (redis.io, "RESP")."""
    known = getattr(error, "status_code", None)
    if known:
        return str(known)
    # In a pipeline, redis-py puts the number of the command and the command before it.
    found = re.search(r"""(?:^|caused error: \(['"])([A-Z]{2,})\b""", str(error))
    return found[1] if found else None


def _by_permission(error: BaseException) -> str | None:
    if _code(error) != "NOPERM":
        return None
    command = re.search(r"run the \W?([\w|]+)\W? command", str(error))
    if command:
        return (
            f"the ACL user may not run {command[1].upper()}; "
            f"allow it with ACL SETUSER <user> +{command[1].lower()}"
        )
    if "channel" in str(error):
        return (
            "the ACL user may not use our channels; allow them with ACL SETUSER <user> "
            "&<REDIS_KEY_PREFIX>:*"
        )
    return (
        "the ACL user may not touch our keys; allow them with ACL SETUSER <user> "
        "~<REDIS_KEY_PREFIX>:*"
    )


def _by_code(error: BaseException) -> str | None:
    return _BY_CODE.get(_code(error) or "")


def _by_tls(error: BaseException) -> str | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the server's certificate is not trusted ({error.verify_message.rstrip('.')}); set "
            "REDIS_TLS_CA to its CA, and REDIS_HOST to a name in the certificate"
        )
    if not isinstance(error, ssl.SSLError):
        return None
    reason = error.reason or ""
    known = next((text for part, text in _TLS_REASONS.items() if part in reason), None)
    return known or f"TLS failed ({reason or 'no reason given'}); see the server's log"


def _by_text(error: BaseException) -> str | None:
    text = str(error)
    unknown = re.search(r"unknown command \W?([A-Za-z]+)", text)
    if unknown:
        return f"this server does not know {unknown[1].upper()}; it must be Redis 6.2 or later"
    # Where localhost has two addresses, asyncio joins their errors to a plain OSError.
    if f"[Errno {errno.ECONNREFUSED}]" in text:
        return _REFUSED
    return next((sentence for part, sentence in _BY_TEXT.items() if part in text), None)


def _by_kind(chain: Sequence[BaseException]) -> str | None:
    """Return the sentence of the most telling kind in the chain."""
    kinds = (text for kind, text in _BY_KIND if any(isinstance(link, kind) for link in chain))
    return next(kinds, None)
