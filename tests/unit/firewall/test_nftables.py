"""nft as a process: what it does to be no danger, whatever it does. The real one is elsewhere."""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import os
import signal
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uvloop

from ai_suricata.config.firewall import FirewallSettings
from ai_suricata.core.decision import Table
from ai_suricata.core.errors import FirewallRefusedError, FirewallUnreachableError
from ai_suricata.firewall import nft, nftables
from ai_suricata.firewall.nftables import Nftables
from ai_suricata.firewall.ruleset import set_names

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from ai_suricata.core.address import Target
    from ai_suricata.firewall.base import Sent

ATTACKER = ip_address("203.0.113.7")
LIMIT = 30.0
"""Seconds that anything may take."""
EMPTY = json.dumps(
    {
        "nftables": [
            {"table": {"name": "ai_suricata"}},
            *({"set": {"name": name}} for table in Table for name in set_names(table)),
        ]
    }
)


def on_both_loops(test: Callable[..., Coroutine[None, None, None]]) -> Callable[..., None]:
    """Let a test run on asyncio's loop and on uvloop, the daemon's: each feeds a child its own way.

    Its fixtures have to be made without a loop.
    """

    @functools.wraps(test)
    def run(make_loop: Callable[[], asyncio.AbstractEventLoop], **fixtures: object) -> None:
        with asyncio.Runner(loop_factory=make_loop) as runner:
            runner.run(test(**fixtures))

    asked = inspect.signature(test)
    loop = inspect.Parameter("make_loop", inspect.Parameter.KEYWORD_ONLY)
    made = [*asked.parameters.values(), loop]
    run.__signature__ = asked.replace(parameters=made)  # type: ignore[attr-defined] # pytest reads it
    both = [asyncio.new_event_loop, uvloop.new_event_loop]
    marked: Callable[..., None] = pytest.mark.parametrize(
        "make_loop", both, ids=["asyncio", "uvloop"]
    )(run)
    return marked


def backend(
    script: str, sent: list[Sent] | None = None, *words: str, timeout: float = LIMIT
) -> Nftables:
    """Return a backend whose nft is a Python script."""
    program: Sequence[str] = words or (sys.executable, "-S", "-c", script)
    observe = None if sent is None else sent.append
    return Nftables(FirewallSettings(command_timeout=timeout), observe, program=program)


def is_running(pid: int) -> bool:
    """Say whether there is a process of this id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def written(path: Path) -> str:
    """Wait for a file that has a whole line; return its text."""
    async with asyncio.timeout(LIMIT):
        while not path.exists() or not path.read_text().endswith("\n"):
            await asyncio.sleep(0.01)
    return path.read_text()


@on_both_loops
async def test_nft_gets_fixed_words_and_no_environment_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it is to do goes over standard input; our passwords are not its business."""
    monkeypatch.setenv("REDIS_PASSWORD", "secret")
    seen = tmp_path / "seen"
    script = (
        "import json, os, sys\n"
        f"open({str(seen)!r}, 'w').write(json.dumps([sys.argv[1:], dict(os.environ)]))\n"
        f"assert json.load(sys.stdin)['nftables'][0]['list']['table']['name'] == 'ai_suricata'\n"
        f"print({EMPTY!r})"
    )

    assert set() == await backend(script).entries(Table.BLOCK)

    words, environment = json.loads(seen.read_text())
    assert ["-j", "-f", "-"] == words
    assert environment["LC_ALL"] == "C"
    assert "secret" not in environment.values()


@on_both_loops
async def test_a_hang_is_ended_and_told(tmp_path: Path) -> None:
    """The process is gone, and whether it did what it was told is said to be unknown."""
    sent: list[Sent] = []
    seen = tmp_path / "pid"
    words = ("sh", "-c", f"echo $$ > '{seen}'; exec sleep 30")

    with pytest.raises(FirewallUnreachableError, match="in 1 seconds, which PFSENSE_TIMEOUT sets"):
        await backend("", sent, *words, timeout=1).open()

    assert not is_running(int(await written(seen)))
    assert [("show", "unreachable")] == [(each.label, each.result) for each in sent]
    assert sent[0].seconds >= 1


@on_both_loops
async def test_a_call_that_is_cancelled_leaves_no_process(tmp_path: Path) -> None:
    """A daemon that stops does not leave half a transaction behind."""
    seen = tmp_path / "pid"
    script = (
        f"import os, signal\nprint(os.getpid(), file=open({str(seen)!r}, 'w'), flush=True)\n"
        "signal.pause()"
    )
    task = asyncio.create_task(backend(script).open())
    pid = int(await written(seen))

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert not is_running(pid)


@on_both_loops
async def test_a_process_that_is_killed_is_unreachable() -> None:
    """Nobody knows how far it came: the caller tries again."""
    script = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"

    with pytest.raises(FirewallUnreachableError, match=f"signal {signal.SIGKILL.value} at `show`"):
        await backend(script).open()


@pytest.mark.parametrize("word", ["/nonexistent/nft", str(Path(__file__).parent)])
@on_both_loops
async def test_without_nft_the_package_is_named(word: str) -> None:
    """Missing, or nothing that can be run."""
    sent: list[Sent] = []

    with pytest.raises(FirewallRefusedError, match="install the package nftables"):
        await backend("", sent, word).open()

    assert ["refused"] == [each.result for each in sent]


@on_both_loops
async def test_an_answer_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded whatever is said, and the process ends all the same."""
    monkeypatch.setattr(nftables, "_LARGEST", 1000)
    kept = len(EMPTY.encode())
    assert kept <= 1000

    with pytest.raises(FirewallRefusedError, match="more than 1000 bytes"):
        await backend("print('x' * 5_000_000)").open()
    with pytest.raises(FirewallRefusedError, match="more than 1000 bytes"):
        await backend("import sys; sys.stderr.write('x' * 5_000_000)").open()
    await backend(f"print({EMPTY!r} + ' ' * {1000 - kept - 1})").open()


@on_both_loops
async def test_a_process_that_does_not_listen_is_heard() -> None:
    """It ends before it has read all: its own words say why, not the broken pipe."""
    script = "import os\nos.close(0)\nos.write(2, b'Operation not permitted')\nos._exit(1)"
    many: dict[Target, float] = {ip_address(number): 60.0 for number in range(1, 4000)}
    answering = (
        "import os, sys\n"
        "if 'list' in os.read(0, 100).decode():\n"
        f"    print({EMPTY!r}); sys.exit()\n" + script
    )

    sent: list[Sent] = []

    with pytest.raises(FirewallRefusedError, match="CAP_NET_ADMIN"):
        await backend(answering, sent).add(Table.BLOCK, many)

    told = [(each.label, each.addresses, each.result) for each in sent]
    assert [("show", 0, "ok"), ("add", len(many), "refused")] == told


@on_both_loops
async def test_its_input_can_be_opened_anew() -> None:
    """As nft opens `/dev/stdin` for `-f -`: a socket, which a loop may give, does not allow it."""
    sent: list[Sent] = []
    many: dict[Target, float] = {ip_address(number): 60.0 for number in range(nft.CHUNK)}
    script = (
        "import json\n"
        "[first, *_] = json.load(open('/dev/stdin'))['nftables']\n"
        f"print({EMPTY!r}) if 'list' in first else None\n"
        f"assert 'list' in first or len(first['add']['element']['elem']) == {nft.CHUNK}"
    )

    await backend(script, sent).add(Table.BLOCK, many)

    assert [("show", "ok"), ("add", "ok")] == [(each.label, each.result) for each in sent]


@pytest.mark.parametrize("answer", ["", "garbage", "\\xff\\xfe", "{"])
@on_both_loops
async def test_an_answer_that_is_none_is_refused(answer: str) -> None:
    """Exit code 0 from a program that is not nft is no proof."""
    sent: list[Sent] = []
    script = f"import sys; sys.stdout.buffer.write(b'{answer}')"

    with pytest.raises(FirewallRefusedError, match="can't be read"):
        await backend(script, sent).missing(Table.BLOCK, [ATTACKER])


@on_both_loops
async def test_what_needs_no_answer_asks_nothing() -> None:
    """Nothing to do is no process; the machine's own surroundings are asked elsewhere."""
    sent: list[Sent] = []
    firewall = backend("raise SystemExit(1)", sent)

    await firewall.add(Table.BLOCK, {})
    await firewall.delete(Table.BLOCK, [])
    assert set() == await firewall.missing(Table.BLOCK, [])
    assert await firewall.kill_states([ATTACKER]) == 0
    assert await firewall.survey() == {}
    assert frozenset() == firewall.own_addresses()
    await firewall.close()
    assert [] == sent


@on_both_loops
async def test_deleting_from_a_table_that_is_gone_is_done() -> None:
    """Nothing is in it; adding to it is refused with the file to load."""
    firewall = backend("import sys; sys.exit('Error: No such file or directory')")

    await firewall.delete(Table.BLOCK, [ATTACKER])
    with pytest.raises(FirewallRefusedError, match=r"nft -f nftables/ai-suricata\.nft"):
        await firewall.add(Table.BLOCK, {ATTACKER: 60.0})
    with pytest.raises(FirewallRefusedError, match=r"include that file in /etc/nftables\.conf"):
        await firewall.entries(Table.BLOCK)
