"""Scans of ports and networks: nmap(1), masscan(8), zmap(1), hping3(8), their options by chance.

Rates are bounded: the fastest sends 400 packets a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab import estate
from lab.label import Label, Role
from lab.network import ROUTER_MAC, UPLINK
from lab.take import ADDRESS, Take

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator
    from pathlib import Path

_NET = estate.HOME_NET[0]
_HOSTS = (estate.WEB, estate.API, estate.FTP, estate.SSH, estate.MAIL, estate.DESKTOP)
_SWEPT = ("21", "22", "23", "25", "80,443", "110,143", "135", "139,445", "1433", "2323", "3306")
_SWEPT_MORE = ("3389", "5060", "5555", "5900", "6379", "7547", "8080", "8291", "9200", "37215")
_NAMED = "21,22,25,80,110,143,443,587,3389"
_QUIET = ("nmap", "-n", "-Pn")
_SCRIPTS = ("banner", "ssh-hostkey,ssh-auth-methods", "ssl-cert", "ftp-anon,ftp-syst", "default")


def takes(rng: random.Random, work: Path) -> Iterator[Take]:
    """Yield the scans of a run; `work` has the file `nobody`, which is empty."""
    for _ in range(5):
        yield _syn(rng)
    for _ in range(3):
        yield _connect(rng)
    for _ in range(3):
        yield _udp(rng)
    for _ in range(3):
        yield _version(rng)
    for _ in range(2):
        yield _stealth(rng)
        yield _ping(rng)
        yield _zmap(rng, work)
    for _ in range(4):
        yield _sweep(rng)
        yield _slow(rng)
    for _ in range(3):
        yield _masscan(rng)
    yield _hping(rng, "-S")
    yield _hping(rng, rng.choice(("-S", "-F", "-A")))
    yield from _six(rng)
    yield from _allowed(rng)


def _targets(rng: random.Random, most: int) -> tuple[str, ...]:
    return tuple(rng.sample(_HOSTS, rng.randint(1, most)))


def _syn(rng: random.Random) -> Take:
    rate = rng.choice((15, 40, 150, 400))
    ports = rng.choice((100, 250, 1000)) if rate > 20 else 100
    words = ("-sS", "--top-ports", str(ports), "--max-rate", str(rate))
    retries = ("--max-retries", str(rng.randint(0, 2)))
    command = (*_QUIET, *words, *retries, *_targets(rng, 3))
    return Take(Role.SYN_SCANNER, "nmap", command, handshake=False)


def _connect(rng: random.Random) -> Take:
    words = ("-sT", "--top-ports", str(rng.choice((50, 200, 500))))
    rate = ("--max-rate", str(rng.choice((20, 60, 200))))
    return Take(Role.CONNECT_SCANNER, "nmap", (*_QUIET, *words, *rate, *_targets(rng, 2)))


def _udp(rng: random.Random) -> Take:
    words = ("-sU", "--top-ports", str(rng.choice((10, 30, 60))), "--max-retries", "1")
    rate = ("--max-rate", str(rng.choice((10, 30))))
    command = (*_QUIET, *words, *rate, *rng.sample((*_HOSTS, estate.DNS, estate.VPN), 2))
    return Take(Role.UDP_SCANNER, "nmap", command, handshake=False)


def _version(rng: random.Random) -> Take:
    scripts = ("--script", rng.choice(_SCRIPTS)) if rng.random() < 0.6 else ()
    words = ("-sV", "--version-intensity", str(rng.randint(2, 7)), *scripts, "-p", _NAMED)
    rate = ("--max-rate", "30", "--host-timeout", "80s")
    return Take(Role.VERSION_SCANNER, "nmap", (*_QUIET, *words, *rate, *_targets(rng, 2)))


def _stealth(rng: random.Random) -> Take:
    kind = rng.choice(("-sF", "-sX", "-sN", "-sA", "-sW", "-sM"))
    words = (kind, "--top-ports", str(rng.choice((50, 150))), "--max-rate", "40")
    command = (*_QUIET, *words, "--max-retries", "1", *_targets(rng, 2))
    return Take(Role.STEALTH_SCANNER, "nmap", command, handshake=False)


def _ping(rng: random.Random) -> Take:
    kind = rng.choice((("-PE",), ("-PE", "-PP"), ("-PS80,443",), ("-PA80", "-PS22"), ("-PU53",)))
    rate = ("--max-rate", str(rng.choice((20, 60))), "--max-retries", "1")
    command = ("nmap", "-n", "-sn", *kind, *rate, _NET)
    return Take(Role.PING_SWEEPER, "nmap", command, handshake=False)


def _sweep(rng: random.Random) -> Take:
    """One port or two of every address, those that nobody has among them."""
    ports = rng.choice((*_SWEPT, *_SWEPT_MORE))
    rate = ("--max-rate", str(rng.choice((10, 30, 100))), "--max-retries", str(rng.randint(0, 1)))
    kind = rng.choice(("-sS", "-sS", "-sT"))
    command = (*_QUIET, kind, "-p", ports, *rate, _NET)
    return Take(Role.NETWORK_SWEEPER, "nmap", command, handshake=kind == "-sT")


def _slow(rng: random.Random) -> Take:
    """Scan a few ports, seconds apart: whoever stretches the time makes it hours."""
    ports = ",".join(str(port) for port in rng.sample(range(20, 10_000), 8))
    delay = ("--scan-delay", f"{rng.choice((2, 4, 7))}s", "--max-retries", "0")
    kind = rng.choice(("-sS", "-sT"))
    command = (*_QUIET, kind, "-p", f"22,80,{ports}", *delay, rng.choice(_HOSTS))
    return Take(Role.SLOW_SCANNER, "nmap", command, handshake=kind == "-sT")


def _masscan(rng: random.Random) -> Take:
    ports = ",".join(rng.sample((*_SWEPT, *_SWEPT_MORE), rng.randint(1, 4)))
    rate = ("--rate", str(rng.choice((20, 80, 200))), "--wait", "3", "--seed", "7")
    source = ("--adapter-ip", ADDRESS, "--interface", UPLINK)
    banners = ("--banners",) if rng.random() < 0.3 else ()
    command = ("masscan", _NET, f"-p{ports}", *rate, *source, *banners)
    return Take(Role.NETWORK_SWEEPER, "masscan", command, handshake=False)


def _zmap(rng: random.Random, work: Path) -> Take:
    """Sweep with zmap; its own list of networks to spare has the documentation ranges."""
    port = rng.choice(("22", "80", "443", "3389", "8080", "23", "445"))
    rate = ("-r", str(rng.choice((20, 60, 150))), "-c", "3", "-e", str(rng.randint(1, 9999)))
    source = (
        "-S",
        ADDRESS,
        "-i",
        UPLINK,
        "-G",
        ROUTER_MAC,
        "-b",
        str(work / "nobody"),
        "-o",
        "/dev/null",
    )
    return Take(
        Role.NETWORK_SWEEPER, "zmap", ("zmap", "-p", port, *rate, *source, _NET), handshake=False
    )


def _hping(rng: random.Random, flag: str) -> Take:
    first = rng.choice((1, 20, 75, 130, 400))
    pace = ("-i", f"u{rng.choice((20_000, 60_000, 200_000))}", "-c", str(rng.randint(40, 200)))
    command = (
        "hping3",
        "-n",
        "-I",
        UPLINK,
        "-a",
        ADDRESS,
        flag,
        *pace,
        "-p",
        f"++{first}",
        rng.choice(_HOSTS),
    )
    role = Role.SYN_SCANNER if flag == "-S" else Role.STEALTH_SCANNER
    return Take(role, "hping3", command, handshake=False)


def _six(rng: random.Random) -> Iterator[Take]:
    """Scan over IPv6, where a network is too large to sweep: hosts that are known."""
    ports = ("--top-ports", str(rng.choice((60, 300))), "--max-rate", str(rng.choice((20, 80))))
    hosts = rng.sample((estate.WEB_V6, estate.DNS_V6), rng.randint(1, 2))
    yield Take(
        Role.SYN_SCANNER, "nmap", (*_QUIET, "-6", "-sS", *ports, *hosts), handshake=False, v6=True
    )
    words = ("-sV", "-p", "53,80,443", "--version-intensity", str(rng.randint(2, 7)))
    command = (*_QUIET, "-6", *words, "--host-timeout", "80s", *hosts)
    yield Take(Role.VERSION_SCANNER, "nmap", command, v6=True)


def _allowed(rng: random.Random) -> Iterator[Take]:
    """Two scanners that the owner has ordered: as loud as the others, and benign."""
    rate = ("--max-rate", str(rng.choice((40, 100))), "--host-timeout", "85s")
    ports = ("-sV", "--top-ports", "300", "--max-retries", "1")
    scripts = ("-sT", "-p", "80,443", "--script", "http-headers,http-methods,http-git,ssl-cert")
    for words in (ports, scripts):
        command = (*_QUIET, *words, *rate, estate.WEB, estate.API)
        yield Take(Role.ALLOWED_SCANNER, "nmap", command, label=Label.BENIGN)
