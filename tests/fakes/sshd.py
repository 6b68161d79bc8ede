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
import os
import pwd
import shlex
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncssh
import pytest

from ai_suricata.config.settings import FirewallSettings
from fakes import pfctl

if TYPE_CHECKING:
    from collections.abc import Iterator

SSHD = Path("/usr/sbin/sshd")
SFTP_SERVER = Path("/usr/lib/openssh/sftp-server")
BLOCK_TABLE = "ai_suricata_block"
LIMIT_TABLE = "ai_suricata_limit"
RULES = f"""\
scrub on em0 inet all fragment reassemble
block drop in log inet all label "Default deny rule IPv4" ridentifier 1000000103
block drop in log quick on em0 inet from <{BLOCK_TABLE}> to any label "USER_RULE: attackers"
pass in quick on em0 inet from <{LIMIT_TABLE}> to any keep state (max-src-conn-rate 5/10)
"""
_START_AT_MOST = 10.0  # seconds
_PORT_ATTEMPTS = 5
_CONFIG = """\
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 100
MaxSessions {max_sessions}
LogLevel VERBOSE
SetEnv SHLVL=1
"""
"""SHLVL keeps bash, which otherwise takes sshd's commands for a login, from reading ~/.bashrc."""


@dataclass(frozen=True)
class Received:
    """A command that reached pfctl."""

    time: float
    command: str
    stdin: str


class Sshd:
    """An sshd of the tests' own user that lets one key in, for one command or any."""

    host = "127.0.0.1"

    def __init__(self, folder: Path, command: str | None, max_sessions: int = 10) -> None:
        """`folder`: for keys, configuration and log; `command`: all that the key may run, if so."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.user = pwd.getpwuid(os.getuid()).pw_name
        self.port = 0
        self.key_file = folder / "user_key"
        self.known_hosts = folder / "known_hosts"
        self._process: subprocess.Popen[bytes] | None = None
        public = _write_key(self.key_file)
        quoted = (command or "").replace('"', r"\"")
        only = f',command="{quoted}"' if command else ""
        (folder / "authorized_keys").write_text(f"restrict{only} {public}\n")
        config = _CONFIG.format(folder=folder, max_sessions=max_sessions)
        (folder / "sshd_config").write_text(config)
        self.change_host_key()

    def start(self) -> None:
        """Start, on the same port if it ran before, and wait until it accepts."""
        candidates = [self.port] if self.port else [_free_port() for _ in range(_PORT_ATTEMPTS)]
        for port in candidates:
            self._process = self._spawn(port)
            if _accepts(self._process, port):
                break
            self.stop()
        else:
            raise RuntimeError(f"sshd does not start:\n{(self.folder / 'sshd.log').read_text()}")
        if not self.port:
            self.port = port
            self.trust_host_key()

    def stop(self) -> None:
        """End sshd and every connection that it serves."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGSTOP)  # so that it takes no connection meanwhile
        for pid in [*_descendants(self._process.pid), self._process.pid]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def restart(self) -> None:
        """Stop and start again on the same port."""
        self.stop()
        self.start()

    def cut(self) -> int:
        """End every connection, and what it runs, at once; return how many processes that were."""
        assert self._process is not None
        pids = _descendants(self._process.pid)
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(pids)

    def change_host_key(self) -> None:
        """Make another host key, in use from the next start; `known_hosts` stays as it is."""
        _write_key(self.folder / "host_key")

    def logins(self) -> int:
        """Return how many connections have logged in so far."""
        return (self.folder / "sshd.log").read_text().count("Accepted publickey")

    def trust_host_key(self) -> None:
        """Write the present host key to `known_hosts`."""
        public = (self.folder / "host_key.pub").read_text()
        self.known_hosts.write_text(f"[{self.host}]:{self.port} {public}")

    def _spawn(self, port: int) -> subprocess.Popen[bytes]:
        config = str(self.folder / "sshd_config")
        with (self.folder / "sshd.log").open("ab") as log:
            return subprocess.Popen(
                [SSHD, "-D", "-e", "-f", config, "-p", str(port), *_penalty_options(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )


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

    def __init__(self, folder: Path, max_sessions: int = 10) -> None:
        """`folder`: for keys, configuration, state and logs; sessions: of one connection."""
        words = [sys.executable, "-I", "-S", pfctl.__file__, str(folder)]
        super().__init__(folder, f"exec {shlex.join(words)}", max_sessions)
        tables = {name: {"const": False, "entries": {}} for name in (BLOCK_TABLE, LIMIT_TABLE)}
        state = {
            "tables": tables,
            "rules": RULES.splitlines(),
            "states": [],
            "faults": [],
            "limit": 200_000,
            "altq": False,
        }
        (folder / "state.json").write_text(json.dumps(state))

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

    def environment(self) -> dict[str, str]:
        """Return the variables with which the daemon uses this firewall."""
        return {
            "FIREWALL": "pfsense",
            "PFSENSE_HOST": self.host,
            "PFSENSE_PORT": str(self.port),
            "PFSENSE_USER": self.user,
            "PFSENSE_KEY_FILE": str(self.key_file),
            "PFSENSE_KNOWN_HOSTS": str(self.known_hosts),
        }

    def table(self, name: str) -> set[str]:
        """Return the addresses in the table, as pf shows them; KeyError where it does not exist."""
        return set(self._state()["tables"][name]["entries"])

    def tables(self) -> set[str]:
        """Return the names of the tables."""
        return set(self._state()["tables"])

    def put(self, name: str, *addresses: str) -> None:
        """Add entries as somebody else would; creates the table."""
        with pfctl.locked(self.folder) as pf:
            table = pf.tables.setdefault(name, {"const": False, "entries": {}})
            table["entries"].update(dict.fromkeys(addresses, time.time()))

    def empty(self, name: str) -> None:
        """Empty the table, as a filter reload does."""
        with pfctl.locked(self.folder) as pf:
            pf.tables[name]["entries"].clear()

    def remove_table(self, name: str) -> None:
        """Remove the table, as a filter reload does with one that nothing refers to."""
        with pfctl.locked(self.folder) as pf:
            del pf.tables[name]

    def set_rules(self, *rules: str) -> None:
        """Set what `pfctl -sr` shows."""
        with pfctl.locked(self.folder) as pf:
            pf.state["rules"] = list(rules)

    def set_limit(self, entries: int) -> None:
        """Set how many entries all tables may hold together."""
        with pfctl.locked(self.folder) as pf:
            pf.state["limit"] = entries

    def set_altq(self, *, noise: bool) -> None:
        """Say whether every call complains of a kernel without ALTQ, as FreeBSD's does."""
        with pfctl.locked(self.folder) as pf:
            pf.state["altq"] = noise

    def add_state(self, source: str, destination: str, *, inbound: bool = True) -> None:
        """Add a connection that `source` began."""
        state = {
            "interface": "em0",
            "proto": "tcp",
            "source": source,
            "source_port": 50_000,
            "destination": destination,
            "destination_port": 443,
            "inbound": inbound,
            "status": "ESTABLISHED:ESTABLISHED",
        }
        with pfctl.locked(self.folder) as pf:
            pf.state["states"].append(state)

    def states(self) -> set[tuple[str, str]]:
        """Return source and destination of each connection."""
        return {(state["source"], state["destination"]) for state in self._state()["states"]}

    def fault(self, kind: str, *, verb: str = "", skip: int = 0, times: int = 1) -> None:
        """Let commands fail: the first `skip` pass, then `times` fail (-1: all).

        `kind`: hang, permission_denied, no_memory, const, no_table, or drop (the command is
        carried out, then the connection is lost). `verb`: one of pfctl's table verbs, rules,
        states or kill_states; empty for any.
        """
        fault = {"kind": kind, "verb": verb, "skip": skip, "times": times}
        with pfctl.locked(self.folder) as pf:
            pf.state["faults"].append(fault)

    def clear_faults(self) -> None:
        """Let every command succeed again."""
        with pfctl.locked(self.folder) as pf:
            pf.state["faults"].clear()

    def commands(self) -> list[Received]:
        """Return the commands that arrived, in order."""
        log = self.folder / "commands.jsonl"
        lines = log.read_text().splitlines() if log.exists() else []
        return [Received(**json.loads(line)) for line in lines]

    def _state(self) -> dict[str, Any]:
        with pfctl.locked(self.folder) as pf:
            return pf.state


@contextmanager
def running_pf(folder: Path, max_sessions: int = 10) -> Iterator[PfStandIn]:
    """Yield a firewall that accepts connections; skips the test without sshd (fails in CI)."""
    _need(SSHD, "openssh-server")
    pf = PfStandIn(folder, max_sessions)
    with ExitStack() as stack:
        stack.callback(pf.stop)
        pf.start()
        yield pf


@contextmanager
def running_sftp(
    folder: Path, *, subsystem: str | None = str(SFTP_SERVER)
) -> Iterator[SftpStandIn]:
    """Yield a host that serves files; skips the test without sshd (fails in CI)."""
    _need(SSHD, "openssh-server")
    _need(SFTP_SERVER, "openssh-sftp-server")
    host = SftpStandIn(folder, subsystem=subsystem)
    with ExitStack() as stack:
        stack.callback(host.stop)
        host.start()
        yield host


def _need(program: Path, package: str) -> None:
    """Skip the test where a program is missing; in CI that is a failure."""
    if not program.exists():
        reason = f"{program} is missing: install {package}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # root's sshd separates privileges


def _write_key(path: Path) -> str:
    """Write an Ed25519 key and its public half; return the latter."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(path)
    path.chmod(0o600)
    key.write_public_key(path.with_suffix(".pub"))
    return path.with_suffix(".pub").read_text().strip()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _accepts(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the process accepts on the port; False where it ends or takes too long."""
    until = time.monotonic() + _START_AT_MOST
    while process.poll() is None and time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.01)
        else:
            return process.poll() is None
    return False


def _penalty_options(config: str) -> list[str]:
    """Return what keeps OpenSSH from 9.8 on from shutting out a host that failed to log in."""
    options = ["-o", "PerSourcePenalties=no"]
    known = subprocess.run([SSHD, "-t", "-f", config, *options], capture_output=True, check=False)
    return options if known.returncode == 0 else []


def _descendants(pid: int) -> list[int]:
    """Return the processes below this one: those that serve connections have left its group."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    children = [int(word) for word in text.split()]
    return [each for child in children for each in (child, *_descendants(child))]
