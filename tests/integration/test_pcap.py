"""Captures through the installed Suricata: the same verdicts as those of what it wrote for them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from lab.capture import Connection, Packet, http, write_pcap, write_pcapng
from lab.network import ROUTER_LINK, inside, network
from lab.process import end, run, running, wait_until

import ai_suricata
from ai_suricata.replay import learn, learn_batches
from ai_suricata.source.pcap.folder import Capture, look_at
from ai_suricata.source.pcap.run import PcapRun
from ai_suricata.source.pcap.suricata import Suricata
from fakes import eve
from fakes.privilege import need_root
from fakes.redis_process import program

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

pytestmark = pytest.mark.system
START = 1_700_000_010.0
ATTACKER, SCANNER, CLIENT, SERVER = "203.0.113.9", "198.51.100.7", "192.0.2.77", "10.0.0.5"
CLIENTS = (CLIENT, "192.0.2.78", "192.0.2.79", "192.0.2.80")
HOME = ("--home-net", "10.0.0.0/8")
REAL_SERVER, REAL_CLIENT, REAL_HOME = "192.0.2.5", "198.18.0.77", ("--home-net", "192.0.2.0/24")
"""Where the lab's own network has its hosts."""
LIMIT = 60.0
"""Seconds that any run may take."""
RULES = """\
alert http $EXTERNAL_NET any -> $HOME_NET any (msg:"LAB secret file"; http.uri; \
content:"/.env"; classtype:web-application-attack; sid:1;)
alert tcp $EXTERNAL_NET any -> $HOME_NET 22 (msg:"LAB ssh"; flags:S; sid:2;)
"""
SOURCES = str(Path(ai_suricata.__file__).parents[1])


@pytest.fixture(autouse=True)
def _suricata() -> None:
    """Skip without Suricata (fail in CI)."""
    program("suricata")


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """Return a file of two rules that look at who is at home."""
    path = tmp_path / "lab.rules"
    path.write_text(RULES)
    return path


def traffic() -> list[Packet]:
    """Return 100 seconds of a guesser, a port scanner and clients who read."""
    packets: list[Packet] = []
    for number in range(100):
        at = START + number
        packets += http(ATTACKER, 20000 + number, SERVER, f"/{number}/.env", at).packets
        packets += guess(30000 + number, at + 0.1).packets
        packets += Connection(SCANNER, 40000, SERVER, 1000 + number, at).refuse().packets
        if not number % 10:
            for place, client in enumerate(CLIENTS):
                packets += visit(client, 50000 + number, at + 2 * place).packets
    return sorted(packets)


def visit(client: str, port: int, at: float) -> Connection:
    """Return a visit: a page and what belongs to it, over one connection."""
    connection = Connection(client, port, SERVER, 80, at).open()
    for target, size in (("/index.html", 1200), ("/style.css", 700), ("/logo.png", 1300)):
        question = f"GET {target} HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: lab\r\n\r\n"
        answer = f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n" + size * "x"
        connection.exchange(question.encode("ascii"), answer.encode("ascii"))
    return connection.close()


def guess(port: int, at: float) -> Connection:
    """Return one guess of a password over SSH, as far as a stranger to the keys can see it."""
    session = Connection(ATTACKER, port, SERVER, 22, at).open()
    session.exchange(b"SSH-2.0-x\r\n", b"SSH-2.0-y\r\n")
    for _ in range(10):
        session.exchange(bytes(100), bytes(100))
    return session.close()


def folder_of(path: Path, packets: Sequence[Packet], parts: int = 4) -> Path:
    """Write a folder of captures, cut without regard to connections, changed in their order."""
    path.mkdir()
    size = -(-len(packets) // parts)
    for number in range(parts):
        part = packets[number * size : (number + 1) * size]
        # Names that sort the other way: the order is that of the change.
        file = write_pcap(path / f"capture-{parts - number}.pcap", part)
        os.utime(file, (part[0][0], part[0][0]))
    return path


def command(*words: object, **variables: str) -> subprocess.Popen[str]:
    """Start `ai-suricata`; `variables`: of its environment."""
    return subprocess.Popen(
        [sys.executable, "-m", "ai_suricata", *map(str, words)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": SOURCES, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def outcome(*words: object, **variables: str) -> tuple[int, str, str]:
    """Run `ai-suricata` to its end; return exit code, standard output and standard error."""
    process = command(*words, **variables)
    out, err = process.communicate(timeout=LIMIT)
    return process.returncode, out, err


Coarse = dict[str, tuple[str, str, int, int]]


def replayed(path: Path, *words: object) -> Coarse:
    """Return level, action, alerts and events by source of a replay that must end well.

    No more than that can be compared between two runs of Suricata, which order flows anew.
    """
    code, out, err = outcome("replay", "--format", "jsonl", *HOME, *words, path)
    assert (0, "") == (code, err)
    found = [json.loads(line) for line in out.splitlines()]
    return {v["ip"]: (v["level"], v["action"], v["alerts"], v["events"]) for v in found}


def without_file(text: str, path: Path) -> str:
    """Return the output without the field `file`, every other byte as it is."""
    field = f'"file":"{path}",'
    lines = text.splitlines(keepends=True)
    assert lines
    assert all(line.startswith("{" + field) for line in lines)
    return "".join(line.replace(field, "", 1) for line in lines)


def assert_same_verdicts(
    captures: Path, rules: Path, kept: Path, home: Sequence[str] = HOME
) -> str:
    """Check that a replay of captures and one of what Suricata wrote differ in no byte."""
    words = ("replay", "--format", "jsonl", *home)
    code, direct, err = outcome(*words, "--rules", rules, "--keep-eve", kept, captures)
    assert 0 == code, err
    assert "torn" not in err
    code, again, err = outcome(*words, kept)
    assert (0, "") == (code, err)

    expected, found = without_file(again, kept), without_file(direct, captures)
    assert expected == found
    return found


def events_of(kept: Path) -> list[dict[str, Any]]:
    """Return the records of an eve file."""
    return [json.loads(line) for line in kept.read_text().splitlines()]


# -- the same verdicts ----------------------------------------------------------------------------


def test_a_folder_of_captures_gives_the_verdicts_of_its_eve_json(
    tmp_path: Path, rules: Path
) -> None:
    """Byte for byte; attackers are told from clients, by flows and by alerts."""
    kept = tmp_path / "kept.json"
    text = assert_same_verdicts(folder_of(tmp_path / "pcaps", traffic()), rules, kept)
    found = {source["ip"]: source for source in map(json.loads, text.splitlines())}

    assert {
        ATTACKER: "BLOCK",
        SCANNER: "RATE_LIMIT",
        **dict.fromkeys(CLIENTS, "IGNORE"),
    } == {address: source["action"] for address, source in found.items()}
    assert (200, 0) == (found[ATTACKER]["alerts"], found[SCANNER]["alerts"])


def test_a_connection_that_crosses_captures_stays_one(tmp_path: Path, rules: Path) -> None:
    """Whatever the folder is cut into, its flows are those of the one capture."""
    whole = write_pcap(tmp_path / "whole.pcap", traffic())
    folder = folder_of(tmp_path / "pcaps", traffic(), parts=7)
    words = ("--rules", rules, "--keep-eve")
    expected = replayed(whole, *words, tmp_path / "whole.json")
    found = replayed(folder, *words, tmp_path / "parts.json")
    flows = [event for event in events_of(tmp_path / "parts.json") if "tcp" in event]

    assert expected == found
    assert 300 + 10 * len(CLIENTS) == len(
        [event for event in flows if event["event_type"] == "flow"]
    )


def test_real_traffic_that_was_captured_gives_the_verdicts_of_its_eve_json(
    tmp_path: Path, rules: Path
) -> None:
    """A scan and requests in a namespace, captured by tcpdump into a new file each second."""
    need_root("for namespaces")
    for tool in ("tcpdump", "nmap", "curl", "ip"):
        program(tool)
    captures = tmp_path / "captures"
    captures.mkdir()
    capture_real_traffic(captures, tmp_path)
    assert len(list(captures.iterdir())) >= 2

    text = assert_same_verdicts(captures, rules, tmp_path / "kept.json", REAL_HOME)
    found = {source["ip"]: source for source in map(json.loads, text.splitlines())}
    events = events_of(tmp_path / "kept.json")
    crossing = [event for event in events if event["src_ip"] == REAL_CLIENT]

    assert "port scan" in "".join(found[SCANNER]["reasons"])
    # The kernel leaves checksums to the card that is not there: Suricata must not mind.
    assert 20 == found[ATTACKER]["alerts"]
    assert ["flow"] == [event["event_type"] for event in crossing]


def capture_real_traffic(captures: Path, work: Path) -> None:
    """Scan, ask for secret files, and keep one connection open from one capture to the next."""
    with network(f"aisp-{os.getpid()}") as net:
        home = net.attach_home([REAL_SERVER])
        serve = [
            sys.executable,
            "-m",
            "http.server",
            "--bind",
            REAL_SERVER,
            "80",
            "-d",
            str(captures),
        ]
        names = (SCANNER, ATTACKER, REAL_CLIENT)
        scanner, attacker, client = (
            net.attach_strangers(f"s{number}", [f"{address}/32"])
            for number, address in enumerate(names)
        )
        sniff = ["tcpdump", "-i", ROUTER_LINK, "-n", "-U", "-Z", "root", "-G", "1"]
        sniff += ["-w", str(captures / "%s.pcap"), "tcp"]
        log = work / "tcpdump.log"
        with (
            running(inside(home, *serve), cwd=work, log=work / "http.log"),
            running(inside(net.router, *sniff), cwd=work, log=log) as tcpdump,
        ):
            wait_until(lambda: b"listening" in log.read_bytes(), limit=20, what="tcpdump")
            url = f"http://{REAL_SERVER}/"
            wait_until(lambda: _answers(scanner, url), limit=20, what="the web server")
            run(
                inside(scanner, "nmap", "-n", "-Pn", "-sS", "-p", "1000-1060", REAL_SERVER),
                timeout=LIMIT,
            )
            urls = [f"{url}{number}/.env" for number in range(20)]
            run(inside(attacker, "curl", "-s", "--no-keepalive", *urls))
            _cross(client, attacker, captures)
            end(tcpdump)


def _answers(namespace: str, url: str) -> bool:
    words = inside(namespace, "curl", "-s", "-o", "/dev/null", "-m", "2", url)
    return subprocess.run(words, check=False).returncode == 0


def _cross(namespace: str, other: str, captures: Path) -> None:
    """Keep one connection open, `other` asking for pages, until tcpdump begins another capture."""
    code = "import socket,sys;s=socket.create_connection((sys.argv[1],80));sys.stdin.readline()"
    words = inside(namespace, sys.executable, "-c", code, REAL_SERVER)
    with subprocess.Popen(words, stdin=subprocess.PIPE) as process:
        known = len(list(captures.iterdir()))

        def another() -> bool:
            _answers(other, f"http://{REAL_SERVER}/again")  # tcpdump turns on a packet only
            return len(list(captures.iterdir())) > known

        wait_until(another, limit=20, what="another capture")
        process.communicate(b"\n", timeout=20)


def test_every_format_by_any_name_gives_the_same_verdicts(tmp_path: Path, rules: Path) -> None:
    """The first bytes say what a file is, in either byte order."""
    packets = traffic()
    expected = replayed(write_pcap(tmp_path / "a.pcap", packets), "--rules", rules)

    for file in (
        write_pcap(tmp_path / "a.log", packets, order=">"),
        write_pcapng(tmp_path / "a.pcapng", packets),
        write_pcapng(tmp_path / "a.json", packets, order=">"),
    ):
        assert expected == replayed(file, "--rules", rules)


def test_a_model_of_captures_is_that_of_their_eve_json(tmp_path: Path, rules: Path) -> None:
    """The same events make the same model."""
    folder, kept = folder_of(tmp_path / "pcaps", traffic()), tmp_path / "kept.json"
    chosen = eve.settings(HOME_NET="10.0.0.0/8")
    suricata = Suricata(rules=rules, home_net=chosen.features.home_net)
    capture = look_at(folder)
    assert isinstance(capture, Capture)
    with PcapRun(capture, suricata, chosen.source) as run_:
        model = learn_batches(chosen, run_)
        run_.keep(kept)

    assert learn(chosen, [kept]).version == model.version


def test_train_takes_captures_as_replay_does(tmp_path: Path, rules: Path) -> None:
    """And makes no model of half of one."""
    capture, model = write_pcap(tmp_path / "a.pcap", traffic()), tmp_path / "model.zip"
    words = ("train", "-o", model, *HOME, "--rules", rules)
    code, out, err = outcome(*words, capture)
    assert (0, "") == (code, err)
    assert "feature vectors" in out
    assert model.exists()

    model.unlink()
    capture.write_bytes(capture.read_bytes()[:-5])
    code, _, err = outcome(*words, capture)
    assert 1 == code
    assert "was damaged" in err
    assert not model.exists()


# -- the operator's own Suricata ------------------------------------------------------------------

REMEMBERING = """\
alert http any any -> any any (msg:"LAB seen"; http.uri; dataset:set,seen,type string,state a.lst; \
noalert; sid:3;)
"""
HOSTILE = """\
%YAML 1.1
---
include: included.yaml
vars:
  address-groups: {{HOME_NET: "[192.0.2.0/24]", EXTERNAL_NET: "!$HOME_NET"}}
default-log-dir: {outside}
default-data-dir: {outside}
runmode: workers
run-as: {{user: nobody, group: nogroup}}
unix-command: {{enabled: yes, filename: {outside}/control}}
stats: {{enabled: yes, interval: 1}}
outputs:
  - fast: {{enabled: yes, filename: {outside}/fast.log}}
  - eve-log: {{enabled: yes, filetype: unix_stream, filename: {outside}/eve.sock, types: [stats]}}
  - stats: {{enabled: yes, filename: {outside}/stats.log}}
logging:
  outputs: [{{file: {{enabled: yes, filename: {outside}/suricata.log}}}}]
rule-files: [{rules}]
"""


def test_whatever_the_operators_yaml_says_of_outputs_is_not_done(
    tmp_path: Path, rules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rules and its includes hold; its outputs, its socket, its user and its mode do not.

    What its rules remember from packet to packet stays as it is, too.
    """
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o777)
    monkeypatch.chdir(outside)
    rules.write_text(RULES + REMEMBERING)
    config = tmp_path / "suricata.yaml"
    config.write_text(HOSTILE.format(outside=outside, rules=rules))
    (tmp_path / "included.yaml").write_text("%YAML 1.1\n---\nstream: {inline: no}\n")
    capture = write_pcap(tmp_path / "a.pcap", traffic())
    kept = tmp_path / "kept.json"
    expected = replayed(capture, "--rules", rules)

    assert expected == replayed(capture, "--suricata-config", config, "--keep-eve", kept)
    assert [] == list(outside.iterdir())
    assert {"alert", "flow", "http", "ssh"} == {e["event_type"] for e in events_of(kept)}


def test_who_is_at_home_for_us_is_so_for_its_rules(tmp_path: Path, rules: Path) -> None:
    """The rules look at connections from outside to HOME_NET."""
    capture = write_pcap(tmp_path / "a.pcap", traffic())
    alerts = []
    for network_ in ("10.0.0.0/8", "192.168.0.0/16,fd00::/8"):
        words = ("replay", "--format", "jsonl", "--home-net", network_, "--rules", rules, capture)
        code, out, _ = outcome(*words)
        assert 0 == code
        alerts.append(sum(json.loads(line)["alerts"] for line in out.splitlines()))

    assert [200, 0] == alerts


def test_rules_that_are_missing_or_bad_are_told(tmp_path: Path, rules: Path) -> None:
    """The verdicts stand, and what they lack is said."""
    capture = write_pcap(tmp_path / "a.pcap", traffic())
    none = tmp_path / "none.rules"
    none.write_text("alert what is this\n")
    code, out, err = outcome("replay", *HOME, "--rules", none, capture)
    assert (0, 2 + len(CLIENTS)) == (code, len(out.splitlines()))
    assert "can't use 1 of its rules" in err
    assert "Suricata has no rules, so there are no alerts" in err

    rules.write_text(RULES + "alert what is this\n")
    code, _, err = outcome("replay", *HOME, "--rules", rules, capture)
    assert 0 == code
    assert "can't use 1 of its rules" in err
    assert "no alerts" not in err


# -- what goes wrong ------------------------------------------------------------------------------


def test_a_capture_that_breaks_off_is_listed_and_told(tmp_path: Path, rules: Path) -> None:
    """Its writer was killed: what stands before counts, and the exit code says it is not all."""
    capture = write_pcap(tmp_path / "a.pcap", traffic())
    content = capture.read_bytes()
    capture.write_bytes(content[: len(content) // 2])
    code, out, err = outcome("replay", *HOME, "--rules", rules, capture)

    assert (1, 2 + len(CLIENTS)) == (code, len(out.splitlines()))
    assert f"ai-suricata: {capture} was damaged, and read only up to there: truncated" in err


def test_a_broken_capture_of_a_folder_is_told_by_its_name(tmp_path: Path, rules: Path) -> None:
    """The others are read."""
    folder = folder_of(tmp_path / "pcaps", traffic())
    content = (folder / "capture-2.pcap").read_bytes()
    stamp = (folder / "capture-2.pcap").stat().st_mtime
    (folder / "capture-2.pcap").write_bytes(content[:-3])
    os.utime(folder / "capture-2.pcap", (stamp, stamp))
    (folder / "begun.pcap").touch()
    code, out, err = outcome("replay", *HOME, "--rules", rules, folder)

    assert (1, 2 + len(CLIENTS)) == (code, len(out.splitlines()))
    assert f"{folder}/capture-2.pcap was damaged" in err
    assert "passed over, without a packet: begun.pcap" in err


def test_a_link_type_that_suricata_does_not_know_is_told_at_once(tmp_path: Path) -> None:
    """Suricata itself waits a minute for its dead thread; we don't."""
    capture = write_pcap(tmp_path / "a.pcap", traffic())
    content = bytearray(capture.read_bytes())
    content[20] = 147  # DLT_USER0
    capture.write_bytes(content)
    process = command("replay", *HOME, capture)
    out, err = process.communicate(timeout=30)

    assert (1, "") == (process.returncode, out)
    assert "Suricata can't read it" in err
    assert "147" in err


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_replay_that_is_stopped_leaves_nothing(tmp_path: Path, ending: signal.Signals) -> None:
    """Though Suricata heeds no signal just then; its folder is that of TMPDIR."""
    with paused(tmp_path) as (process, child):
        process.send_signal(ending)
        out, err = process.communicate(timeout=LIMIT)

        assert (1, "") == (process.returncode, out)
        assert "ai-suricata: stopped before the end; nothing is left behind" in err
        assert not Path(f"/proc/{child}").exists()
        assert [] == list((tmp_path / "tmp").iterdir())


def test_suricata_killed_from_outside_is_told(tmp_path: Path) -> None:
    """Half of a capture is no result."""
    with paused(tmp_path) as (process, child):
        os.kill(child, signal.SIGKILL)
        out, err = process.communicate(timeout=LIMIT)

        assert (1, "") == (process.returncode, out)
        assert "Suricata was ended by signal 9" in err
        assert [] == list((tmp_path / "tmp").iterdir())


@contextmanager
def paused(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Yield a replay whose Suricata stands still before the first packet, and its pid."""
    (tmp_path / "tmp").mkdir()
    folder = folder_of(tmp_path / "pcaps", traffic())
    os.mkfifo(tmp_path / "fifo.rules")  # it waits for somebody who writes rules
    words = ("replay", *HOME, "--rules", tmp_path / "fifo.rules", folder)
    process = command(*words, TMPDIR=str(tmp_path / "tmp"))
    try:
        wait_until(lambda: _has_spoken(tmp_path / "tmp"), limit=LIMIT, what="Suricata")
        child = _children(process.pid)[0]
        os.kill(child, signal.SIGSTOP)
        yield process, child
    finally:
        for left in _children(process.pid):
            os.kill(left, signal.SIGKILL)
        process.kill()
        process.communicate()


def _has_spoken(folder: Path) -> bool:
    return any(log.stat().st_size for log in folder.glob("ai-suricata-pcap-*/suricata.log"))


def _children(pid: int) -> list[int]:
    """Return the Suricata that this process runs, not the one that only tells its version."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    words = children.read_text().split() if children.exists() else []
    return [int(word) for word in words if _reads_captures(Path("/proc", word))]


def _reads_captures(process: Path) -> bool:
    try:
        return b"-r\0" in (process / "cmdline").read_bytes()
    except OSError:  # it has just ended
        return False


def test_no_room_for_what_suricata_writes_is_told(tmp_path: Path, rules: Path) -> None:
    """A full TMPDIR is an error, not a shorter list."""
    need_root("to mount a small file system")
    small = tmp_path / "small"
    small.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)])
    try:
        capture = write_pcap(tmp_path / "a.pcap", traffic())
        code, _, err = outcome("replay", *HOME, "--rules", rules, capture, TMPDIR=str(small))
        assert [] == list(small.iterdir())
    finally:
        run(["umount", str(small)])

    assert 1 == code
    assert f"there was no room in {small}" in err
