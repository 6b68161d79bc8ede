"""The names of the keys: a contract with those who read them with redis-cli."""

from __future__ import annotations


class Keys:
    """Keys behind one prefix. On a Cluster, the keys of one address share a slot."""

    def __init__(self, prefix: str, *, cluster: bool = False) -> None:
        """`cluster`: put the address into a hash tag (redis.io, "Redis Cluster specification")."""
        self._prefix = prefix
        self._cluster = cluster

    def behaviour(self, address: str) -> str:
        """Name the hash of one address."""
        return f"{self._prefix}:ip_behavior:{self._tagged(address)}"

    def blocked(self, target: str, table: str) -> str:
        """Name the string of one decision; the block table's is `blocked_ip:{ip}`."""
        kind = "blocked_ip" if table == "block" else "limited_ip"
        return f"{self._prefix}:{kind}:{self._tagged(target)}"

    def position(self, instance: str) -> str:
        """Name the string with the position of one instance."""
        return f"{self._prefix}:position:{instance}"

    def cache(self, name: str) -> str:
        """Name the string of one cached metric."""
        return f"{self._prefix}:metrics:cache:{name}"

    def rate_limit(self, key: str) -> str:
        """Name the sorted set of one sliding window."""
        return f"{self._prefix}:rate_limit:{key}"

    def lease(self, name: str) -> str:
        """Name the hash of one lease; it shares its slot with what is written in its name."""
        return f"{self._prefix}:{{lease}}:holder:{name}"

    def leased(self, key: str) -> str:
        """Name the string that holders of a lease write."""
        return f"{self._prefix}:{{lease}}:value:{key}"

    @property
    def ledger(self) -> str:
        """Name the set of all targets in the ledger, by which it is read at start."""
        return f"{self._prefix}:ledger"

    @property
    def top_sources(self) -> str:
        """Name the sorted set of the sources with the most alerts."""
        return f"{self._prefix}:top_source_ips"

    @property
    def alerts(self) -> str:
        """Name the list of the newest alerts."""
        return f"{self._prefix}:alerts"

    @property
    def models(self) -> str:
        """Name the hash of what is known of the model that serves."""
        return f"{self._prefix}:models:metadata"

    @property
    def threat_channel(self) -> str:
        """Name the channel on which verdicts are told."""
        return f"{self._prefix}:threat_alerts"

    @property
    def ledger_channel(self) -> str:
        """Name the channel on which instances tell each other of decisions."""
        return f"{self._prefix}:ledger_changes"

    def _tagged(self, text: str) -> str:
        return f"{{{text}}}" if self._cluster else text
