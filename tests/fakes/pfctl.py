"""A pfctl that keeps pf's tables in a file: what sshd's forced command runs in the tests.

Run as `python -I -S pfctl.py FOLDER`; the command line arrives in SSH_ORIGINAL_COMMAND, and
anything but pfctl is refused. FOLDER holds `state.json` (tables, rules, states, faults), `lock`,
and `commands.jsonl`, to which each command is written with its time and input.

Messages, streams and exit codes follow FreeBSD's pfctl.c, pfctl_table.c and pfctl_radix.c. Only
the standard library is used, and little of it: each command starts a process.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

VERBS = ("kill", "flush", "add", "delete", "load", "replace", "show", "test", "zero", "expire")
"""In pfctl's order: the first one that a shortened verb begins decides."""
ALLOWED = re.compile(r"(?:/sbin/)?pfctl(?: [A-Za-z0-9_./:!-]+)*")
OPTIONS_WITH_VALUE = frozenset("tTfsk")
ALTQ_NOISE = "No ALTQ support in kernel\nALTQ related functions disabled\n"
ERRORS = {
    "permission_denied": (1, "pfctl: /dev/pf: Permission denied"),
    "usage": (1, "usage: pfctl [-deghMNnOPqRrSvz] [-a anchor] [-D macro=value] ..."),
    "no_memory": (255, "pfctl: Cannot allocate memory."),
    "const": (255, "pfctl: Operation not permitted."),
    "no_table": (255, "pfctl: Table does not exist."),
}
HANG_AT_MOST = 120.0  # seconds: a fault must not outlive the tests


class Failed(Exception):  # noqa: N818 (an answer of pfctl's, not an error of this program)
    """End with this exit code and this line on stderr."""

    def __init__(self, code: int, line: str) -> None:
        super().__init__(line)
        self.code = code
        self.line = line


@dataclass
class Call:
    """One command line, taken apart, and what it says in the end."""

    options: dict[str, list[str]] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    stdin: str = ""
    stdout: list[str] = field(default_factory=list)
    stderr: list[str] = field(default_factory=list)
    exit_code: int = 0

    def say(self, text: str) -> None:
        """Add a status line, as pfctl's xprintf does: on stderr, with a full stop, unless -q."""
        if "q" not in self.options:
            self.stderr.append(f"{text}.")

    def addresses(self) -> list[str]:
        """Return the addresses of the command line and of `-f -`, where `#` starts a comment."""
        lines = (line.partition("#")[0] for line in self.stdin.splitlines())
        return [canonical(word) for word in [*self.words, *(w for ln in lines for w in ln.split())]]

    @property
    def action(self) -> str:
        """The table verb in full, or rules, states, kill."""
        if "T" in self.options:
            given = self.options["T"][0]
            return next((verb for verb in VERBS if verb.startswith(given)), "")
        if "s" in self.options:
            given = self.options["s"][0]
            return next((what for what in ("rules", "states") if what.startswith(given)), "")
        return "kill_states" if "k" in self.options else ""


def parse(line: str) -> Call:
    """Take a command line apart as getopt does; Failed where it is not pfctl's."""
    if not ALLOWED.fullmatch(line):
        raise Failed(126, f"refused: not a pfctl command: {line}")
    call = Call()
    words = iter(line.split()[1:])
    for word in words:
        if not word.startswith("-") or word == "-":
            call.words.append(word)
            continue
        for place, letter in enumerate(word[1:], start=2):
            values = call.options.setdefault(letter, [])
            if letter in OPTIONS_WITH_VALUE:
                values.append(word[place:] or next(words, ""))
                break
    if "T" in call.options and "t" not in call.options:
        raise Failed(*ERRORS["usage"])
    return call


def canonical(word: str) -> str:
    """Return the address as pf shows it; Failed with pf's words where it is none."""
    mark = "!" if word.startswith("!") else ""
    address, slash, length = word.removeprefix("!").partition("/")
    try:
        ip_address(address)
    except ValueError:
        raise Failed(255, f"no IP address found for {word}") from None
    try:
        network = ip_network(address + slash + length, strict=False)
    except ValueError:
        raise Failed(255, f"invalid netmask '/{length}'") from None
    single = network.prefixlen == network.max_prefixlen
    return mark + str(network.network_address if single else network)


class Pf:
    """What the kernel holds. A table is {"const": bool, "entries": {address: time cleared}}."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state
        self.tables = state["tables"]

    def carry_out(self, call: Call) -> None:
        """Do what the call asks; Failed where pf would."""
        known = getattr(self, f"_do_{call.action}", None)
        if known is None:
            raise Failed(*ERRORS["usage"])
        known(call)

    def _entries(self, call: Call, *, to_write: bool = True) -> dict[str, float]:
        table = self.tables.get(call.options["t"][0])
        if table is None:
            raise Failed(*ERRORS["no_table"])
        if to_write and table["const"]:
            raise Failed(*ERRORS["const"])
        held: dict[str, float] = table["entries"]
        return held

    def _create(self, call: Call) -> None:
        name = call.options["t"][0]
        if name not in self.tables:
            self.tables[name] = {"const": False, "entries": {}}
            call.say("1 table created")

    def _insert(self, held: dict[str, float], new: set[str]) -> None:
        used = sum(len(table["entries"]) for table in self.tables.values())
        if used + len(new) > self.state["limit"]:
            raise Failed(*ERRORS["no_memory"])
        held.update(dict.fromkeys(sorted(new), time.time()))

    def _do_add(self, call: Call) -> None:
        addresses = call.addresses()
        self._create(call)
        held = self._entries(call)
        new = set(addresses) - held.keys()
        self._insert(held, new)
        call.say(f"{len(new)}/{len(addresses)} addresses added")

    def _do_delete(self, call: Call) -> None:
        addresses = call.addresses()
        held = self._entries(call)
        gone = set(addresses) & held.keys()
        for address in gone:
            del held[address]
        call.say(f"{len(gone)}/{len(addresses)} addresses deleted")

    def _do_replace(self, call: Call) -> None:
        addresses = set(call.addresses())
        self._create(call)
        held = self._entries(call)
        gone, new = held.keys() - addresses, addresses - held.keys()
        for address in gone:
            del held[address]
        self._insert(held, new)
        if new:
            call.say(f"{len(new)} addresses added")
        if gone:
            call.say(f"{len(gone)} addresses deleted")
        if not new and not gone:
            call.say("no changes")

    def _do_show(self, call: Call) -> None:
        for address, cleared in self._entries(call, to_write=False).items():
            blank = "" if address.startswith("!") else " "
            call.stdout.append(f"  {blank}{address}")
            if "v" in call.options:
                call.stdout.append(f"\tCleared:     {time.ctime(cleared)}")

    def _do_test(self, call: Call) -> None:
        addresses = call.addresses()
        held = self._entries(call, to_write=False)
        for address in addresses:
            if "/" in address or "!" in address:
                raise Failed(255, f"pfctl: cannot decode {address}: Invalid argument")
        matching = sum(matches(address, held) for address in addresses)
        call.say(f"{matching}/{len(addresses)} addresses match")
        call.exit_code = 0 if matching == len(addresses) else 2

    def _do_expire(self, call: Call) -> None:
        held = self._entries(call)
        oldest = time.time() - float(call.words[0])
        old = [address for address, cleared in held.items() if cleared < oldest]
        total = len(held)
        for address in old:
            del held[address]
        call.say(f"{len(old)}/{total} addresses expired")

    def _do_flush(self, call: Call) -> None:
        held = self._entries(call)
        call.say(f"{len(held)} addresses deleted")
        held.clear()

    def _do_kill(self, call: Call) -> None:
        self._entries(call)
        del self.tables[call.options["t"][0]]
        call.say("1 table deleted")

    def _do_rules(self, call: Call) -> None:
        call.stdout.extend(self.state["rules"])

    def _do_states(self, call: Call) -> None:
        call.stdout.extend(shown(state) for state in self.state["states"])

    def _do_kill_states(self, call: Call) -> None:
        """Kill by source, or by source and destination; the kernel says no full stop here."""
        hosts = [ip_network(host) for host in call.options["k"]]
        ends = ("source", "destination")[: len(hosts)]
        kept = [
            state
            for state in self.state["states"]
            if not all(
                ip_address(state[end]) in host for end, host in zip(ends, hosts, strict=True)
            )
        ]
        killed = len(self.state["states"]) - len(kept)
        self.state["states"] = kept
        if "q" not in call.options:
            destinations = len(hosts) - 1
            call.stderr.append(
                f"killed {killed} states from 1 sources and {destinations} destinations"
            )


def matches(address: str, held: dict[str, float]) -> bool:
    """Look up an address as pf's radix tree does: the longest entry that holds it decides."""
    host = ip_network(address)
    for length in range(host.prefixlen, -1, -1):
        around = canonical(str(host.supernet(new_prefix=length)))
        if around in held or f"!{around}" in held:
            return around in held
    return False


def shown(state: dict[str, Any]) -> str:
    """Write a state as `pfctl -ss` does: ours on the left, `<-` where the peer began it."""
    source = _shown_host(state["source"], state["source_port"])
    destination = _shown_host(state["destination"], state["destination_port"])
    left, arrow, right = (
        (destination, "<-", source) if state["inbound"] else (source, "->", destination)
    )
    return f"{state['interface']} {state['proto']} {left} {arrow} {right}       {state['status']}"


def _shown_host(address: str, port: int) -> str:
    return f"{address}[{port}]" if ":" in address else f"{address}:{port}"


@contextmanager
def locked(folder: Path) -> Iterator[Pf]:
    """Hold the state alone, and store it at the end whatever happened: pf is done by then."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = folder / "state.json"
        pf = Pf(json.loads(path.read_text()))
        try:
            yield pf
        finally:
            fresh = path.with_suffix(".new")
            fresh.write_text(json.dumps(pf.state))
            fresh.replace(path)


def due_fault(faults: list[dict[str, Any]], action: str) -> str:
    """Return the kind of fault that strikes now: after its `skip` first calls, `times` times."""
    for fault in faults:
        if fault["verb"] not in ("", action) or fault["times"] == 0:
            continue
        if fault["skip"] > 0:
            fault["skip"] -= 1
            continue
        fault["times"] -= 1
        return str(fault["kind"])
    return ""


def hang(session: int) -> None:
    """Answer nothing for as long as the SSH session lives."""
    until = time.monotonic() + HANG_AT_MOST
    while os.getppid() == session and time.monotonic() < until:
        time.sleep(0.02)


def drop_connection(session: int) -> None:
    """End the sshd process that serves this connection, so that the answer is lost."""
    if Path(f"/proc/{session}/comm").read_text().startswith("sshd"):
        os.kill(session, signal.SIGKILL)


def _log(folder: Path, line: str, stdin: str) -> None:
    record = json.dumps({"time": time.time(), "command": line, "stdin": stdin})
    with (folder / "commands.jsonl").open("a") as file:
        file.write(f"{record}\n")


def answer(folder: Path, line: str, call: Call) -> str:
    """Carry the call out; return the fault that strikes instead of, or after, the answer."""
    with locked(folder) as pf:
        kind = due_fault(pf.state["faults"], call.action)
        if pf.state["altq"]:
            call.stderr.extend(ALTQ_NOISE.splitlines())
    if "f" in call.options and kind != "permission_denied":
        call.stdin = sys.stdin.read()  # /dev/pf is opened before, so that error leaves it unread
    _log(folder, line, call.stdin)
    if kind in ERRORS:
        raise Failed(*ERRORS[kind])
    if kind != "hang":
        with locked(folder) as pf:
            pf.carry_out(call)
    return kind


def main() -> int:
    """Carry out one command and return its exit code."""
    folder, session = Path(sys.argv[1]), os.getppid()
    line = os.environ.get("SSH_ORIGINAL_COMMAND", "")
    call = Call()
    try:
        call = parse(line)
        kind = answer(folder, line, call)
    except Failed as failed:
        call.stderr.append(failed.line)
        call.exit_code = failed.code
        kind = ""
    if kind == "hang":
        hang(session)
    if kind == "drop":
        drop_connection(session)
    sys.stdout.write("".join(f"{text}\n" for text in call.stdout))
    sys.stderr.write("".join(f"{text}\n" for text in call.stderr))
    return call.exit_code


if __name__ == "__main__":
    sys.exit(main())
