"""What the response takes: what follows from a verdict, how much of it, and for how long."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ai_suricata.config.kinds import Group, Networks, setting


def _block_duration(value: object) -> object:
    """Turn `escalation` into None: the steps then say how long."""
    return None if value == "escalation" else value


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
    never_block_refresh: float = setting(
        "NEVER_BLOCK_REFRESH",
        600.0,
        "how often this machine and the firewall are asked for what they live by: interfaces, "
        "gateways, DNS servers, virtual addresses",
        unit="seconds",
        ge=1,
        le=3000,  # the alert AiSuricataNeverBlockOld fires at an age of 3600
    )
    blocks_per_minute: int = setting(
        "BLOCKS_PER_MINUTE",
        300,
        "new entries of one table in a minute; past it nothing more is decided for that table "
        "until BUDGET_PAUSE is over",
        unit="entries",
        ge=1,
        le=1_000_000,
    )
    blocks_total: int = setting(
        "BLOCKS_TOTAL",
        50_000,
        "entries of one table at a time; past it nothing more is decided for that table",
        unit="entries",
        ge=1,
        le=1_000_000,
    )
    budget_pause: float = setting(
        "BUDGET_PAUSE",
        300.0,
        "how long nothing is decided once BLOCKS_PER_MINUTE is used up",
        unit="seconds",
        ge=1,
        le=86_400,
    )
    promote_ipv4: int = setting(
        "PROMOTE_IPV4",
        16,
        "blocked addresses of one IPv4 /24 from which on the whole of it is blocked; 0: never",
        unit="addresses",
        ge=0,
        le=256,
    )
    promote_ipv6: int = setting(
        "PROMOTE_IPV6",
        4,
        "blocked addresses of one IPv6 /64 from which on the whole of it is blocked; 0: never",
        unit="addresses",
        ge=0,
        le=1_000_000,
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
        "ON_STOP",
        "keep",
        "keep or release the blocks when the daemon stops, be it for a restart alone",
    )

    @model_validator(mode="before")
    @classmethod
    def _escalation(cls, values: object) -> object:
        if isinstance(values, dict):
            name = "BLOCK_DURATION"
            return {k: (_block_duration(v) if k == name else v) for k, v in values.items()}
        return values
