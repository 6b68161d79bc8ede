"""A firewall for the tests: a real OpenSSH sshd on loopback whose only command is our pfctl.

`running_sftp(folder)` starts one that serves files by SFTP instead (`SftpStandIn`).

`running_pf(folder)` starts it and ends it; what it yields, a `PfStandIn`, says how to reach it and
gives access to what pf holds:

    with running_pf(tmp_path) as pf:
        environment = pf.environment()            # FIREWALL, PFSENSE_HOST, ... for the daemon
        pf.put("ai_suricata_block", "192.0.2.9")  # an entry of somebody else's
        pf.fault("drop", verb="add")              # carry out the next add, then lose the answer
        ...
        assert pf.table("ai_suricata_block") == {"192.0.2.9", "203.0.113.7"}
        assert [one.command for one in pf.commands()][-1] == "/sbin/pfctl -sr"

Both tables exist from the start, and a rule refers to each.
"""

from __future__ import annotations

import json
import shlex
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ai_suricata.config.firewall import FirewallSettings
from fakes import pfctl
from fakes.pf_answer import BLOCK_TABLE, INTERFACES, LIMIT_TABLE, RESOLVER, ROUTES, RULES
from fakes.pf_kernel import Failed, Lock, Pf
from fakes.ssh_process import SSHD, Sshd, need, running

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = [
    "BLOCK_TABLE",
    "LIMIT_TABLE",
    "SSHD",
    "PfStandIn",
    "Received",
    "SftpStandIn",
    "Sshd",
    "running_pair",
    "running_pf",
    "running_sftp",
]

SFTP_SERVER = Path("/usr/lib/openssh/sftp-server")


@dataclass(frozen=True)
class Received:
    """A command that reached pfctl."""

    time: float
    command: str
    stdin: str


class SftpStandIn(Sshd):
    """A host whose files can be read by SFTP, with OpenSSH's own sftp-server."""

    def __init__(self, folder: Path, *, subsystem: str | None) -> None:
        """`folder`: for keys and logs; `subsystem`: what speaks SFTP, if anything."""
        super().__init__(folder, None)
        if subsystem is not None:
            with (folder / "sshd_config").open("a") as config:
                config.write(f"Subsystem sftp {subsystem}\n")

    def settings(self, command_timeout: float = 10.0) -> FirewallSettings:
        """Return the settings with which this host is logged in to."""
        return FirewallSettings(
            host=self.host,
            port=self.port,
            user=self.user,
            key_file=self.key_file,
            known_hosts=self.known_hosts,
            command_timeout=command_timeout,
        )


class PfStandIn(Sshd):
    """The firewall: how to reach it, what pf holds, and what goes wrong next."""

    def __init__(self, folder: Path, max_sessions: int = 10, like: Sshd | None = None) -> None:
        """`folder`: for keys, configuration, state and logs; sessions: of one connection.

        `like`: another host with the same user key and `known_hosts`, as a pair has.
        """
        super().__init__(
            folder, f"exec {shlex.join(pfctl.command(str(folder)))}", max_sessions, like
        )
        (folder / "tables").mkdir(exist_ok=True)
        (folder / "answers").mkdir(exist_ok=True)
        self._pf = Pf(str(folder))
        for name in (BLOCK_TABLE, LIMIT_TABLE):
            self._pf.create(name)
        self._write("rules", RULES)
        self._write("limit", "200000")
        self.set_interfaces(INTERFACES)
        self.set_routes(ROUTES)
        self.set_resolver(RESOLVER)

    def settings(self, command_timeout: float = 10.0) -> FirewallSettings:
        """Return the settings with which `PfSense` uses this firewall."""
        return FirewallSettings(
            firewall="pfsense",
            host=self.host,
            port=self.port,
            user=self.user,
            key_file=self.key_file,
            known_hosts=self.known_hosts,
            command_timeout=command_timeout,
        )

    def environment(self, *others: PfStandIn) -> dict[str, str]:
        """Return the variables with which the daemon uses this firewall, and `others` like it."""
        pair = ",".join(f"{one.host}:{one.port}" for one in (self, *others))
        return {
            "FIREWALL": "pfsense",
            "PFSENSE_HOST": pair if others else self.host,
            "PFSENSE_PORT": str(self.port),
            "PFSENSE_USER": self.user,
            "PFSENSE_KEY_FILE": str(self.key_file),
            "PFSENSE_KNOWN_HOSTS": str(self.known_hosts),
        }

    def table(self, name: str) -> set[str]:
        """Return the addresses in the table, as pf shows them; KeyError where it does not exist."""
        with Lock(self._pf.folder, shared=True):
            try:
                return set(self._pf.entries(name, to_write=False))
            except Failed as failed:
                raise KeyError(name) from failed

    def tables(self) -> set[str]:
        """Return the names of the tables."""
        with Lock(self._pf.folder, shared=True):
            return set(self._pf.tables())

    def put(self, name: str, *addresses: str) -> None:
        """Add entries as somebody else would; creates the table."""
        with Lock(self._pf.folder):
            self._pf.create(name)
            held = self._pf.entries(name, to_write=False)
            cleared = f"{time.time():.6f}"
            self._pf.write_entries(name, held | dict.fromkeys(addresses, cleared))

    def take_out(self, name: str, *addresses: str) -> None:
        """Take entries out by hand; those that are not there are passed over."""
        with Lock(self._pf.folder):
            held = self._pf.entries(name, to_write=False)
            self._pf.remove(name, held.keys() & set(addresses), held)

    def empty(self, name: str) -> None:
        """Empty the table, as a filter reload does."""
        with Lock(self._pf.folder):
            self._pf.write_entries(name, {})

    def remove_table(self, name: str) -> None:
        """Remove the table, as a filter reload does with one that nothing refers to."""
        with Lock(self._pf.folder):
            self._pf.drop_table(name)

    def set_rules(self, *rules: str) -> None:
        """Set what `pfctl -sr` shows."""
        self._write("rules", "".join(f"{rule}\n" for rule in rules))

    def set_enabled(self, *, enabled: bool) -> None:
        """Switch pf on or off, as `pfctl -e` and `-d` do."""
        self._flag("disabled", up=not enabled)

    def set_const(self, *names: str) -> None:
        """Declare these tables const: nobody may write to them."""
        self._write("const", " ".join(names))

    def set_limit(self, entries: int) -> None:
        """Set how many entries all tables may hold together."""
        self._write("limit", str(entries))

    def set_altq(self, *, noise: bool) -> None:
        """Say whether every call complains of a kernel without ALTQ, as FreeBSD's does."""
        self._flag("altq", up=noise)

    def set_interfaces(self, text: str) -> None:
        """Set what `ifconfig -a` says."""
        self._write("answers/ifconfig", text)

    def set_routes(self, text: str) -> None:
        """Set what `netstat -rnW` says."""
        self._write("answers/netstat", text)

    def set_resolver(self, text: str, unbound: str = "", overrides: str = "") -> None:
        """Set /etc/resolv.conf, unbound.conf and its domainoverrides.conf; empty: no such file."""
        names = {"resolv.conf": text, "unbound.conf": unbound, "domainoverrides.conf": overrides}
        for name, content in names.items():
            if content:
                self._write(f"answers/{name}", content)
            else:
                (self.folder / "answers" / name).unlink(missing_ok=True)

    def set_logins(self, text: str) -> None:
        """Set what `who` says."""
        self._write("answers/who", text)

    def refuse_survey(self, *, refused: bool = True) -> None:
        """Let the gate pass pfctl alone, as an operator's forced command may."""
        self._flag("pfctl_only", up=refused)

    def add_state(self, source: str, destination: str, *, inbound: bool = True) -> None:
        """Add a connection that `source` began."""
        self.add_states([(source, destination)], inbound=inbound)

    def add_states(self, pairs: Iterable[tuple[str, str]], *, inbound: bool = True) -> None:
        """Add many connections, each from a source to a destination."""
        direction, status = "in" if inbound else "out", "ESTABLISHED:ESTABLISHED"
        lines = [f"em0 tcp {one} 50000 {other} 443 {direction} {status}\n" for one, other in pairs]
        with Lock(self._pf.folder):
            self._pf.write("states", self._pf.read("states") + "".join(lines))

    def states(self) -> set[tuple[str, str]]:
        """Return source and destination of each connection."""
        with Lock(self._pf.folder, shared=True):
            return {(state.source, state.destination) for state in self._pf.states()}

    def fault(self, kind: str, *, verb: str = "", skip: int = 0, times: int = 1) -> None:
        """Let commands fail: the first `skip` pass, then `times` fail (-1: all).

        `kind`: hang, permission_denied, no_memory, const, no_table, or drop (the command is
        carried out, then the connection is lost). `verb`: one of pfctl's table verbs, rules,
        states, info, kill_states, or survey for all that is not pfctl; empty for any.
        """
        with Lock(self._pf.folder):
            line = f"{kind} {verb or '-'} {skip} {times}\n"
            self._pf.write("faults", self._pf.read("faults") + line)

    def clear_faults(self) -> None:
        """Let every command succeed again."""
        with Lock(self._pf.folder):
            (self.folder / "faults").unlink(missing_ok=True)

    def commands(self) -> list[Received]:
        """Return the commands that arrived, in order."""
        log = self.folder / "commands.jsonl"
        text = log.read_text() if log.exists() else ""
        whole = text[: text.rfind("\n") + 1]  # the last one may be written at this moment
        return [Received(**json.loads(line)) for line in whole.splitlines()]

    def _write(self, name: str, text: str) -> None:
        with Lock(self._pf.folder):
            self._pf.write(name, text)

    def _flag(self, name: str, *, up: bool) -> None:
        with Lock(self._pf.folder):
            if up:
                self._pf.write(name, "")
            else:
                (self.folder / name).unlink(missing_ok=True)


@contextmanager
def running_pf(folder: Path, max_sessions: int = 10) -> Iterator[PfStandIn]:
    """Yield a firewall that accepts connections; skips the test without sshd (fails in CI)."""
    need(SSHD, "openssh-server")
    pf = PfStandIn(folder, max_sessions)
    with running(pf):
        yield pf


@contextmanager
def running_pair(folder: Path) -> Iterator[tuple[PfStandIn, PfStandIn]]:
    """Yield two firewalls as a CARP pair is reached: one user key, one `known_hosts` for both.

    `first.environment(second)` has the daemon use both.
    """
    need(SSHD, "openssh-server")
    first = PfStandIn(folder / "first")
    second = PfStandIn(folder / "second", like=first)
    with running(first), running(second):
        yield first, second


@contextmanager
def running_sftp(
    folder: Path, *, subsystem: str | None = str(SFTP_SERVER)
) -> Iterator[SftpStandIn]:
    """Yield a host that serves files; skips the test without sshd (fails in CI)."""
    need(SSHD, "openssh-server")
    need(SFTP_SERVER, "openssh-sftp-server")
    host = SftpStandIn(folder, subsystem=subsystem)
    with running(host):
        yield host
