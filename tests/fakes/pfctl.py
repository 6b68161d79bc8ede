"""A pfctl that keeps pf's tables in files: what sshd's forced command runs in the tests.

`command(FOLDER)` is how it is run; the command line arrives in SSH_ORIGINAL_COMMAND, and what is
neither pfctl nor one of `SURVEY` is refused. FOLDER holds what `fakes.pf_kernel` says, and

    pfctl_only          there where the gate lets nothing but pfctl through
    answers/NAME        what the survey's commands say
    commands.jsonl      each command with its time and input

Messages, streams and exit codes follow FreeBSD's pfctl.c, pfctl_table.c and pfctl_radix.c. Each
command starts a process, so nothing is imported that the interpreter has not loaded anyway, or
that is not C: `re` or `json` alone would double what a command takes.
"""

# pathlib takes longer to import than most commands to answer
# ruff: noqa: PTH100, PTH120, PTH123
from __future__ import annotations

import os
import signal
import sys
import time

from fakes.pf_kernel import CONST, NO_MEMORY, NO_TABLE, Failed, Lock, Pf, canonical, matching

TYPE_CHECKING = False  # as typing's, which takes as long to import
if TYPE_CHECKING:
    from collections.abc import Callable

VERBS = ("kill", "flush", "add", "delete", "load", "replace", "show", "test", "zero", "expire")
"""In pfctl's order: the first one that a shortened verb begins decides."""
SHOWN = ("rules", "states", "info")
LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./:!-")
OPTIONS_WITH_VALUE = frozenset("tTfsk")
ALTQ_NOISE = "No ALTQ support in kernel\nALTQ related functions disabled\n"
SURVEY = {
    "/sbin/ifconfig -a": "ifconfig",
    "/usr/bin/netstat -rnW": "netstat",
    "/bin/cat /etc/resolv.conf": "resolv.conf",
    "/bin/cat /var/unbound/unbound.conf": "unbound.conf",
    "/bin/cat /var/unbound/domainoverrides.conf": "domainoverrides.conf",
    "/usr/bin/who": "who",
    "/usr/bin/printenv SSH_CONNECTION": "",
}
"""Commands besides pfctl, each with the file of its answer; one without asks the environment."""
ERRORS = {
    "permission_denied": (1, "pfctl: /dev/pf: Permission denied"),
    "no_memory": NO_MEMORY,
    "const": CONST,
    "no_table": NO_TABLE,
}
USAGE = (1, "usage: pfctl [-deghMNnOPqRrSvz] [-a anchor] [-D macro=value] ...")
REFUSED = 126
INFO = """\
Status: {:<30}Debug: Urgent

State Table                          Total             Rate
  current entries               {:12d}
"""
HANG_AT_MOST = 120.0  # seconds: a fault must not outlive the tests
_TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def command(folder: str) -> list[str]:
    """Return what runs it; imported, and not run as a file, so that it is compiled only once."""
    entry = "import sys; sys.path.insert(0, sys.argv[1]); from fakes import pfctl; pfctl.main()"
    return [sys.executable, "-I", "-S", "-c", entry, _TESTS, folder]


class Call:
    """One command line, taken apart, and what it says in the end."""

    def __init__(self) -> None:
        self.options: dict[str, list[str]] = {}
        self.words: list[str] = []
        self.stdin = ""
        self.stdout: list[str] = []
        self.stderr: list[str] = []
        self.exit_code = 0

    def say(self, text: str) -> None:
        """Add a status line, as pfctl's xprintf does: on stderr, with a full stop, unless -q."""
        if "q" not in self.options:
            self.stderr.append(f"{text}.")

    def addresses(self) -> list[str]:
        """Return the addresses of the command line and of `-f -`, where `#` starts a comment."""
        text = self.stdin
        if "#" in text:
            text = "\n".join(line.partition("#")[0] for line in text.splitlines())
        return [canonical(word) for word in [*self.words, *text.split()]]

    @property
    def action(self) -> str:
        """The table verb in full, or rules, states, info, kill_states."""
        for letter, known in (("T", VERBS), ("s", SHOWN)):
            if letter in self.options:
                given = self.options[letter][0]
                return next((word for word in known if word.startswith(given)), "")
        return "kill_states" if "k" in self.options else ""


def parse(line: str) -> Call:
    """Take a command line apart as getopt does; Failed where it is not pfctl's."""
    program, *words = line.split(" ")
    if program.removeprefix("/sbin/") != "pfctl" or not all(map(_is_plain, words)):
        raise Failed(REFUSED, f"refused: not a pfctl command: {line}")
    call = Call()
    rest = iter(words)
    for word in rest:
        if not word.startswith("-") or word == "-":
            call.words.append(word)
            continue
        for place, letter in enumerate(word[1:], start=2):
            values = call.options.setdefault(letter, [])
            if letter in OPTIONS_WITH_VALUE:
                values.append(word[place:] or next(rest, ""))
                break
    if "T" in call.options and "t" not in call.options:
        raise Failed(*USAGE)
    return call


def _is_plain(word: str) -> bool:
    return bool(word) and LETTERS.issuperset(word)


def do_add(pf: Pf, call: Call, name: str) -> None:
    """`-T add`: a missing table is made."""
    addresses = call.addresses()
    if pf.create(name):
        call.say("1 table created")
    new = set(addresses) - pf.entries(name).keys()
    pf.insert(name, new)
    call.say(f"{len(new)}/{len(addresses)} addresses added")
    if "v" in call.options:
        call.stdout.extend(f"A  {address}" for address in addresses if address in new)


def do_delete(pf: Pf, call: Call, name: str) -> None:
    """`-T delete`."""
    addresses = call.addresses()
    held = pf.entries(name)
    gone = set(addresses) & held.keys()
    pf.remove(name, gone, held)
    call.say(f"{len(gone)}/{len(addresses)} addresses deleted")


def do_replace(pf: Pf, call: Call, name: str) -> None:
    """`-T replace`."""
    addresses = set(call.addresses())
    pf.create(name)
    held = pf.entries(name)
    gone, new = held.keys() - addresses, addresses - held.keys()
    pf.remove(name, gone, held)
    pf.insert(name, new)
    if new:
        call.say(f"{len(new)} addresses added")
    if gone:
        call.say(f"{len(gone)} addresses deleted")
    if not new and not gone:
        call.say("no changes")


def do_show(pf: Pf, call: Call, name: str) -> None:
    """`-T show`, with the times where `-v` is given."""
    for address, cleared in pf.entries(name, to_write=False).items():
        call.stdout.append(f"  {address}" if address.startswith("!") else f"   {address}")
        if "v" in call.options:
            call.stdout.append(f"\tCleared:     {time.ctime(float(cleared))}")


def do_test(pf: Pf, call: Call, name: str) -> None:
    """`-T test`: takes no networks."""
    addresses = call.addresses()
    held = pf.entries(name, to_write=False)
    for address in addresses:
        if "/" in address or "!" in address:
            raise Failed(255, f"pfctl: cannot decode {address}: Invalid argument")
    found = matching(addresses, held)
    call.say(f"{found}/{len(addresses)} addresses match")
    call.exit_code = 0 if found == len(addresses) else 2


def do_expire(pf: Pf, call: Call, name: str) -> None:
    """`-T expire SECONDS`."""
    held = pf.entries(name)
    total = len(held)
    oldest = time.time() - float(call.words[0])
    old = [address for address, cleared in held.items() if float(cleared) < oldest]
    pf.remove(name, old, held)
    call.say(f"{len(old)}/{total} addresses expired")


def do_flush(pf: Pf, call: Call, name: str) -> None:
    """`-T flush`."""
    held = pf.entries(name)
    pf.write_entries(name, {})
    call.say(f"{len(held)} addresses deleted")


def do_kill(pf: Pf, call: Call, name: str) -> None:
    """`-T kill`."""
    pf.entries(name)
    pf.drop_table(name)
    call.say("1 table deleted")


def do_rules(pf: Pf, call: Call, _name: str) -> None:
    """`-sr`."""
    call.stdout.extend(pf.read("rules").splitlines())


def do_states(pf: Pf, call: Call, _name: str) -> None:
    """`-ss`."""
    call.stdout.extend(state.shown() for state in pf.states())


def do_info(pf: Pf, call: Call, _name: str) -> None:
    """`-s info`."""
    status = "Disabled" if pf.has("disabled") else "Enabled for 12 days 03:04:05"
    call.stdout.extend(INFO.format(status, len(pf.states())).splitlines())


def do_kill_states(pf: Pf, call: Call, _name: str) -> None:
    """`-k`, once or twice; what pfctl prints here has no full stop."""
    hosts = call.options["k"]
    killed = pf.kill(hosts)
    if "q" not in call.options:
        call.stderr.append(
            f"killed {killed} states from 1 sources and {len(hosts) - 1} destinations"
        )


ACTIONS: dict[str, Callable[[Pf, Call, str], None]] = {
    "add": do_add,
    "delete": do_delete,
    "replace": do_replace,
    "show": do_show,
    "test": do_test,
    "expire": do_expire,
    "flush": do_flush,
    "kill": do_kill,
    "rules": do_rules,
    "states": do_states,
    "info": do_info,
    "kill_states": do_kill_states,
}
READING = frozenset({"show", "test", "rules", "states", "info"})


def answer(pf: Pf, line: str, call: Call, kind: str) -> None:
    """Carry the call out, or fail as the fault says."""
    if "f" in call.options and kind != "permission_denied":
        call.stdin = sys.stdin.read()  # /dev/pf is opened before, so that error leaves it unread
    log(pf.folder, line, call.stdin)
    if kind in ERRORS:
        raise Failed(*ERRORS[kind])
    act = ACTIONS.get(call.action)
    if act is None:
        raise Failed(*USAGE)
    if kind != "hang":
        with Lock(pf.folder, shared=call.action in READING):
            act(pf, call, call.options["t"][0] if "t" in call.options else "")


def answer_survey(pf: Pf, line: str, call: Call) -> None:
    """Say what the file of this command holds, or that it is not there."""
    log(pf.folder, line, "")
    if pf.has("pfctl_only"):
        raise Failed(REFUSED, f"refused: not a pfctl command: {line}")
    name = SURVEY[line]
    if not name:
        call.stdout.append(os.environ.get("SSH_CONNECTION", ""))
    elif pf.has(f"answers/{name}"):
        call.stdout.extend(pf.read(f"answers/{name}").splitlines())
    else:
        program, *paths = line.split(" ")
        reason = "No such file or directory" if paths else "not found"
        raise Failed(1, f"{program.rpartition('/')[2]}: {' '.join(paths)}: {reason}")


def log(folder: str, line: str, stdin: str) -> None:
    """Write the command down, in one step so that lines of others never stand in between."""
    record = f'{{"time": {time.time()!r}, "command": {quoted(line)}, "stdin": {quoted(stdin)}}}\n'
    file = os.open(f"{folder}/commands.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, record.encode())
    os.close(file)


def quoted(text: str) -> str:
    """Return the text as a JSON string; plain words and lines without a JSON encoder."""
    plain = text.replace("\n", "")
    if plain.isascii() and (not plain or plain.isprintable()) and not {'"', "\\"} & set(plain):
        return '"' + text.replace("\n", "\\n") + '"'
    import json  # noqa: PLC0415 - seldom, and it takes as long as all the rest

    return json.dumps(text)


def hang(session: int) -> None:
    """Answer nothing for as long as the SSH session lives."""
    until = time.monotonic() + HANG_AT_MOST
    while os.getppid() == session and time.monotonic() < until:
        time.sleep(0.02)


def drop_connection(session: int) -> None:
    """End the sshd process that serves this connection, so that the answer is lost."""
    with open(f"/proc/{session}/comm") as name:
        if name.read().startswith("sshd"):
            os.kill(session, signal.SIGKILL)


def run(pf: Pf, line: str) -> tuple[Call, str]:
    """Carry one command line out; return what is said, and the fault that strikes after it."""
    call, kind = Call(), ""
    try:
        is_survey = line in SURVEY
        if not is_survey:
            call = parse(line)
        if pf.has("faults"):
            with Lock(pf.folder):
                kind = pf.due_fault("survey" if is_survey else call.action)
        if pf.has("altq") and not is_survey:
            call.stderr.extend(ALTQ_NOISE.splitlines())
        if is_survey:
            answer_survey(pf, line, call)
        else:
            answer(pf, line, call, kind)
    except Failed as failed:
        call.stderr.append(failed.line)
        call.exit_code = failed.code
        kind = ""
    return call, kind


def main() -> None:
    """Carry out the command of the environment and end with its exit code."""
    session = os.getppid()
    call, kind = run(Pf(sys.argv[2]), os.environ.get("SSH_ORIGINAL_COMMAND", ""))
    if kind == "hang":
        hang(session)
    if kind == "drop":
        drop_connection(session)
    sys.stdout.write("".join(f"{text}\n" for text in call.stdout))
    sys.stderr.write("".join(f"{text}\n" for text in call.stderr))
    sys.exit(call.exit_code)
