"""The real Suricata on a live network of the test's own, into each of our sources.

Traffic is real: requests for pages, each by a connection of its own and with a name of its own, so
that it is known what Suricata must have written.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest
from lab import suricata
from lab.network import ROUTER_LINK, inside, network
from lab.process import run, running, wait_until
from redis import Redis

import ai_suricata
from ai_suricata.config.settings import RedisSettings
from ai_suricata.config.source import SourceSettings
from ai_suricata.source.file.tail import Tail
from ai_suricata.source.redis.input import RedisInput
from ai_suricata.source.socket.receiver import Socket
from fakes.privilege import need_root
from fakes.redis_process import program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ai_suricata.source.base import Source

pytestmark = pytest.mark.system
SERVER, CLIENT = "192.0.2.5", "203.0.113.9"
LIMIT = 30.0
"""Seconds that anything may take."""
SOME = 20
"""Requests of one round."""


class Site:
    """A web server at home and a client outside, with Suricata's place between them."""

    def __init__(self, router: str, client: str) -> None:
        """`router` and `client`: their namespaces."""
        self.router = router
        self.asked: list[str] = []
        """The pages that were asked for, each once."""
        self._client = client

    def ask(self, count: int = SOME) -> list[str]:
        """Ask for so many pages, each by its own connection; return their names."""
        pages = [f"/page-{len(self.asked) + number}" for number in range(count)]
        self.asked += pages
        urls = [f"http://{SERVER}{page}" for page in pages]
        run(inside(self._client, "curl", "-s", "-m", "5", *urls))
        return pages

    @contextmanager
    def watched(self, tmp_path: Path, eve: str) -> Iterator[subprocess.Popen[bytes]]:
        """Let Suricata watch, with this destination of its events; yield its process."""
        self.asked = []
        out, work = tmp_path / "out", tmp_path / "work"
        for folder in (out, work):
            folder.mkdir()
        sensor = suricata.Sensor(
            self.router, ROUTER_LINK, ["192.0.2.0/24"], out, work, rules=None, eve=eve
        )
        with suricata.listening(sensor, self._probe) as process:
            yield process

    def _probe(self) -> None:
        self.ask(1)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Make the network, which is taken down after the last test; skip where that can't be."""
    need_root("for namespaces")
    for tool in ("suricata", "ip", "curl"):
        program(tool)
    work = tmp_path_factory.mktemp("site")
    with network(f"aisv-{os.getpid()}") as net:
        home = net.attach_home([SERVER])
        client = net.attach_strangers("client", [f"{CLIENT}/32"])
        # HTTP/1.0: the server ends each connection after one page.
        serve = [sys.executable, "-m", "http.server", "--bind", SERVER, "80", "-d", str(work)]
        with running(inside(home, *serve), cwd=work, log=work / "http.log"):
            listens = inside(home, "ss", "-Hltn", "sport = :80")
            wait_until(lambda: bool(run(listens)), limit=LIMIT, what="the web server")
            yield Site(net.router, client)


class Collector:
    """Reads a source in a thread, as the daemon does, until it is stopped."""

    def __init__(self, make: Callable[[], Source]) -> None:
        """`make`: makes the source, in the thread."""
        self.lines: list[bytes] = []
        self._make = make
        self._ready = threading.Event()
        self._threads = ThreadPoolExecutor(1)

    def __enter__(self) -> Self:
        self._reading = self._threads.submit(lambda: asyncio.run(self._read()))
        wait_until(self._has_begun, limit=LIMIT, what="the source")
        return self

    def __exit__(self, *_: object) -> None:
        """Stop; whatever the source raised is raised."""
        self._loop.call_soon_threadsafe(self.source.stop)
        self._reading.result(LIMIT)
        self._threads.shutdown()

    def events(self, kind: str) -> list[dict[str, Any]]:
        """Return what has come of one type."""
        return [
            event for event in map(json.loads, tuple(self.lines)) if event["event_type"] == kind
        ]

    def pages(self) -> list[str]:
        """Return the pages that were asked for, as HTTP records tell them."""
        return [event["http"]["url"] for event in self.events("http")]

    def has(self, pages: Sequence[str]) -> bool:
        """Whether there is a record of each of these pages."""
        return set(pages) <= set(self.pages())

    def _has_begun(self) -> bool:
        return self._ready.is_set() or self._reading.done()

    async def _read(self) -> None:
        self.source, self._loop = self._make(), asyncio.get_running_loop()
        self._loop.call_soon(self._ready.set)  # once `batches` has begun to wait
        async for batch in self.source.batches():
            self.lines += batch.lines
            self.source.stored(batch.position)


def settings_for(**values: Any) -> SourceSettings:  # noqa: ANN401 - fields of SourceSettings
    """Return settings of a source."""
    return SourceSettings(**values)


# -- a file that is rotated -----------------------------------------------------------------------


@contextmanager
def steady(site: Site) -> Iterator[None]:
    """Let traffic go on, from one page to the next."""
    stopping = threading.Event()

    def ask() -> None:
        while not stopping.is_set():
            site.ask(2)
            stopping.wait(0.02)

    with ThreadPoolExecutor(1) as threads:
        asking = threads.submit(ask)
        try:
            yield
        finally:
            stopping.set()
            asking.result(LIMIT)


def lines_in(path: Path) -> list[bytes]:
    """Return the lines of a file, gzip'd or not."""
    content = path.read_bytes()
    return (gzip.decompress(content) if path.suffix == ".gz" else content).splitlines()


def rotate(path: Path, process: subprocess.Popen[bytes]) -> Path:
    """Do as logrotate does, in the midst of traffic; return the file under its new name."""
    older = path.with_name("eve.json.1")
    if older.exists():
        older.rename(path.with_name("eve.json.2"))
    path.rename(older)
    size = older.stat().st_size
    wait_until(lambda: older.stat().st_size > size, limit=LIMIT, what="Suricata to write on")
    process.send_signal(signal.SIGHUP)
    wait_until(path.exists, limit=LIMIT, what="Suricata to begin a new file")
    return older


def compress(path: Path) -> None:
    """Do as logrotate does without `delaycompress`, and as gzip(1) does: then the file is gone."""
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


def test_each_line_of_a_file_that_is_rotated_comes_once_and_in_order(
    site: Site, tmp_path: Path
) -> None:
    """Renamed twice while Suricata writes on; the second is gzip'd as soon as it is finished."""
    path = tmp_path / "out" / "eve.json"
    make = settings_for(paths=(str(path),), start="beginning", rotation_grace=1.0)
    with Collector(lambda: Tail(make)) as tail:
        with site.watched(tmp_path, suricata.REGULAR) as process:
            with steady(site):
                rotate(path, process)
                wait_until(lambda: path.stat().st_size > 20_000, limit=LIMIT, what="more lines")
                compress(rotate(path, process))
                wait_until(lambda: path.stat().st_size > 20_000, limit=LIMIT, what="more lines")
            wait_until(lambda: tail.has(site.asked), limit=LIMIT, what="a record of each page")
        files = [lines_in(path.with_name(n)) for n in ("eve.json.2", "eve.json.1.gz", "eve.json")]
        written = [line for lines in files for line in lines]
        wait_until(lambda: len(tail.lines) >= len(written), limit=LIMIT, what="the last lines")
        rotations = tail.source.rotations

    assert all(files)
    assert Counter(written) == Counter(tail.lines)
    for lines in files:
        own = set(lines)
        assert lines == [line for line in tail.lines if line in own]
    assert Counter(site.asked) == Counter(tail.pages())
    assert 2 == rotations


# -- a socket -------------------------------------------------------------------------------------


def watched_by_socket(path: Path, kind: str) -> str:
    """Return the destination of the eve-log."""
    filetype = {"stream": "unix_stream", "datagram": "unix_dgram"}[kind]
    return f"filetype: {filetype}\n      filename: {path}"


@pytest.mark.parametrize("kind", ["stream", "datagram"])
def test_suricata_writes_into_our_socket_and_comes_back_to_it(
    site: Site, tmp_path: Path, kind: str
) -> None:
    """Each record comes once; the listener is restarted while Suricata goes on.

    One page at a time: where the kernel's queue of datagrams is 10 long, Suricata itself drops what
    it writes in one go.
    """
    path = tmp_path / "eve.sock"
    made = settings_for(eve_source="socket", socket_path=path, socket_type=kind)
    first, second = Collector(lambda: Socket(made)), Collector(lambda: Socket(made))
    with ExitStack() as stack:
        with first:
            stack.enter_context(site.watched(tmp_path, watched_by_socket(path, kind)))
            early = [ask_and_see(site, first) for _ in range(SOME)]
        with second:
            wait_until(lambda: _reaches(site, second), limit=LIMIT, what="Suricata to come back")
            late = [ask_and_see(site, second) for _ in range(SOME)]

    assert Counter(early) == Counter(page for page in first.pages() if page in early)
    assert Counter(late) == Counter(page for page in second.pages() if page in late)
    assert not set(first.pages()) & set(second.pages())
    assert {1} == set(Counter(first.lines + second.lines).values())


def ask_and_see(site: Site, collector: Collector) -> str:
    """Ask for a page, and wait for Suricata's record of it."""
    pages = site.ask(1)
    wait_until(lambda: collector.has(pages), limit=LIMIT, what=f"a record of {pages[0]}")
    return pages[0]


def test_all_that_suricata_counts_comes_over_a_stream(site: Site, tmp_path: Path) -> None:
    """Its last statistics are there, and a flow and a request for each connection that they count.

    Both are written in one go when it ends.
    """
    path = tmp_path / "eve.sock"
    made = settings_for(eve_source="socket", socket_path=path)
    with Collector(lambda: Socket(made)) as collector:
        with site.watched(tmp_path, watched_by_socket(path, "stream")):
            pages = site.ask(2 * SOME)
            wait_until(lambda: collector.has(pages), limit=LIMIT, what="records")
        wait_until(lambda: _last_statistics(collector) > 0, limit=LIMIT, what="the statistics")
    ports = Counter(flow["src_port"] for flow in collector.events("flow") if "tcp" in flow)

    assert len(site.asked) == _last_statistics(collector)
    assert Counter(site.asked) == Counter(collector.pages())
    assert {event["src_port"]: 1 for event in collector.events("http")} == ports


def _reaches(site: Site, collector: Collector) -> bool:
    """Ask for one page more; return whether anything has come."""
    site.ask(1)
    return bool(collector.lines)


def _last_statistics(collector: Collector) -> int:
    """Return how many requests Suricata says that it has seen, by its latest statistics."""
    stats = collector.events("stats")
    return int(stats[-1]["stats"]["app_layer"]["tx"]["http"]) if stats else 0


# -- Redis ----------------------------------------------------------------------------------------

READER = """\
import asyncio, json, os, sys
from pathlib import Path
from ai_suricata.config.settings import RedisSettings
from ai_suricata.config.source import SourceSettings
from ai_suricata.source.redis.input import RedisInput

path, url, mode = Path(sys.argv[1]), *sys.argv[2:]
whole, _, broken = path.read_bytes().rpartition(b"\\n")
path.write_bytes(whole + b"\\n" if whole else b"")
known = json.loads(whole.splitlines()[-1])["position"] if whole else {}
position = {name: tuple(places) for name, places in known.items()}

async def read():
    settings = SourceSettings(eve_source="redis", redis_mode=mode, redis_url=url, batch_size=7)
    source = RedisInput(settings, RedisSettings(), position, "reader")
    with path.open("ab") as file:
        async for batch in source.batches():
            record = {"position": batch.position, "lines": [line.decode() for line in batch.lines]}
            file.write(json.dumps(record).encode() + b"\\n")
            file.flush()
            os.fsync(file.fileno())
            source.stored(batch.position)

asyncio.run(read())
"""
"""A reader that stores lines and position as one; after a kill it goes on behind what is stored."""


@contextmanager
def redis_server(site: Site, tmp_path: Path) -> Iterator[str]:
    """Run Redis where Suricata reaches it by TCP, and we by a socket; yield its URL for us."""
    server = program("redis-server")
    path = tmp_path / "redis.sock"
    words = [str(server), "--bind", "127.0.0.1", "--port", "6379", "--unixsocket", str(path)]
    words += ["--save", "", "--dir", str(tmp_path)]
    with running(inside(site.router, *words), cwd=tmp_path, log=tmp_path / "redis.log"):
        wait_until(path.exists, limit=LIMIT, what="Redis")
        yield f"unix://{path}"


def to_redis(mode: str) -> str:
    """Return the destination of the eve-log."""
    inner = f"server: 127.0.0.1, port: 6379, mode: {mode}, key: suricata"
    return f"filetype: redis\n      redis: {{{inner}}}"


class Reader:
    """The reader above as a process that can be killed."""

    def __init__(self, path: Path, url: str, mode: str) -> None:
        """`path`: where it stores what it has read."""
        self._path = path
        self._words = (str(path), url, mode)
        path.touch()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run it; it is killed at the end, whatever it does just then."""
        environment = {**os.environ, "PYTHONPATH": str(Path(ai_suricata.__file__).parents[1])}
        process = subprocess.Popen(
            [sys.executable, "-c", READER, *self._words],
            env=environment,
            stdin=subprocess.DEVNULL,
        )
        try:
            yield
            assert process.poll() is None
        finally:
            process.kill()
            process.wait()

    def events(self, kind: str) -> list[dict[str, Any]]:
        """Return what is stored of one type, in order."""
        whole = self._path.read_bytes().rpartition(b"\n")[0].splitlines()
        lines = [line for record in whole for line in json.loads(record)["lines"]]
        return [event for event in map(json.loads, lines) if event["event_type"] == kind]

    def pages(self) -> list[str]:
        """Return the pages that were asked for, as HTTP records tell them."""
        return [event["http"]["url"] for event in self.events("http")]

    def has(self, pages: Sequence[str]) -> bool:
        """Whether there is a record of each of these pages."""
        return set(pages) <= set(self.pages())


@pytest.mark.parametrize("mode", ["list", "rpush"])
def test_each_record_in_a_redis_list_is_counted_once_though_the_reader_is_killed(
    site: Site, tmp_path: Path, mode: str
) -> None:
    """SIGKILL in the midst of reading; what Suricata writes meanwhile waits in the list.

    The flows, most of which it writes when it ends, wait there for the last reader.
    """
    with redis_server(site, tmp_path) as url:
        reader = Reader(tmp_path / "stored.jsonl", url, mode)
        client = Redis.from_url(url)
        with site.watched(tmp_path, to_redis(mode)):
            with reader.running():
                site.ask()
                wait_until(lambda: bool(reader.events("http")), limit=LIMIT, what="a record")
            site.ask()
            wait_until(lambda: int(client.llen("suricata")) > 0, limit=LIMIT, what="a backlog")
            known = len(reader.pages())
            with reader.running():
                site.ask()
                wait_until(lambda: len(reader.pages()) > known, limit=LIMIT, what="some of it")
            with reader.running():
                wait_until(lambda: reader.has(site.asked), limit=LIMIT, what="all requests")
        with reader.running():
            wait_until(lambda: not client.exists("suricata"), limit=LIMIT, what="an empty list")
        client.close()
    flows, ports = reader.events("flow"), Counter[int]()
    ports.update(flow["src_port"] for flow in flows if flow.get("dest_port") == 80)

    assert Counter(site.asked) == Counter(reader.pages())
    assert (len(site.asked), {1}) == (len(ports), set(ports.values()))
    assert {1} == set(Counter(flow["flow_id"] for flow in flows).values())


def test_a_redis_channel_is_heard(site: Site, tmp_path: Path) -> None:
    """Each record once, as long as somebody listens; a later listener hears what comes later."""
    with redis_server(site, tmp_path) as url:
        made = settings_for(eve_source="redis", redis_mode="channel", redis_url=url)
        collectors = [
            Collector(lambda: RedisInput(made, RedisSettings(), None, "reader")) for _ in range(2)
        ]
        client = Redis.from_url(url)
        rounds = []
        with site.watched(tmp_path, to_redis("channel")):
            for collector in collectors:
                with collector:
                    wait_until(lambda: _listeners(client) == 1, limit=LIMIT, what="to subscribe")
                    rounds.append(site.ask())
                    wait_until(lambda: collector.has(rounds[-1]), limit=LIMIT, what="records")  # noqa: B023 - called at once
                wait_until(lambda: _listeners(client) == 0, limit=LIMIT, what="to unsubscribe")
        client.close()

    for collector, pages in zip(collectors, rounds, strict=True):
        assert Counter(pages) == Counter(page for page in collector.pages() if page in pages)


def _listeners(client: Redis) -> int:
    return int(client.pubsub_numsub("suricata")[0][1])
