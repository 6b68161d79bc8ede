"""The metrics port: free, or held by whom."""

from __future__ import annotations

import errno
import json
import socket
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any

from ai_suricata.doctor.finding import ok, warning, wrong

if TYPE_CHECKING:
    from ai_suricata.config.settings import TelemetrySettings
    from ai_suricata.doctor.finding import Finding

PART = "metrics port"
ANSWER_AT_MOST = 3.0
"""Seconds in which the holder of the port must say who it is."""
_LONGEST = 64 * 1024
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - looked for, not bound to


def examine(settings: TelemetrySettings) -> list[Finding]:
    """Look whether METRICS_PORT can be had, by taking it for a moment."""
    place = f"port {settings.port} of {settings.host}"
    if settings.port == 0:
        return [ok(PART, "METRICS_PORT is 0: any free port is taken")]
    try:
        family = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            # As the server does: a connection of its last run must not stand in the way.
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((settings.host, settings.port))
            trial.listen(1)
    except OSError as error:
        return [_taken(settings, place, error)]
    return [ok(PART, f"{place} is free: no daemon serves there")]


def _taken(settings: TelemetrySettings, place: str, error: OSError) -> Finding:
    if error.errno == errno.EADDRINUSE:
        health = _health(settings)
        return _running(place, health) if health else _foreign(place)
    if error.errno == errno.EACCES:
        return wrong(PART, f"no right to listen on {place}", "set METRICS_PORT to 1024 or more")
    sentence = f"{settings.host!r} is no address of this machine ({error.strerror})"
    return wrong(PART, sentence, "set METRICS_HOST to one, such as 127.0.0.1")


def _foreign(place: str) -> Finding:
    remedy = "stop that one, or set METRICS_PORT to a free port"
    return wrong(PART, f"{place} is in use by another program", remedy)


def _running(place: str, health: dict[str, Any]) -> Finding:
    """Say that a daemon runs there, and which of its parts it complains of."""
    sentence = f"{place} is held by a running daemon, {health['phase']}"
    parts = health["parts"].items()
    ill = [f"{name}: {part.get('detail')}" for name, part in parts if part.get("status") != "ok"]
    if health["status"] == "ok" or not ill:
        return ok(PART, sentence)
    return warning(PART, f"{sentence}, which says: {'; '.join(ill)}", "see its log")


def _health(settings: TelemetrySettings) -> dict[str, Any] | None:
    """Ask the holder of the port for its /health; None where it is none of ours."""
    host = _ANYWHERE.get(settings.host, settings.host)
    connection = HTTPConnection(host, settings.port, timeout=ANSWER_AT_MOST)
    try:
        connection.request("GET", "/health")
        found = json.loads(connection.getresponse().read(_LONGEST))
    except (OSError, HTTPException, ValueError):
        return None
    finally:
        connection.close()
    ours = isinstance(found, dict) and {"status", "phase", "parts"} <= found.keys()
    return found if ours and isinstance(found["parts"], dict) else None
