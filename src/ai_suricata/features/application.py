"""What the records of application protocols add.

A protocol on TCP is read in established streams only, so that nothing here but DNS can be forged.
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING

from ai_suricata.core.behaviour import Counter, Sketch

if TYPE_CHECKING:
    from ai_suricata.core.event import Event
    from ai_suricata.features.evidence import Evidence
    from ai_suricata.features.home import Party
    from ai_suricata.features.memory import Memory

    Parties = tuple[Party, Party]

_FTP_DENIED = "530"
_FTP_LOGINS = frozenset({"PASS", "ACCT", None})
_POP3_LOGINS = frozenset({"PASS", "APOP", "AUTH", "<SASL DATA>"})
_ANNOUNCED = frozenset({"227", "229"})
"""Codes of the replies that name a data port."""
_BUSY = ("[IN-USE]", "[LOGIN-DELAY]", "[SYS/")
_PLAIN_METHODS = frozenset({"GET", "HEAD", "POST", None})
_LONG_URL = 1_000
_STRANGE = re.compile(
    r"/\.(env|git|svn|hg|aws|ssh|ht|ds_store|vscode)|\.\./|\.\.\\|%2e%2e|%00|%25|%27|%22|%3c|['\"<>`|{}]|/etc/|\bunion\b|\bselect\b|\$\{|;",
    re.IGNORECASE,
)
"""What requests of ordinary programs hardly hold: files that nobody publishes, traversals, quotes,
tags, what was encoded twice."""
_HOSTILE = re.compile(
    r"\.\./|\.\.\\|%2e%2e|%00|=/etc/|\$\{|union\W+(all\W+)?select|(<|%3c)script", re.IGNORECASE
)
"""Of it, what no ordinary program asks for: quotes and semicolons stand in real links too, and
people search for any words."""
_CARRIERS = frozenset({"TXT", "NULL", "ANY", "AXFR", "HINFO", "PRIVATE"})
"""Types of records that carry much data, or all there is."""
_LONGEST_NAME = 255  # RFC 1035, 3.1


def add_http(
    evidence: Evidence, index: int, event: Event, parties: Parties, memory: Memory
) -> None:
    """Count a request and its answer."""
    row, http = evidence.added[index], event.http
    row[Counter.HTTP_REQUESTS] = row[Counter.DAY_HTTP_REQUESTS] = 1
    _offered(event, parties[1], memory)
    if http is None:
        return
    status, url = http.status or 0, http.url or ""
    if status >= 400:  # noqa: PLR2004 - RFC 9110, 15.5
        row[Counter.HTTP_ERRORS] = status < 500  # noqa: PLR2004 - RFC 9110, 15.6
        row[Counter.DAY_HTTP_ERRORS] = row[Counter.HTTP_ERRORS]
        row[Counter.HTTP_SERVER_ERRORS] = 500 <= status < 600  # noqa: PLR2004
        row[Counter.HTTP_DENIED] = status in {401, 403}
    elif status:
        memory.reputation.did_right(parties[0].address)
    if http.http_method not in _PLAIN_METHODS:
        row[Counter.HTTP_ODD_METHODS] = 1
    if len(url) > _LONG_URL or _STRANGE.search(url):
        row[Counter.HTTP_STRANGE] = 1
        if _HOSTILE.search(url):
            memory.reputation.did_wrong(parties[0].address)
    evidence.mark(index, Sketch.REQUESTS, _digest(f"{http.http_method} {url}"))
    if http.http_user_agent is not None:
        evidence.mark(index, Sketch.USER_AGENTS, _digest(http.http_user_agent))


def add_dns(
    evidence: Evidence, index: int, event: Event, _parties: Parties, _memory: Memory
) -> None:
    """Count a question, or an answer that says no."""
    row, dns = evidence.added[index], event.dns
    if dns is None:
        return
    if dns.type not in {"query", "request"}:
        row[Counter.DNS_FAILURES] = dns.rcode not in {None, "NOERROR"}
        return
    asked = dns.queries[0] if dns.queries else dns
    name = asked.rrname or ""
    row[Counter.DNS_QUERIES] = 1
    row[Counter.DNS_NAME_BYTES] = min(len(name), _LONGEST_NAME)
    row[Counter.DNS_CARRIERS] = asked.rrtype in _CARRIERS
    if name:
        evidence.mark(index, Sketch.DNS_NAMES, _digest(name.lower()))


def add_tls(evidence: Evidence, index: int, event: Event, parties: Parties, memory: Memory) -> None:
    """Count a handshake."""
    evidence.added[index, Counter.TLS_HANDSHAKES] = 1
    _offered(event, parties[1], memory)


def add_ssh(evidence: Evidence, index: int, event: Event, parties: Parties, memory: Memory) -> None:
    """Count a session."""
    evidence.added[index, Counter.SSH_SESSIONS] = 1
    _offered(event, parties[1], memory)


def add_ftp(evidence: Evidence, index: int, event: Event, parties: Parties, memory: Memory) -> None:
    """Count a refused password (RFC 959, 4.2: code 530); note which data port was announced.

    Code 530 also answers commands that come before the login. Suricata 7 takes POP3 for FTP, and
    finds no codes in it, but writes the reply.
    """
    _offered(event, parties[1], memory)
    ftp = event.ftp
    if ftp is None:
        return
    codes, reply = ftp.completion_code or (), ftp.reply or ("",)
    refused = _FTP_DENIED in codes if codes else _is_refusal(reply[0])
    if refused and ftp.command in _FTP_LOGINS:
        _denied(evidence, index, parties, memory, ftp.command_data)
    elif ftp.dynamic_port and not _ANNOUNCED.isdisjoint(codes):
        client, server = parties[0].address, parties[1].address
        memory.passive.announced(client, server, ftp.dynamic_port, event.time)


def add_pop3(
    evidence: Evidence, index: int, event: Event, parties: Parties, memory: Memory
) -> None:
    """Count a refused password (RFC 1939, 7; RFC 5034, 4), as Suricata 8 writes it."""
    _offered(event, parties[1], memory)
    pop3 = event.pop3
    if pop3 is None or pop3.request is None or pop3.response is None:
        return
    refused = pop3.response.success is False and _is_refusal(f"-ERR {pop3.response.header}")
    if refused and (pop3.request.command or "").upper() in _POP3_LOGINS:
        _denied(evidence, index, parties, memory, " ".join(pop3.request.args or ()))


def _is_refusal(reply: str) -> bool:
    """Whether POP3 says no to a password, and not that it can't look now (RFC 2449, 3206)."""
    return reply.startswith("-ERR") and not any(code in reply for code in _BUSY)


def _denied(
    evidence: Evidence, index: int, parties: Parties, memory: Memory, given: str | None
) -> None:
    """Count it, and mark the password: a program that has an old one gives the same ever again."""
    row = evidence.added[index]
    row[Counter.LOGIN_DENIED] = row[Counter.DAY_LOGINS] = row[Counter.DAY_DENIED] = 1
    if given:
        evidence.mark(index, Sketch.DAY_PASSWORDS, _digest(given))
    memory.reputation.did_wrong(parties[0].address)


def add_anomaly(
    evidence: Evidence, index: int, _event: Event, _parties: Parties, _memory: Memory
) -> None:
    """Count what broke a protocol's rules."""
    evidence.added[index, Counter.ANOMALIES] = 1


def _offered(event: Event, other: Party, memory: Memory) -> None:
    """Take note of the service long before its flow ends."""
    if event.proto == "TCP":
        memory.services.answered(event.dest_port or 0, home=other.home, udp=False)


def _digest(text: str) -> int:
    return zlib.crc32(text.encode("utf-8", "surrogatepass"))
