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
    """Whether it serves writes."""


async def members(settings: RedisSettings) -> list[Node]:
    """Return the nodes that a Cluster knows, those that are down included. redis-py's errors.

    CLUSTER NODES and not the map of the slots, which leaves out whoever is down.
    """
    client: Any = connect(settings)
    try:
        known = await client.execute_command("CLUSTER NODES", target_nodes=client.RANDOM)
    finally:
        await client.aclose()
    found = []
    for place, node in sorted(known.items()):
        host, _, port = place.rpartition(":")
        if int(port):  # 0: one that has no address yet
            alone = _alone(settings, host or settings.host, int(port))
            # One without slots was replaced after it went down, or has nothing to do yet.
            serving = "master" in node["flags"] and bool(node["slots"])
            found.append(Node(f"redis {host}:{port}", alone, master=serving))
    return found


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
