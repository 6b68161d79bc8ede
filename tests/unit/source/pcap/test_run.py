"""A run of Suricata over a capture, whatever Suricata does: it is a fake here.

The real one is in tests/integration/test_pcap.py.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from ipaddress import ip_network
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import pytest
from lab.capture import http, write_pcap

from ai_suricata.config.source import SourceSettings
from ai_suricata.source.pcap import suricata as pcap_suricata
from ai_suricata.source.pcap.capture import InputError
from ai_suricata.source.pcap.folder import Capture
from ai_suricata.source.pcap.progress import Progress, Step
from ai_suricata.source.pcap.run import PcapRun, SuricataError
from ai_suricata.source.pcap.suricata import Suricata
from fakes.suricata import FakeSuricata

if TYPE_CHECKING:
    from collections.abc import Callable

NEVER = 'wait_for("never")'


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSuricata:
    """Return a fake that is found on PATH, and keep temporary folders where they can be seen."""
    made = FakeSuricata(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{made.home}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)  # it remembers the first one
    (tmp_path / "tmp").mkdir()
    return made


@pytest.fixture
def capture(tmp_path: Path) -> Capture:
    """Return a capture of a few kilobytes."""
    packets = [
        p for n in range(20) for p in http("192.0.2.1", 1024 + n, "10.0.0.1", "/", n).packets
    ]
    path = write_pcap(tmp_path / "a.pcap", packets)
    return Capture(path, (path,))


def run_of(
    capture: Capture,
    suricata: Suricata | None = None,
    progress: Callable[[Progress], None] = lambda _progress: None,
    **changes: int,
) -> PcapRun:
    """Return a run that is not started; `changes`: of the settings of the source."""
    settings = SourceSettings(**changes)  # type: ignore[arg-type] # each has a field of its own
    return PcapRun(capture, suricata or Suricata(), settings, progress)


def lines_of(run: PcapRun) -> list[bytes]:
    """Run it to its end; return all lines."""
    with run:
        return [line for lines in run for line in lines]


def assert_nothing_left(tmp_path: Path, run: PcapRun) -> None:
    """Check that its process has ended and its folder is gone."""
    assert run.process.returncode is not None
    assert [] == list((tmp_path / "tmp").iterdir())


# -- what it hands out ----------------------------------------------------------------------------


def test_lines_are_handed_out_while_suricata_goes_on_writing(
    fake: FakeSuricata, capture: Capture, tmp_path: Path
) -> None:
    """Each once and in order, however it is written; the folder is gone afterwards."""
    fake.behave("""
eve.write(b'{"n":1}\\n{"n":2}\\n{"n"')
wait_for("more")
eve.write(b':3}\\n')
""")
    with run_of(capture) as run:
        batches = iter(run)
        first = next(batches)
        is_writing = run.process.poll() is None
        fake.allow("more")
        rest = [line for lines in batches for line in lines]

    assert ([b'{"n":1}', b'{"n":2}'], True, [b'{"n":3}']) == (first, is_writing, rest)
    assert_nothing_left(tmp_path, run)


def test_batches_are_bounded_and_what_is_too_long_is_counted(
    fake: FakeSuricata, capture: Capture
) -> None:
    """Much was written before the first look: it is read in parts."""
    fake.behave("""
eve.write(b"".join(b'{"n":%d}\\n' % n for n in range(20_000)))
eve.write(b"x" * 2000 + b"\\n" + b'{"n":"last"}\\n')
""")
    with run_of(capture, batch_size=700, max_line_bytes=1024) as run:
        run.process.wait()
        batches = list(run)
        rejected = run.rejected

    assert 700 == max(map(len, batches))
    assert [b'{"n":%d}' % n for n in range(20_000)] + [b'{"n":"last"}'] == [
        line for lines in batches for line in lines
    ]
    assert {"too_long": 1} == rejected


def test_a_batch_without_a_line_is_not_the_end(fake: FakeSuricata, capture: Capture) -> None:
    """Empty lines are no lines, and what stands behind them is."""
    fake.behave("eve.write(b'\\n' * 10 + b'{}\\n')")
    with run_of(capture, batch_size=2) as run:
        run.process.wait()
        assert [[b"{}"]] == list(run)


def test_what_suricata_wrote_can_be_kept(
    fake: FakeSuricata, capture: Capture, tmp_path: Path
) -> None:
    """Byte for byte; an older file is not overwritten."""
    text = b'{"n":1}\r\n\n{"n":2}\n'
    fake.behave(f"eve.write({text!r})")
    with run_of(capture) as run:
        found = [line for lines in run for line in lines]
        run.keep(tmp_path / "kept.json")
        with pytest.raises(FileExistsError):
            run.keep(tmp_path / "kept.json")

    assert [b'{"n":1}', b'{"n":2}'] == found
    assert text == (tmp_path / "kept.json").read_bytes()


def test_half_of_what_suricata_wrote_is_not_kept(
    fake: FakeSuricata, capture: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full: there is no file that looks like the whole."""

    def fill(_source: object, target: BinaryIO) -> None:
        target.write(b"{}")
        raise OSError(errno.ENOSPC, "No space left on device")

    fake.behave("eve.write(b'{}\\n' * 10)")
    monkeypatch.setattr(shutil, "copyfileobj", fill)
    with run_of(capture) as run:
        list(run)
        with pytest.raises(OSError, match="No space"):
            run.keep(tmp_path / "kept.json")
    assert not (tmp_path / "kept.json").exists()


def test_progress_tells_the_steps_and_the_bytes_of_the_capture(
    fake: FakeSuricata, capture: Capture
) -> None:
    """Rules first, then where Suricata stands in the captures, then where we stand."""
    fake.behave("""
wait_for("loaded")
file = open(capture, "rb", buffering=0)
file.read(1000)
wait_for("half")
file.read()
wait_for("read")
file.close()
(home / "closed").touch()
wait_for("end")
eve.write(b"{}\\n")
""")
    told: list[Progress] = []
    closed: list[Progress] = []

    def tell(progress: Progress) -> None:
        told.append(progress)
        allowed = {0: "loaded", 1000: "half", capture.bytes: "read"}.get(progress.done)
        if allowed:
            fake.allow(allowed)
        if (fake.home / "closed").exists():
            closed.append(progress)
        if len(closed) > 1:  # the second one has been looked for after that
            fake.allow("end")

    assert [b"{}"] == lines_of(run_of(capture, progress=tell))
    assert [
        Progress(Step.LOADING),
        Progress(Step.READING, 1000, capture.bytes),
        Progress(Step.READING, capture.bytes, capture.bytes),
        Progress(Step.ANALYSING, 3, 3),
    ] == [progress for progress, _ in groupby(told)]


def test_progress_in_a_folder_goes_on_from_capture_to_capture(
    fake: FakeSuricata, capture: Capture, tmp_path: Path
) -> None:
    """The captures that come before count whole."""
    other = write_pcap(tmp_path / "b.pcap", http("192.0.2.1", 1024, "10.0.0.1", "/", 0).packets)
    both = Capture(tmp_path, (capture.path, other))
    fake.behave(f"file = open({str(other)!r}, 'rb', buffering=0)\nfile.read(10)\nwait_for('go')")
    told: list[Progress] = []

    def tell(progress: Progress) -> None:
        told.append(progress)
        if progress.done:
            fake.allow("go")

    lines_of(run_of(both, progress=tell))
    assert Progress(Step.READING, capture.bytes + 10, both.bytes) in told


# -- how it ends badly ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ('say("Error", "no such rule"); sys.exit(3)', r"ended with 3: no such rule"),
        ('print("E: conf-yaml-loader: no such file"); sys.exit(1)', "ended with 1: no such file"),
        ('sys.exit("something odd")', r"ended with 1: something odd"),
        ("sys.exit(1)", "ended with 1: it said nothing"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "was ended by signal 11"),
        ("""eve.write(b'{}\\n{"cut')""", "there was no room in .* let TMPDIR name another"),
    ],
)
def test_a_run_that_fails_is_an_error_with_its_last_words(
    fake: FakeSuricata, capture: Capture, tmp_path: Path, body: str, text: str
) -> None:
    """Whatever it has written by then is not the whole."""
    fake.behave(body)
    run = run_of(capture)
    with pytest.raises(SuricataError, match=text):
        lines_of(run)
    assert_nothing_left(tmp_path, run)


def test_only_the_last_errors_are_told(fake: FakeSuricata, capture: Capture) -> None:
    """Of hundreds."""
    fake.behave('[say("Error", f"bad {n}.") for n in range(500)]; sys.exit(1)')
    with pytest.raises(SuricataError) as error:
        lines_of(run_of(capture))

    assert "Suricata ended with 1: bad 497.; bad 498.; bad 499." == str(error.value)


def test_a_suricata_that_waits_for_its_dead_thread_is_ended(
    fake: FakeSuricata, capture: Capture, tmp_path: Path
) -> None:
    """It would wait for a minute, and then fail all the same."""
    fake.behave(f"""
say("Error", "datalink type 147 not (yet) supported")
say("Error", "pcap file reader thread failed to initialize")
{NEVER}
""")
    run = run_of(capture)
    with pytest.raises(SuricataError, match="can't read it: datalink type 147"):
        lines_of(run)
    assert -15 == run.process.returncode
    assert_nothing_left(tmp_path, run)


def interrupt(run: PcapRun, last: bytes) -> None:
    """Run it, and raise what ^C raises once this line has been handed out."""
    with run:
        for lines in run:
            if last in lines:
                raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("ready", "code"),
    [("", -15), ("signal.signal(15, signal.SIG_IGN)", -9)],
    ids=["heeds SIGTERM", "does not"],
)
def test_leaving_a_run_ends_suricata(
    fake: FakeSuricata, capture: Capture, tmp_path: Path, ready: str, code: int
) -> None:
    """As ^C does, at any moment: asked first, then by force."""
    last = b"{}"
    fake.behave(f"{ready}\neve.write({last!r} + b'\\n')\n{NEVER}")
    run = run_of(capture)
    with pytest.raises(KeyboardInterrupt):
        interrupt(run, last)

    assert code == run.process.returncode
    assert_nothing_left(tmp_path, run)


def test_a_suricata_that_can_not_be_started_leaves_nothing(
    fake: FakeSuricata, capture: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was there when it was looked for."""
    monkeypatch.setenv("PATH", str(fake.home))
    (fake.home / "suricata").write_text("#!/nonexistent\n")
    with pytest.raises(OSError, match="suricata"), run_of(capture):
        pytest.fail("it was started")
    assert [] == list((tmp_path / "tmp").iterdir())


# -- how Suricata is called -----------------------------------------------------------------------


def option(words: list[str], name: str) -> str:
    """Return the word behind an option."""
    return words[words.index(name) + 1]


def test_the_command_has_absolute_paths_and_our_home_networks(
    fake: FakeSuricata, capture: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path that begins with a dash is no option then."""
    monkeypatch.chdir(tmp_path)
    Path("-c.yaml").touch()
    Path("-x.rules").touch()
    home = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    suricata = Suricata(Path("-c.yaml"), Path("-x.rules"), home)
    relative = Capture(Path("a.pcap"), capture.files)
    lines_of(run_of(relative, suricata))
    words = fake.words

    assert [str(tmp_path / name) for name in ("-c.yaml", "-x.rules", "a.pcap")] == [
        option(words, name) for name in ("-c", "-S", "-r")
    ]
    assert "vars.address-groups.HOME_NET=[10.0.0.0/8,fd00::/8]" == option(words, "--set")
    assert ("single", "none") == (option(words, "--runmode"), option(words, "-k"))
    assert option(words, "--include").startswith(f"{option(words, '-l')}/")


@pytest.mark.parametrize("exists", [True, False])
def test_the_systems_own_yaml_is_taken_where_there_is_one(
    fake: FakeSuricata,
    capture: Capture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    exists: bool,  # noqa: FBT001 - parametrised
) -> None:
    """Without one, Suricata gets the variables that published rules refer to."""
    system = tmp_path / "suricata.yaml"
    monkeypatch.setattr(pcap_suricata, "DEFAULT_CONFIG", system)
    if exists:
        system.touch()
    fake.behave("""
text = pathlib.Path(sys.argv[sys.argv.index("-c") + 1]).read_text()
eve.write(json.dumps(["HTTP_SERVERS" in text]).encode() + b"\\n")
""")
    lines = lines_of(run_of(capture))

    assert [exists, not exists] == [option(fake.words, "-c") == str(system), *json.loads(lines[0])]
    assert ["-S" in fake.words, "--set" in fake.words] == [False, False]


# -- whether it can be run ------------------------------------------------------------------------


def test_a_suricata_of_today_and_files_that_are_there_are_well(
    fake: FakeSuricata, tmp_path: Path
) -> None:
    """The next major version as well."""
    (tmp_path / "x").touch()
    Suricata(tmp_path / "x", tmp_path / "x").check()
    fake.behave(version="This is Suricata version 10.0.0-dev (1a2b3c 2031-01-01)")
    Suricata().check()


@pytest.mark.parametrize(
    ("version", "text"),
    [
        ("This is Suricata version 6.0.10 RELEASE", "6.0 is too old .* install 7.0 or later"),
        ("hello", "does not tell a version"),
    ],
)
def test_a_suricata_that_does_not_suit_is_told(fake: FakeSuricata, version: str, text: str) -> None:
    """With the remedy, before anything is started."""
    fake.behave(version=version)
    with pytest.raises(InputError, match=text):
        Suricata().check()


def test_no_suricata_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With the remedy."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="not installed: install suricata"):
        Suricata().check()


@pytest.mark.usefixtures("fake")
def test_files_that_are_missing_are_told(tmp_path: Path) -> None:
    """By their names; Suricata itself would go on without the rules."""
    with pytest.raises(InputError, match=r"no.yaml does not exist"):
        Suricata(config=tmp_path / "no.yaml").check()
    with pytest.raises(InputError, match=r"no.rules does not exist"):
        Suricata(rules=tmp_path / "no.rules").check()
