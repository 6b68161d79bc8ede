"""Every setting, grouped by the package that takes it.

The names of the variables are a contract with those who run this: they stand in their files and
scripts. `config.env.example` is written from this module (see `config.example`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    SecretStr,
    model_validator,
)

from ai_suricata.config.firewall import FirewallSettings
from ai_suricata.config.kinds import Group, Networks, RedisUrl, Words, networks_of, setting
from ai_suricata.config.respond import RespondSettings
from ai_suricata.config.sink import NotifySettings, SinkSettings
from ai_suricata.config.source import SourceSettings

PRIVATE_NETWORKS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
"""RFC 1918 and RFC 4193: what HOME_NET is, with the own addresses, unless it is set."""


def _later(value: object) -> object:
    """Refuse what this version does not have: no setting is silently without effect."""
    if value:
        raise ValueError("this version does not have it yet; set it to false")
    return value


NotYet = Annotated[bool, AfterValidator(_later)]


class FeatureSettings(Group):
    """What `features` takes."""

    home_net: Networks = setting(
        "HOME_NET",
        networks_of(PRIVATE_NETWORKS),
        "who is at home: decides whose behaviour an event counts for (own addresses always are)",
    )
    max_sources: int = setting(
        "MAX_SOURCES",
        200_000,
        "addresses whose behaviour is kept; past it the coldest go first (1 KiB each)",
        unit="addresses",
        ge=100,
        le=10_000_000,
    )


class ClassifySettings(Group):
    """What `classify` takes."""

    training_events: int = setting(
        "TRAINING_EVENTS",
        5000,
        "events of the learning period",
        unit="events",
        ge=100,
        le=10_000_000,
    )
    critical: float = setting("CRITICAL_THRESHOLD", 0.85, "score from which BLOCK", gt=0, le=1)
    high: float = setting("HIGH_THRESHOLD", 0.70, "score from which RATE_LIMIT", gt=0, le=1)
    medium: float = setting("MEDIUM_THRESHOLD", 0.50, "score from which MONITOR", gt=0, le=1)
    low: float = setting("LOW_THRESHOLD", 0.30, "score from which LOG", gt=0, le=1)
    spoof_guard: bool = setting(
        "SPOOF_GUARD",
        True,
        "evidence that a forged packet could have made (UDP, ICMP, TCP without a completed "
        "handshake) alone lowers BLOCK to RATE_LIMIT",
    )
    model_path: Path | None = setting(
        "MODEL_PATH",
        None,
        "model artifact that serves; empty: the one that `ai-suricata models promote` chose, or "
        "the shipped one",
    )
    shadow_model: str = setting(
        "SHADOW_MODEL",
        "",
        "model that is scored beside the one that serves and does nothing: `default`, a number "
        "that `models list` shows, or the path of an artifact; empty: none",
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.low < self.medium < self.high < self.critical:
            raise ValueError(
                "LOW_THRESHOLD, MEDIUM_THRESHOLD, HIGH_THRESHOLD and CRITICAL_THRESHOLD must rise "
                "in this order; set them like 0.30, 0.50, 0.70, 0.85"
            )
        return self


class StateSettings(Group):
    """What `state` takes."""

    directory: Path = setting(
        "STATE_DIR", Path("/var/lib/ai-suricata"), "folder of snapshot, ledger, model and audit log"
    )
    control_socket: Path | None = setting(
        "CONTROL_SOCKET",
        None,
        "unix socket over which `ai-suricata blocks`, `allow` and `pause` talk to the daemon, "
        "for its owner alone; empty: control.sock in STATE_DIR",
    )
    flush_interval: float = setting(
        "FLUSH_INTERVAL",
        5.0,
        "how often state and position are stored",
        unit="seconds",
        gt=0,
        le=3600,
    )
    redis_enabled: bool = setting(
        "REDIS_ENABLED", False, "share behaviour, blocks and alerts through Redis"
    )
    instance: str = setting(
        "INSTANCE_NAME",
        "",
        "name of this daemon among those that share a Redis; empty: the host's name",
        pattern=r"^[A-Za-z0-9_.-]{0,64}$",
    )


class RedisSettings(Group):
    """What `state.clients` takes."""

    url: RedisUrl = setting(
        "REDIS_URL",
        None,
        "redis://, rediss:// (TLS) or unix://; what it says wins over the parts below",
    )
    host: str = setting("REDIS_HOST", "localhost", "name or address")
    port: int = setting("REDIS_PORT", 6379, "port", ge=1, le=65535)
    db: int = setting("REDIS_DB", 0, "number of the database", ge=0)
    username: str | None = setting("REDIS_USERNAME", None, "ACL user")
    password: SecretStr | None = setting("REDIS_PASSWORD", None, "any character is allowed")
    key_prefix: str = setting("REDIS_KEY_PREFIX", "ai_suricata", "what every key begins with")
    socket_timeout: float = setting(
        "REDIS_SOCKET_TIMEOUT", 2.0, "longest wait for one answer", unit="seconds", gt=0, le=60
    )
    socket_keepalive: bool = setting("REDIS_SOCKET_KEEPALIVE", True, "TCP keepalive")
    tls: bool = setting("REDIS_TLS", False, "speak TLS, with Sentinels too")
    tls_ca: Path | None = setting("REDIS_TLS_CA", None, "file with the CA's certificate")
    tls_cert: Path | None = setting("REDIS_TLS_CERT", None, "file with our certificate")
    tls_key: Path | None = setting("REDIS_TLS_KEY", None, "file with our key")
    sentinels: Words = setting("REDIS_SENTINELS", (), "host:port of each Sentinel")
    sentinel_master: str | None = setting("REDIS_SENTINEL_MASTER", None, "name of the master")
    sentinel_username: str | None = setting(
        "REDIS_SENTINEL_USERNAME", None, "ACL user on the Sentinels"
    )
    sentinel_password: SecretStr | None = setting(
        "REDIS_SENTINEL_PASSWORD", None, "password on the Sentinels (the servers' may differ)"
    )
    cluster: bool = setting("REDIS_CLUSTER", False, "the server is a Cluster")
    cluster_nodes: Words = setting(
        "REDIS_CLUSTER_NODES", (), "host:port of more nodes, asked where REDIS_HOST is down"
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        problems: list[str] = []
        if self.sentinels and not self.sentinel_master:
            problems.append(
                "REDIS_SENTINEL_MASTER is missing: set it to the name that stands in the "
                "Sentinels' `sentinel monitor` line"
            )
        if self.sentinels and self.cluster:
            problems.append("REDIS_SENTINELS and REDIS_CLUSTER exclude each other; keep one")
        if bool(self.tls_cert) != bool(self.tls_key):
            problems.append("REDIS_TLS_CERT and REDIS_TLS_KEY belong together; set both or neither")
        if problems:
            raise ValueError("\n".join(problems))
        return self


class QueueSettings(Group):
    """What `queue` takes. Read and checked, but not used before the queue can be turned on."""

    enabled: NotYet = setting(
        "MESSAGE_QUEUE_ENABLED", False, "events and blocks through Redis Streams"
    )
    consumer_group: str = setting(
        "MESSAGE_QUEUE_CONSUMER_GROUP", "ai-processors", "name of the group"
    )
    consumer_name: str = setting(
        "MESSAGE_QUEUE_CONSUMER_NAME", "", "name in the group; empty: host and pid"
    )
    block_time_ms: int = setting(
        "MESSAGE_QUEUE_BLOCK_TIME_MS", 1000, "longest blocking read", unit="milliseconds", ge=1
    )
    batch_size: int = setting(
        "MESSAGE_QUEUE_BATCH_SIZE", 500, "lines in one entry", unit="lines", ge=1
    )
    use_consumer_groups: bool = setting(
        "MESSAGE_QUEUE_USE_CONSUMER_GROUPS", True, "share the work among the group"
    )


class TelemetrySettings(Group):
    """What `telemetry` takes."""

    host: str = setting("METRICS_HOST", "127.0.0.1", "address of /metrics, /health and /ready")
    port: int = setting("METRICS_PORT", 9100, "its port; 0 takes any free one", ge=0, le=65535)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = setting(
        "LOG_LEVEL", "INFO", "DEBUG, INFO, WARNING or ERROR"
    )
    log_format: Literal["console", "json"] = setting("LOG_FORMAT", "console", "console or json")


class Settings(BaseModel):
    """All groups. Only the composition root sees this; each package gets its own group."""

    model_config = ConfigDict(frozen=True)

    source: SourceSettings
    features: FeatureSettings
    classify: ClassifySettings
    respond: RespondSettings
    firewall: FirewallSettings
    state: StateSettings
    redis: RedisSettings
    queue: QueueSettings
    sink: SinkSettings
    notify: NotifySettings
    telemetry: TelemetrySettings

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.source.eve_source == "ssh" and self.firewall.known_hosts is None:
            raise ValueError(
                "PFSENSE_KNOWN_HOSTS is missing: EVE_SOURCE=ssh logs in to PFSENSE_HOST; run "
                "`ssh-keyscan HOST > known_hosts`, compare the key with the firewall's own, and "
                "set PFSENSE_KNOWN_HOSTS to that file"
            )
        return self
