"""A real OpenSSH sshd on loopback, of the tests' own user, that lets one key in."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import asyncssh
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

SSHD = Path("/usr/sbin/sshd")
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


class Sshd:
    """An sshd of the tests' own user that lets one key in, for one command or any."""

    host = "127.0.0.1"

    def __init__(
        self,
        folder: Path,
        command: str | None,
        max_sessions: int = 10,
        like: Sshd | None = None,
    ) -> None:
        """`folder`: for keys, configuration and log; `command`: all that the key may run, if so.

        `like`: another host, whose user key and `known_hosts` are this one's too.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.user = pwd.getpwuid(os.getuid()).pw_name
        self.port = 0
        self.key_file: Path = like.key_file if like else folder / "user_key"
        self.known_hosts: Path = like.known_hosts if like else folder / "known_hosts"
        self._process: subprocess.Popen[bytes] | None = None
        if like is None:
            _write_key(self.key_file)
        public = self.key_file.with_suffix(".pub").read_text().strip()
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
        for pid in [*descendants(self._process.pid), self._process.pid]:
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
        pids = descendants(self._process.pid)
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(pids)

    @property
    def process(self) -> int | None:
        """The process id of the sshd that accepts connections; None where it does not run."""
        return self._process.pid if self._process else None

    def change_host_key(self) -> None:
        """Make another host key, in use from the next start; `known_hosts` stays as it is."""
        _write_key(self.folder / "host_key")

    def logins(self) -> int:
        """Return how many connections have logged in so far."""
        return (self.folder / "sshd.log").read_text().count("Accepted publickey")

    def trust_host_key(self) -> None:
        """Write the present host key to `known_hosts`, in place of the one before."""
        public = (self.folder / "host_key.pub").read_text()
        name = f"[{self.host}]:{self.port} "
        held = self.known_hosts.read_text() if self.known_hosts.exists() else ""
        others = [line for line in held.splitlines(keepends=True) if not line.startswith(name)]
        self.known_hosts.write_text("".join([*others, f"{name}{public.strip()}\n"]))

    def _spawn(self, port: int) -> subprocess.Popen[bytes]:
        config = str(self.folder / "sshd_config")
        with (self.folder / "sshd.log").open("ab") as log:
            return subprocess.Popen(
                [SSHD, "-D", "-e", "-f", config, "-p", str(port), *_penalty_options(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )


@contextmanager
def running(host: Sshd) -> Iterator[None]:
    """Start a host, and end it whatever happens."""
    try:
        host.start()
        yield
    finally:
        host.stop()


def need(program: Path, package: str) -> None:
    """Skip the test where a program is missing; in CI that is a failure."""
    if not program.exists():
        reason = f"{program} is missing: install {package}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # root's sshd separates privileges


def _write_key(path: Path) -> None:
    """Write an Ed25519 key and its public half."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(path)
    path.chmod(0o600)
    key.write_public_key(path.with_suffix(".pub"))


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


def descendants(pid: int) -> list[int]:
    """Return the processes below this one: those that serve connections have left its group."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    children = [int(word) for word in text.split()]
    return [each for child in children for each in (child, *descendants(child))]
