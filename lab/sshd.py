"""A real OpenSSH server with users of its own, who exist only where it runs.

The server gets a mount namespace in which copies of passwd and shadow lie over the machine's
files, and empty filesystems over /run and /var/log: the machine itself is not touched. See
unshare(1), mount(8), sshd_config(5).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lab.estate import PASSWORD, USERS
from lab.process import run

_UID = 61000
_CONFIG = """\
Port 22
ListenAddress {address}
HostKey {work}/ssh_host_key
PidFile none
UsePAM no
PasswordAuthentication yes
KbdInteractiveAuthentication no
PubkeyAuthentication no
PermitRootLogin no
AllowUsers {users}
UseDNS no
PrintMotd no
PrintLastLog no
MaxStartups 200
MaxAuthTries 3
LogLevel INFO
"""
_START = """\
set -e
mount --make-rprivate /
mount --bind "$1/passwd" /etc/passwd
mount --bind "$1/shadow" /etc/shadow
mount -t tmpfs tmpfs /var/log
mount -t tmpfs tmpfs /run
mkdir -m 755 /run/sshd
exec /usr/sbin/sshd -D -e -f "$1/sshd_config"
"""


@dataclass(frozen=True, slots=True)
class SshServer:
    """What starts the server, and what its users need to trust it."""

    command: tuple[str, ...]
    """To be run as root inside a network namespace."""
    known_hosts: Path


def prepare(work: Path, address: str) -> SshServer:
    """Write keys, users and configuration into `work`, for a server on `address`, port 22."""
    key = work / "ssh_host_key"
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)])
    public = key.with_suffix(".pub").read_text(encoding="ascii")
    known_hosts = work / "known_hosts"
    known_hosts.write_text(f"{address} {public}", encoding="ascii")
    _write_users(work)
    config = _CONFIG.format(address=address, work=work, users=" ".join(USERS))
    (work / "sshd_config").write_text(config, encoding="ascii")
    start = work / "start-sshd"
    start.write_text(_START, encoding="ascii")
    return SshServer(("unshare", "--mount", "sh", str(start), str(work)), known_hosts)


def _write_users(work: Path) -> None:
    """Write passwd and shadow with the machine's accounts (sshd needs its own) and the lab's."""
    hashed = run(["openssl", "passwd", "-6", "-stdin"], text=f"{PASSWORD}\n").strip()
    users = [f"{name}:x:{_UID + n}:{_UID}:lab:/:/bin/sh\n" for n, name in enumerate(USERS)]
    secrets = [f"{name}:{hashed}:19000:0:99999:7:::\n" for name in USERS]
    for name, lines in (("passwd", users), ("shadow", secrets)):
        copy = work / name
        copy.touch(mode=0o600)
        copy.write_text(_without_secrets(name) + "".join(lines), encoding="utf-8")
    (work / "passwd").chmod(0o644)


def _without_secrets(name: str) -> str:
    """Return the machine's file, with every password of shadow locked: none is copied."""
    lines = Path("/etc", name).read_text(encoding="utf-8").splitlines()
    if name == "passwd":
        return "".join(f"{line}\n" for line in lines)
    return "".join(f"{line.partition(':')[0]}:*:19000:0:99999:7:::\n" for line in lines)
