"""What the firewalls take: how they are reached, and which of their tables are ours."""

from __future__ import annotations

import re
from pathlib import Path  # noqa: TC003 - pydantic reads the annotations
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, model_validator

from ai_suricata.config.kinds import Group, setting

_TABLE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,30}")
_WITH_PORT = re.compile(r"(?:\[([^\]]+)\]|([^:\[\]]+)):(\d{1,5})")
_MOST_PORT = 65_535


def _table(value: object) -> object:
    """Check a pf table's name: it becomes a word of a command, and pf allows 31 characters."""
    if isinstance(value, str) and not _TABLE.fullmatch(value):
        raise ValueError(
            "a pf table's name is a letter and up to 30 letters, digits or underscores"
        )
    return value


TableName = Annotated[str, BeforeValidator(_table)]


class FirewallSettings(Group):
    """What `firewall` takes."""

    firewall: Literal["dry_run", "pfsense", "nftables"] = setting(
        "FIREWALL",
        "dry_run",
        "where decisions go: dry_run, pfsense, or nftables (this machine is the gateway)",
    )
    host: str = setting(
        "PFSENSE_HOST",
        "192.168.1.1",
        "the firewall's name or address, or a list (a CARP pair: enforced when all have it); "
        "one with a port of its own: name:port, [address]:port",
        min_length=1,
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
        "PFSENSE_TIMEOUT",
        10.0,
        "longest wait for one command to a firewall, nft too",
        unit="seconds",
        gt=0,
        le=300,
    )

    learn: bool = setting(
        "PFSENSE_LEARN",
        True,
        "ask pfSense for its interfaces, gateways, DNS servers and virtual addresses, which are "
        "never blocked; nothing is blocked before it has answered",
    )
    nft_table: TableName = setting(
        "NFTABLES_TABLE", "ai_suricata", "nftables table (family inet) with our sets and your rules"
    )

    def each(self) -> tuple[FirewallSettings, ...]:
        """Return the settings of each host of `host`, with its own port where it has one."""
        words = self.host.replace(",", " ").split()
        return tuple(self.model_copy(update=_host_and_port(word)) for word in words)

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        problems: list[str] = []
        names = [(one.host, one.port) for one in self.each()]
        if len(set(names)) < len(names) or not names:
            problems.append(f"PFSENSE_HOST={self.host!r}: name each firewall once")
        if any(not 1 <= port <= _MOST_PORT for _, port in names):
            problems.append(f"PFSENSE_HOST={self.host!r}: a port is a number from 1 to 65535")
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


def _host_and_port(word: str) -> dict[str, str | int]:
    """Take `name:port` and `[address]:port` apart; an IPv6 address alone has no port."""
    found = _WITH_PORT.fullmatch(word)
    if found is None:
        return {"host": word.strip("[]")}
    return {"host": found[1] or found[2], "port": int(found[3])}
