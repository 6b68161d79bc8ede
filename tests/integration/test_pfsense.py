"""PfSense against a real sshd with a pfctl stand-in: what goes wrong, and what is said then."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections import Counter
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address, ip_address, ip_network
from typing import TYPE_CHECKING

import asyncssh
import pytest

from ai_suricata.core.decision import Table
from ai_suricata.core.errors import FirewallRefusedError, FirewallUnreachableError
from ai_suricata.firewall import pfctl
from ai_suricata.firewall.pfsense import PfSense
from fakes.sshd import BLOCK_TABLE, LIMIT_TABLE, PfStandIn, running_pf

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

pytestmark = pytest.mark.system

ATTACKER = ip_address("203.0.113.7")
OTHER = ip_address("198.51.100.9")
V6 = ip_address("2001:db8::bad")
SERVER = "192.0.2.10"
SIX = [IPv4Address("198.18.0.1") + number for number in range(6)]


@pytest.fixture
def pf(tmp_path: Path) -> Iterator[PfStandIn]:
    """Return a firewall that runs."""
    with running_pf(tmp_path / "pf") as running:
        yield running


@pytest.fixture
async def firewall(pf: PfStandIn) -> AsyncIterator[PfSense]:
    """Return our side of it, not yet connected."""
    client = PfSense(pf.settings())
    yield client
    await client.close()


@contextmanager
def agent_at(path: Path) -> Iterator[None]:
    """Run an ssh agent at this socket."""
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 10
        while not path.exists():
            assert time.monotonic() < until, "ssh-agent does not start"
            time.sleep(0.01)
        yield
    finally:
        process.terminate()
        process.wait()


def verbs(pf: PfStandIn) -> list[str]:
    """Return what each command asked for: `-T add`, `-sr`, `-k 203.0.113.7`."""
    words = (received.command.removeprefix("/sbin/pfctl ") for received in pf.commands())
    return [word.partition(" -T ")[2].removesuffix(" -f -") or word for word in words]


async def test_a_command_that_hangs_ends_at_the_time_limit(pf: PfStandIn) -> None:
    """The call says that no answer came, and the next one works, over a new connection."""
    firewall = PfSense(pf.settings(command_timeout=0.5))
    pf.fault("hang", verb="add")

    with pytest.raises(FirewallUnreachableError, match=r"no answer in 0.5 seconds"):
        await firewall.add(Table.BLOCK, [ATTACKER])
    await firewall.add(Table.BLOCK, [ATTACKER])

    assert {str(ATTACKER)} == pf.table(BLOCK_TABLE)
    assert pf.logins() == 2
    await firewall.close()


async def test_after_a_drop_in_mid_batch_missing_tells_what_was_done(
    pf: PfStandIn, firewall: PfSense, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three commands the second is carried out, but its answer is lost with the connection."""
    monkeypatch.setattr(pfctl, "CHUNK", 2)
    pf.fault("drop", verb="add", skip=1)

    with pytest.raises(FirewallUnreachableError, match="whether it was carried out is unknown"):
        await firewall.add(Table.BLOCK, SIX)
    monkeypatch.undo()

    assert set(SIX[4:]) == await firewall.missing(Table.BLOCK, SIX)
    await firewall.add(Table.BLOCK, SIX)
    assert set() == await firewall.missing(Table.BLOCK, SIX)


async def test_a_changed_host_key_is_refused(pf: PfStandIn, firewall: PfSense) -> None:
    """Nothing is sent to a host that is not the one we know, until the operator says so."""
    pf.change_host_key()
    pf.restart()

    with pytest.raises(FirewallRefusedError, match=r"PFSENSE_KNOWN_HOSTS does not hold"):
        await firewall.add(Table.BLOCK, [ATTACKER])
    assert pf.logins() == 0

    pf.trust_host_key()
    await firewall.add(Table.BLOCK, [ATTACKER])
    assert {str(ATTACKER)} == pf.table(BLOCK_TABLE)


@pytest.mark.parametrize("text", ["", "# nobody\n", "other.example ssh-ed25519 AAAA\n"])
async def test_an_unknown_host_key_is_refused(pf: PfStandIn, firewall: PfSense, text: str) -> None:
    """A file without this host's key trusts nobody, neither does one that can't be read."""
    pf.known_hosts.write_text(text)

    with pytest.raises(FirewallRefusedError, match="PFSENSE_KNOWN_HOSTS"):
        await firewall.open()
    assert pf.logins() == 0


async def test_a_missing_known_hosts_file_is_refused(pf: PfStandIn, firewall: PfSense) -> None:
    """The text names the setting."""
    pf.known_hosts.unlink()

    with pytest.raises(FirewallRefusedError, match=r"PFSENSE_KNOWN_HOSTS can't be read"):
        await firewall.open()


async def test_a_key_that_the_firewall_does_not_know_is_refused(
    pf: PfStandIn, firewall: PfSense
) -> None:
    """The text names the setting, and nothing of the key is in it."""
    stranger = asyncssh.generate_private_key("ssh-ed25519")
    stranger.write_private_key(pf.key_file)

    with pytest.raises(FirewallRefusedError, match="PFSENSE_KEY_FILE") as refused:
        await firewall.open()
    assert "PRIVATE KEY" not in str(refused.value)


@pytest.mark.parametrize("content", [None, "no key at all"])
async def test_a_key_file_that_cannot_be_used_is_refused(
    pf: PfStandIn, firewall: PfSense, content: str | None
) -> None:
    """Missing or broken: the text names the setting."""
    pf.key_file.unlink()
    if content:
        pf.key_file.write_text(content)

    with pytest.raises(FirewallRefusedError, match=r"PFSENSE_KEY_FILE can't be used"):
        await firewall.open()


async def test_a_passphrase_on_the_key_is_refused(pf: PfStandIn, firewall: PfSense) -> None:
    """A daemon can't be asked for it; the text says what to do."""
    key = asyncssh.read_private_key(pf.key_file)
    key.write_private_key(pf.key_file, "pkcs8-pem", pf.user)  # any passphrase will do

    with pytest.raises(FirewallRefusedError, match="without a passphrase"):
        await firewall.open()


async def test_adding_to_a_table_that_no_rule_made_is_refused(
    pf: PfStandIn, firewall: PfSense
) -> None:
    """The command makes the table and succeeds, and nothing would be blocked: that is an error."""
    pf.remove_table(BLOCK_TABLE)
    pf.set_rules()

    with pytest.raises(FirewallRefusedError, match=f"make an alias {BLOCK_TABLE}"):
        await firewall.add(Table.BLOCK, [ATTACKER])
    with pytest.raises(FirewallRefusedError, match=f"make an alias {BLOCK_TABLE}"):
        await firewall.missing(Table.BLOCK, [ATTACKER])


async def test_a_missing_table_holds_nothing(pf: PfStandIn, firewall: PfSense) -> None:
    """With a rule in place all is missing, deleting is done, and listing names the alias."""
    pf.remove_table(LIMIT_TABLE)

    assert {ATTACKER} == await firewall.missing(Table.LIMIT, [ATTACKER])
    await firewall.delete(Table.LIMIT, [ATTACKER])
    with pytest.raises(FirewallRefusedError, match=f"the table {LIMIT_TABLE} does not exist"):
        await firewall.entries(Table.LIMIT)
    assert {BLOCK_TABLE} == pf.tables()


async def test_without_a_rule_nothing_is_enforced(pf: PfStandIn, firewall: PfSense) -> None:
    """A label that speaks of the table is no rule that refers to it."""
    pf.set_rules(f'block drop in inet from 192.0.2.1 to any label "instead of <{BLOCK_TABLE}>"')
    await firewall.add(Table.BLOCK, [ATTACKER])

    with pytest.raises(FirewallRefusedError, match="no firewall rule refers to the table"):
        await firewall.missing(Table.BLOCK, [ATTACKER])


async def test_a_full_table_refuses_the_whole_batch(pf: PfStandIn, firewall: PfSense) -> None:
    """The text names the limit to raise; not one address of the batch went in."""
    pf.set_limit(5)

    with pytest.raises(FirewallRefusedError, match="Firewall Maximum Table Entries"):
        await firewall.add(Table.BLOCK, SIX)
    assert set() == pf.table(BLOCK_TABLE)
    await firewall.add(Table.BLOCK, SIX[:5])
    assert set(map(str, SIX[:5])) == pf.table(BLOCK_TABLE)


@pytest.mark.parametrize(
    ("kind", "said"),
    [("permission_denied", "set PFSENSE_USER to admin or root"), ("const", "declared const")],
)
async def test_a_refusal_names_its_remedy(
    pf: PfStandIn, firewall: PfSense, kind: str, said: str
) -> None:
    """Pf's own words and what to do; a large input that is left unread does no harm."""
    pf.fault(kind)
    many = [IPv4Address("198.18.0.0") + number for number in range(20_000)]

    with pytest.raises(FirewallRefusedError, match=said):
        await firewall.add(Table.BLOCK, many)
    assert pf.logins() == 1


async def test_a_command_that_the_gate_refuses_is_told(pf: PfStandIn, firewall: PfSense) -> None:
    """An answer that is not pfctl's is shown as it is."""
    pf.put(BLOCK_TABLE, str(ATTACKER))
    (pf.folder / "state.json").write_text("broken")

    with pytest.raises(FirewallRefusedError, match="ended with code 1 and said"):
        await firewall.entries(Table.BLOCK)
    (pf.folder / "state.json").write_text("{}")


async def test_the_noise_of_a_kernel_without_altq_changes_nothing(
    pf: PfStandIn, firewall: PfSense
) -> None:
    """Two lines on stderr at every call, and each answer is still read."""
    pf.set_altq(noise=True)
    pf.add_state(str(ATTACKER), SERVER)

    await firewall.add(Table.BLOCK, [ATTACKER, OTHER])
    assert {V6} == await firewall.missing(Table.BLOCK, [ATTACKER, OTHER, V6])
    assert await firewall.kill_states([ATTACKER]) == 1
    await firewall.delete(Table.BLOCK, [OTHER])
    assert {ATTACKER} == await firewall.entries(Table.BLOCK)


@pytest.mark.parametrize("max_sessions", [10, 2])
async def test_many_calls_at_once_share_one_connection(tmp_path: Path, max_sessions: int) -> None:
    """16 calls over 4 channels; where sshd allows fewer, those that it refuses are tried again."""
    targets = [IPv4Address("198.18.0.1") + number for number in range(16)]
    with running_pf(tmp_path / "pf", max_sessions) as pf:
        firewall = PfSense(pf.settings())
        await asyncio.gather(*(firewall.add(Table.BLOCK, [target]) for target in targets))

        assert set(map(str, targets)) == pf.table(BLOCK_TABLE)
        assert len(pf.commands()) == len(targets)
        assert pf.logins() == 1
        await firewall.close()


async def test_no_more_than_four_commands_run_at_once(pf: PfStandIn) -> None:
    """Of eight that hang, four have begun when the time is up."""
    firewall = PfSense(pf.settings(command_timeout=1.0))
    pf.fault("hang", times=-1)

    ended = await asyncio.gather(
        *(firewall.add(Table.BLOCK, [target]) for target in [*SIX, ATTACKER, OTHER]),
        return_exceptions=True,
    )

    assert {FirewallUnreachableError: 8} == Counter(map(type, ended))
    assert len(pf.commands()) == 4


async def test_a_restarted_firewall_is_connected_to_again(pf: PfStandIn, firewall: PfSense) -> None:
    """One login, however many calls wait for it."""
    await firewall.add(Table.BLOCK, [ATTACKER])
    pf.restart()
    with suppress(FirewallUnreachableError):  # where the loss was not yet noticed
        await firewall.entries(Table.BLOCK)

    listings = await asyncio.gather(*(firewall.entries(Table.BLOCK) for _ in range(8)))

    assert [{ATTACKER}] * 8 == listings
    assert pf.logins() == 2


async def test_a_stopped_firewall_is_unreachable_until_it_is_back(
    pf: PfStandIn, firewall: PfSense
) -> None:
    """Every call says so at once and names the settings; none waits for ever."""
    await firewall.open()
    pf.stop()

    for _ in range(3):
        with pytest.raises(FirewallUnreachableError):
            await firewall.entries(Table.BLOCK)
    with pytest.raises(FirewallUnreachableError, match="check PFSENSE_HOST and PFSENSE_PORT"):
        await firewall.open()

    pf.start()
    assert set() == await firewall.entries(Table.BLOCK)


async def test_states_are_killed_both_ways_for_those_that_have_any(
    pf: PfStandIn, firewall: PfSense
) -> None:
    """One listing for the batch, two commands for each target with a connection, no other ends."""
    pf.add_state(str(ATTACKER), SERVER)
    pf.add_state(SERVER, str(ATTACKER), inbound=False)
    pf.add_state(str(V6), "2001:db8::10")
    pf.add_state("198.18.7.7", SERVER)
    pf.add_state("203.0.113.70", SERVER)  # begins like the attacker's
    network = ip_network("198.18.0.0/16")

    assert await firewall.kill_states([ATTACKER, OTHER, V6, network]) == 4

    expected = [
        "-k 0.0.0.0/0 -k 198.18.0.0/16",
        "-k 0.0.0.0/0 -k 203.0.113.7",
        "-k 198.18.0.0/16",
        "-k 2001:db8::bad",
        "-k 203.0.113.7",
        "-k ::/0 -k 2001:db8::bad",
        "-ss",
    ]
    assert expected == sorted(verbs(pf))
    assert {("203.0.113.70", SERVER)} == pf.states()


async def test_a_failing_kill_ends_the_others_with_it(pf: PfStandIn, firewall: PfSense) -> None:
    """No command of the batch is left running behind the error."""
    for target in SIX:
        pf.add_state(str(target), SERVER)
    pf.fault("permission_denied", verb="kill_states", times=-1)

    with pytest.raises(FirewallRefusedError, match="Permission denied"):
        await firewall.kill_states(SIX)
    assert set() == await firewall.entries(Table.BLOCK)
    assert len(pf.states()) == 6


async def test_own_addresses_are_both_ends_of_the_session(pf: PfStandIn) -> None:
    """What must never be blocked, or we lock ourselves out; a host name tells it once connected."""
    firewall = PfSense(pf.settings().model_copy(update={"host": "localhost"}))
    assert frozenset() == firewall.own_addresses()

    await firewall.open()

    assert frozenset({ip_address("127.0.0.1")}) == firewall.own_addresses()
    await firewall.close()


async def test_without_a_key_file_the_agent_is_asked(
    pf: PfStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key with a passphrase is used that way."""
    agent = tmp_path / "agent"
    monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
    monkeypatch.setenv("HOME", str(tmp_path))  # the user's own keys must not log us in
    firewall = PfSense(pf.settings().model_copy(update={"key_file": None}))

    with pytest.raises(FirewallRefusedError, match="PFSENSE_KEY_FILE"):
        await firewall.open()
    with agent_at(agent):
        async with asyncssh.connect_agent(str(agent)) as keeper:
            await keeper.add_keys([str(pf.key_file)])
        assert set() == await firewall.entries(Table.BLOCK)
    await firewall.close()


async def test_more_than_pf_takes_at_once_is_sent_in_parts(
    pf: PfStandIn, firewall: PfSense
) -> None:
    """No command has over 30,000 addresses; the proof of so many is one listing."""
    many = {IPv4Address("198.18.0.0") + number for number in range(40_000)}

    await firewall.add(Table.BLOCK, many)
    assert set() == await firewall.missing(Table.BLOCK, many)

    sizes = [len(received.stdin.split()) for received in pf.commands()]
    expected = [("add", 30_000), ("add", 10_000), ("-sr", 0), ("show", 0)]
    assert expected == list(zip(verbs(pf), sizes, strict=True))


async def test_a_few_addresses_are_proved_without_listing_the_table(
    pf: PfStandIn, firewall: PfSense
) -> None:
    """A table of 400,000 entries is not read for each block."""
    await firewall.add(Table.BLOCK, [ATTACKER, V6])
    assert set() == await firewall.missing(Table.BLOCK, [ATTACKER, V6])

    expected = ["add", "-sr", "test"]
    assert expected == verbs(pf)


async def test_an_exception_in_the_table_is_missing(pf: PfStandIn, firewall: PfSense) -> None:
    """Somebody's `!203.0.113.7` lets it through, whatever network around it is blocked."""
    pf.put(BLOCK_TABLE, "203.0.113.0/24", f"!{ATTACKER}")
    inside = ip_address("203.0.113.8")

    assert {ATTACKER} == await firewall.missing(Table.BLOCK, [ATTACKER, inside])
    assert {ip_network("203.0.113.0/24")} == await firewall.entries(Table.BLOCK)


async def test_each_command_is_reported_with_its_result(pf: PfStandIn) -> None:
    """For the counters: which command, and how it ended."""
    seen: list[tuple[str, str]] = []
    firewall = PfSense(pf.settings(), lambda command, result: seen.append((command, result)))
    await firewall.add(Table.BLOCK, [ATTACKER])
    assert {OTHER} == await firewall.missing(Table.BLOCK, [OTHER])
    pf.set_limit(0)
    with pytest.raises(FirewallRefusedError):
        await firewall.add(Table.BLOCK, [OTHER])
    pf.fault("drop")
    with pytest.raises(FirewallUnreachableError):
        await firewall.entries(Table.BLOCK)

    expected = [
        ("add", "ok"),
        ("rules", "ok"),
        ("test", "ok"),
        ("show", "ok"),
        ("add", "refused"),
        ("show", "unreachable"),
    ]
    assert expected == seen
    await firewall.close()
