"""Every setting, grouped by the package that takes it.

The names of the variables are a contract with those who run this: they stand in their files and
scripts. `config.env.example` is written from this module (see `config.example`).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)

from ai_suricata.config.kinds import Group, Networks, RedisUrl, Words, networks_of, setting
from ai_suricata.config.source import SourceSettings

PRIVATE_NETWORKS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
"""RFC 1918 and RFC 4193: what HOME_NET is, with the own addresses, unless it is set."""

_TABLE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,30}")


def _table(value: object) -> object:
    """Check a pf table's name: it becomes a word of a command, and pf allows 31 characters."""
    if isinstance(value, str) and not _TABLE.fullmatch(value):
        raise ValueError(
            "a pf table's name is a letter and up to 30 letters, digits or underscores"
        )
    return value


def _block_duration(value: object) -> object:
    """Turn `escalation` into None: the steps then say how long."""
    return None if value == "escalation" else value


def _later(value: object) -> object:
    """Refuse what this version does not have: no setting is silently without effect."""
    if value:
        raise ValueError("this version does not have it yet; set it to false")
    return value


NotYet = Annotated[bool, AfterValidator(_later)]
TableName = Annotated[str, BeforeValidator(_table)]


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

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.low < self.medium < self.high < self.critical:
            raise ValueError(
                "LOW_THRESHOLD, MEDIUM_THRESHOLD, HIGH_THRESHOLD and CRITICAL_THRESHOLD must rise "
                "in this order; set them like 0.30, 0.50, 0.70, 0.85"
            )
        return self


class RespondSettings(Group):
    """What `respond` takes."""

    auto_block: bool = setting(
        "AUTO_BLOCK", False, "whether decisions are made at all; off until the operator turns it on"
    )
    dry_run: bool = setting("DRY_RUN", False, "everything but the last step: nothing is sent")
    block_duration: Annotated[float, Field(ge=10, le=31_536_000)] | None = Field(
        default=None,
        validation_alias="BLOCK_DURATION",
        description="escalation (10 minutes, 1 hour, 24 hours, 7 days), or a fixed time",
        json_schema_extra={"unit": "seconds", "shown": "escalation"},
    )
    limit_duration: float = setting(
        "RATE_LIMIT_DURATION",
        600.0,
        "how long an address stays in the rate-limit table",
        unit="seconds",
        ge=10,
        le=31_536_000,
    )
    never_block: Networks = setting(
        "NEVER_BLOCK",
        (),
        "addresses, networks and @files that are never blocked, besides the built-in list",
    )
    reconcile_interval: float = setting(
        "RECONCILE_INTERVAL",
        30.0,
        "how often the tables are held against the ledger",
        unit="seconds",
        ge=1,
        le=3600,
    )
    on_stop: Literal["keep", "release"] = setting(
        "ON_STOP", "keep", "keep or release the blocks when the daemon stops for good"
    )

    @model_validator(mode="before")
    @classmethod
    def _escalation(cls, values: object) -> object:
        if isinstance(values, dict):
            name = "BLOCK_DURATION"
            return {k: (_block_duration(v) if k == name else v) for k, v in values.items()}
        return values


class FirewallSettings(Group):
    """What `firewall` takes."""

    firewall: Literal["dry_run", "pfsense"] = setting(
        "FIREWALL", "dry_run", "where decisions go (this version: dry_run, pfsense)"
    )
    host: str = setting(
        "PFSENSE_HOST", "192.168.1.1", "the firewall's name or address", min_length=1
    )
    user: str = setting("PFSENSE_USER", "admin", "who logs in", min_length=1)
    port: int = setting("PFSENSE_PORT", 22, "port of its sshd", ge=1, le=65535)
    key_file: Path | None = setting(
        "PFSENSE_KEY_FILE", None, "private key; without one, the ssh agent is asked"
    )
    known_hosts: Path | None = setting(
        "PFSENSE_KNOWN_HOSTS",
        None,
        "file with the firewall's host key, as ssh-keyscan prints it; an unknown key is refused",
    )
    block_table: TableName = setting(
        "PFSENSE_TABLE", "ai_suricata_block", "pf table (alias) whose addresses your rule blocks"
    )
    limit_table: TableName = setting(
        "PFSENSE_LIMIT_TABLE",
        "ai_suricata_limit",
        "pf table (alias) whose addresses your rule limits",
    )
    command_timeout: float = setting(
        "PFSENSE_TIMEOUT", 10.0, "longest wait for one command", unit="seconds", gt=0, le=300
    )

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        problems: list[str] = []
        if self.block_table == self.limit_table:
            problems.append("PFSENSE_TABLE and PFSENSE_LIMIT_TABLE must differ; name two tables")
        if self.firewall == "pfsense" and self.known_hosts is None:
            problems.append(
                "PFSENSE_KNOWN_HOSTS is missing: run `ssh-keyscan HOST > known_hosts`, compare the "
                "key with the firewall's own, and set PFSENSE_KNOWN_HOSTS to that file"
            )
        if problems:
            raise ValueError("\n".join(problems))
        return self


class StateSettings(Group):
    """What `state` takes."""

    directory: Path = setting(
        "STATE_DIR", Path("/var/lib/ai-suricata"), "folder of snapshot, ledger, model and audit log"
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


class SinkSettings(Group):
    """What `sink` takes."""

    max_alerts: int = setting(
        "MAX_ALERTS", 10_000, "alerts kept in the alert store", unit="alerts", ge=0
    )
    retention_days: int = setting("RETENTION_DAYS", 90, "how long they are kept", unit="days", ge=1)
    dead_letter_bytes: int = setting(
        "DEAD_LETTER_BYTES",
        1024 * 1024,
        "samples of rejected lines in STATE_DIR/rejected.jsonl, the newest; 0 keeps none",
        unit="bytes",
        ge=0,
        le=1024**3,
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
