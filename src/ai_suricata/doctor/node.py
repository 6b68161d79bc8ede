"""The single servers behind a Sentinel or a Cluster, each as settings of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from ai_suricata.state.clients import connect
from ai_suricata.state.endpoint import SENTINEL_PORT, addresses, endpoint

if TYPE_CHECKING:
    from ai_suricata.config.settings import RedisSettings


@dataclass(frozen=True)
class Node:
    """One server, and how to reach it alone."""

    name: str
    """As a part of the report: `redis 192.0.2.1:6379`."""
    settings: RedisSettings
    master: bool


async def members(settings: RedisSettings) -> list[Node]:
    """Return the nodes of a Cluster as its map has them. Raises redis-py's errors."""
    client: Any = connect(settings)
    try:
        await client.initialize()
        known = [(str(node.host), int(node.port), node.server_type) for node in client.get_nodes()]
    finally:
        await client.aclose()
    return [
        Node(f"redis {host}:{port}", _alone(settings, host, port), kind == "primary")
        for host, port, kind in sorted(known)
    ]


def sentinels(settings: RedisSettings) -> list[Node]:
    """Return the Sentinels, each with the credentials that Sentinels are shown."""
    changes = {
        "username": settings.sentinel_username,
        "password": settings.sentinel_password,
        "db": 0,
    }
    return [
        Node(f"sentinel {host}:{port}", _alone(settings, host, port, **changes), master=False)
        for host, port in addresses("REDIS_SENTINELS", settings.sentinels, SENTINEL_PORT)
    ]


def _alone(settings: RedisSettings, host: str, port: int, **changes: object) -> RedisSettings:
    """Return settings of one server: what REDIS_URL said of users and TLS goes along."""
    at = endpoint(settings)
    secret = None if at.password is None else SecretStr(at.password)
    values: dict[str, object] = {
        "url": None,
        "host": host,
        "port": port,
        "db": at.db,
        "username": at.username,
        "password": secret,
        "tls": at.tls,
        "sentinels": (),
        "cluster": False,
        "cluster_nodes": (),
    }
    return settings.model_copy(update=values | changes)
