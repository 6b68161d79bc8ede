"""Pfctl's commands and answers, as text."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

import pytest

from ai_suricata.core.decision import Table
from ai_suricata.core.errors import FirewallRefusedError, TableAbsentError
from ai_suricata.firewall import pfctl
from ai_suricata.firewall.pfctl import Command, Listing, Reply

if TYPE_CHECKING:
    from ai_suricata.core.address import Target

ATTACKER = ip_address("203.0.113.7")
V6 = ip_address("2001:db8::bad")
NETWORK = ip_network("192.0.2.0/24")
ALTQ = "No ALTQ support in kernel\nALTQ related functions disabled\n"
ADD = Command("add", "/sbin/pfctl -t t -T add -f -", "203.0.113.7\n2001:db8::bad\n", 2)
SHOW = pfctl.show("t")
KILL = pfctl.kill(ATTACKER)[0]


def test_addresses_travel_over_stdin_in_canonical_form() -> None:
    """The command line has fixed words alone; each address is named once, in the order given."""
    targets: list[Target] = [
        V6,
        IPv6Address("::ffff:203.0.113.7"),
        ATTACKER,
        NETWORK,
        ip_network("203.0.113.7/32"),
    ]

    [command] = pfctl.add("attackers", targets)

    assert command.text == "/sbin/pfctl -t attackers -v -T add -f -"
    assert ["2001:db8::bad", "203.0.113.7", "192.0.2.0/24"] == command.stdin.split()
    assert command.size == 3


def test_a_batch_is_cut_at_30000_addresses() -> None:
    """Pf refused 32,769 at once; none is lost at the cut."""
    many = [IPv4Address(number) for number in range(60_001)]

    commands = list(pfctl.delete("t", many))

    assert [command.size for command in commands] == [30_000, 30_000, 1]
    sent = [line for command in commands for line in command.stdin.splitlines()]
    assert sorted(map(str, many)) == sorted(sent)


def test_no_targets_are_no_command() -> None:
    """`pfctl -T add` without addresses would be an error of usage."""
    assert list(pfctl.add("t", [])) == []


@pytest.mark.parametrize(
    "name", ["", "a b", "t;reboot", "$(id)", "t\n", "-T", "9lives", "a" * 32, "tést"]
)
def test_a_table_name_that_is_no_plain_word_is_an_error(name: str) -> None:
    """It becomes a word of a command that a shell reads."""
    with pytest.raises(ValueError, match="no name of a pf table"):
        pfctl.show(name)
    with pytest.raises(ValueError, match="no name of a pf table"):
        list(pfctl.add(name, [ATTACKER]))


@pytest.mark.parametrize(
    "hostile", [IPv6Address("fe80::1%x;reboot"), IPv6Network("fe80::%x;reboot/64")]
)
def test_a_zone_never_reaches_a_command(hostile: Target) -> None:
    """Python takes any text for an IPv6 zone, also one that a shell would run."""
    [added] = pfctl.add("t", [hostile])
    texts = [added.stdin, *(command.text for command in pfctl.kill(hostile))]

    assert not [text for text in texts if "reboot" in text or "%" in text]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (ATTACKER, ["-k 203.0.113.7", "-k 0.0.0.0/0 -k 203.0.113.7"]),
        (V6, ["-k 2001:db8::bad", "-k ::/0 -k 2001:db8::bad"]),
        (NETWORK, ["-k 192.0.2.0/24", "-k 0.0.0.0/0 -k 192.0.2.0/24"]),
        (IPv6Address("::ffff:203.0.113.7"), ["-k 203.0.113.7", "-k 0.0.0.0/0 -k 203.0.113.7"]),
    ],
)
def test_states_are_killed_from_and_to_the_target(target: Target, expected: list[str]) -> None:
    """One command for each direction: `-k` alone only knows the source."""
    commands = [command.text.removeprefix("/sbin/pfctl ") for command in pfctl.kill(target)]

    assert expected == commands


@pytest.mark.parametrize("noise", ["", ALTQ])
@pytest.mark.parametrize(("line", "added"), [("2/2", 2), ("0/2", 0)])
def test_added_counts_what_is_new(noise: str, line: str, added: int) -> None:
    """Duplicates are no error, and other lines on stderr are noise."""
    reply = Reply(0, stderr=f"{noise}{line} addresses added.\n")

    assert added == pfctl.read_added(ADD, reply, "t")


def test_a_table_that_add_had_to_create_is_refused() -> None:
    """No rule refers to a table that was not there, so nothing is blocked."""
    reply = Reply(0, stderr="1 table created.\n2/2 addresses added.\n")

    with pytest.raises(FirewallRefusedError, match=r"no firewall rule .* make an alias t "):
        pfctl.read_added(ADD, reply, "t")


@pytest.mark.parametrize(
    "stderr",
    [
        "",
        "1/1 addresses added.\n",
        "not 2/2 addresses added.\n",
        "2/2 addresses added. or so\n",
    ],
)
def test_success_without_the_very_words_is_refused(stderr: str) -> None:
    """Exit code 0 from a shell that ran something else is no proof; a part of a line is none."""
    with pytest.raises(FirewallRefusedError, match="ended with code 0"):
        pfctl.read_added(ADD, Reply(0, stderr=stderr), "t")


@pytest.mark.parametrize(
    ("exit_code", "line", "remedy"),
    [
        (1, "pfctl: /dev/pf: Permission denied", "set PFSENSE_USER to admin or root"),
        (255, "pfctl: Cannot allocate memory.", "raise Firewall Maximum Table Entries"),
        (255, "pfctl: Operation not permitted.", "declared const"),
        (255, "no IP address found for x", "can't read this address"),
        (255, "invalid netmask '/99'", "can't read this address"),
        (255, "pfctl: cannot decode 192.0.2.0/24: Invalid argument", "can't read this address"),
        (255, "pfctl: Table does not exist.", "make an alias t "),
        (127, "sh: pfctl: not found", "try the same command"),
    ],
)
def test_a_refusal_names_what_was_said_and_the_remedy(
    exit_code: int, line: str, remedy: str
) -> None:
    """The operator reads what to do, whatever noise stood around it."""
    with pytest.raises(FirewallRefusedError) as refused:
        pfctl.read_added(ADD, Reply(exit_code, stderr=f"{ALTQ}{line}\n"), "t")

    assert remedy in str(refused.value)
    assert "ALTQ" not in str(refused.value)


def test_an_absent_table_is_an_error_of_its_own() -> None:
    """Nothing is in it, so that deleting from it is done already: the caller decides."""
    reply = Reply(255, stderr=f"{ALTQ}pfctl: Table does not exist.\n")

    with pytest.raises(TableAbsentError):
        pfctl.read_deleted(ADD, reply, "t")
    with pytest.raises(TableAbsentError):
        pfctl.read_listing(SHOW, reply, "t")


@pytest.mark.parametrize(
    ("exit_code", "count", "expected"), [(0, "2/2", True), (2, "1/2", False), (2, "0/2", False)]
)
def test_test_tells_whether_all_match(exit_code: int, count: str, expected: bool) -> None:  # noqa: FBT001 (a column of the table above)
    """Exit code 2 is an answer, not an error."""
    [command] = pfctl.test("t", [ATTACKER, V6])
    reply = Reply(exit_code, stderr=f"{ALTQ}{count} addresses match.\n")

    assert expected == pfctl.read_all_match(command, reply, "t")
    assert pfctl.answered(command, reply)


def test_exit_code_2_without_a_count_is_refused() -> None:
    """Another program may end with 2 as well."""
    [command] = pfctl.test("t", [ATTACKER])

    with pytest.raises(FirewallRefusedError):
        pfctl.read_all_match(command, Reply(2, stderr="Syntax error\n"), "t")
    assert not pfctl.answered(SHOW, Reply(2))


def test_a_listing_is_read_line_by_line_and_the_unknown_is_counted() -> None:
    """Addresses, networks, exceptions; details of `-v` are passed over, the rest is counted."""
    stdout = (
        "   203.0.113.7\n"
        "\tCleared:     Thu Jan  1 00:00:00 2026\n"
        "   192.0.2.0/24\n"
        "  !192.0.2.9\n"
        "   2001:db8::bad\n"
        "\n"
        "   999.1.1.1\n"
        "something new\n"
    )
    expected = Listing(
        entries=frozenset({ATTACKER, NETWORK, V6}),
        negated=frozenset({ip_address("192.0.2.9")}),
        unread=2,
    )

    assert expected == pfctl.read_listing(SHOW, Reply(0, stdout, ALTQ), "t")


def test_an_ipv4_mapped_entry_does_not_stand_for_ipv4() -> None:
    """Pf keeps it as IPv6, where it stops no IPv4 packet."""
    listing = pfctl.read_listing(SHOW, Reply(0, "   ::ffff:203.0.113.7\n"), "t")

    assert {ATTACKER} == listing.lacks([ATTACKER])


@pytest.mark.parametrize(
    ("entries", "negated", "target", "lacks"),
    [
        (["203.0.113.0/24"], [], "203.0.113.7", False),
        (["203.0.113.0/24"], ["203.0.113.7"], "203.0.113.7", True),
        (["203.0.113.0/24", "203.0.113.7"], ["203.0.113.0/28"], "203.0.113.7", False),
        (["203.0.113.0/24"], ["203.0.113.0/28"], "203.0.113.7", True),
        (["203.0.113.0/25"], [], "203.0.113.0/24", True),
        (["203.0.112.0/23"], [], "203.0.113.0/24", False),
        (["2001:db8::/32"], [], "2001:db8::bad", False),
        (["0.0.0.0/0"], [], "2001:db8::bad", True),
        (["::/0"], [], "203.0.113.7", True),
        ([], [], "203.0.113.7", True),
    ],
)
def test_the_longest_entry_decides(
    entries: list[str],
    negated: list[str],
    target: str,
    lacks: bool,  # noqa: FBT001 (a column of the table above)
) -> None:
    """As in pf's radix tree; families never mix."""

    def read(text: str) -> Target:
        return ip_network(text) if "/" in text else ip_address(text)

    listing = Listing(frozenset(map(read, entries)), frozenset(map(read, negated)))

    assert lacks == bool(listing.lacks([read(target)]))


def test_rules_that_could_not_be_read_are_no_answer() -> None:
    """An error must not pass for a missing rule."""
    with pytest.raises(FirewallRefusedError, match="set PFSENSE_USER"):
        pfctl.read_families(
            pfctl.rules(), Reply(1, "", "pfctl: /dev/pf: Permission denied\n"), "t", Table.BLOCK
        )


@pytest.mark.parametrize(
    ("status", "expected"), [("Enabled for 12 days 03:04:05", True), ("Disabled", False)]
)
def test_info_tells_whether_pf_is_switched_on(status: str, expected: bool) -> None:  # noqa: FBT001 (a column of the table above)
    """By its first line; pf keeps its tables either way."""
    stdout = f"Status: {status:<30}Debug: Urgent\n\nState Table                Total   Rate\n"

    assert expected == pfctl.read_enabled(pfctl.info(), Reply(0, stdout, ALTQ))


@pytest.mark.parametrize("stdout", ["", "Status: unknown\n", "The Status: Enabled for 1 days\n"])
def test_info_that_does_not_tell_is_refused(stdout: str) -> None:
    """What is not understood is no proof."""
    with pytest.raises(FirewallRefusedError, match="-s info"):
        pfctl.read_enabled(pfctl.info(), Reply(0, stdout))


def test_a_full_table_is_an_error_of_its_own() -> None:
    """The caller finds what fits."""
    reply = Reply(255, stderr=f"{ALTQ}pfctl: Cannot allocate memory.\n")

    with pytest.raises(pfctl.TableFullError, match="2 of 2 addresses did not fit: raise Firewall"):
        pfctl.read_added(ADD, reply, "t")


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 30_000])
def test_halving_reaches_every_number_below_the_whole(size: int) -> None:
    """Each step once, the greatest first, as the digits of a binary number; few of them."""
    steps = list(pfctl.steps(size))

    assert sorted(steps, reverse=True) == steps
    assert 15 >= len(steps)
    for room in {0, 1, size // 3, size // 2, size - 1}:
        done = 0
        for step in steps:
            done += step if done + step <= room else 0
        assert min(room, size - 1) == done


def test_a_part_of_a_command_has_its_addresses_in_their_order() -> None:
    """The last part may be shorter, and what is past the end is empty."""
    [command] = pfctl.add("t", [IPv4Address(number) for number in (9, 1, 5)])

    parts = [pfctl.part(command, start, 2) for start in (0, 2, 3)]

    assert ["0.0.0.9\n0.0.0.1\n", "0.0.0.5\n", ""] == [part.stdin for part in parts]
    assert [2, 1, 0] == [part.size for part in parts]
    assert {command.text} == {part.text for part in parts}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (Reply(1, "", "cat: /var/unbound/unbound.conf: No such file or directory\n"), True),
        (Reply(127, "", "sh: /usr/bin/who: not found\n"), True),
        (Reply(1, "", "/usr/bin/who: Command not found.\n"), True),
        (Reply(126, "", "refused: not a pfctl command\n"), False),
        (Reply(0, "", "cat: x: No such file or directory\n"), False),
    ],
)
def test_what_is_not_there_is_told_from_what_is_refused(said: Reply, *, expected: bool) -> None:
    """By the words of cat, sh and tcsh; a gate that says no is no missing file."""
    assert expected == pfctl.is_absent(said)
    if expected:
        assert pfctl.answered(Command("survey", "/bin/cat x"), said)


def test_states_name_every_host_that_has_one() -> None:
    """Both families, both directions, translated addresses, and protocols without ports."""
    stdout = (
        "em0 tcp 192.0.2.10:443 <- 203.0.113.7:50000       ESTABLISHED:ESTABLISHED\n"
        "em1 tcp 10.0.0.5:80 (198.51.100.1:80) <- 203.0.113.8:4711       FIN_WAIT_2:FIN_WAIT_2\n"
        "em0 udp 2001:db8::10[53] <- 2001:db8::bad[5353]       MULTIPLE:SINGLE\n"
        "em0 icmp 192.0.2.10:8 -> 198.51.100.9:8       0:0\n"
        "em0 esp 192.0.2.10 <- 198.51.100.77       MULTIPLE:MULTIPLE\n"
    )
    expected = {
        "192.0.2.10",
        "203.0.113.7",
        "10.0.0.5",
        "198.51.100.1",
        "203.0.113.8",
        "2001:db8::10",
        "2001:db8::bad",
        "198.51.100.9",
        "198.51.100.77",
    }

    hosts = pfctl.read_state_hosts(pfctl.states(), Reply(0, stdout, ALTQ))

    assert set(map(ip_address, expected)) == hosts


def test_targets_with_a_connection_are_picked_by_whole_addresses() -> None:
    """203.0.113.70 is not 203.0.113.7, and a network counts by what it holds."""
    hosts = {ip_address("203.0.113.70"), ip_address("192.0.2.5"), V6}

    expected = [NETWORK, V6]
    assert expected == pfctl.connected([ATTACKER, NETWORK, V6], hosts)


def test_killed_states_are_counted() -> None:
    """This line alone ends without a full stop."""
    said = f"{ALTQ}killed 3 states from 1 sources and 0 destinations\n"

    assert pfctl.read_killed(KILL, Reply(0, stderr=said)) == 3
    with pytest.raises(FirewallRefusedError):
        pfctl.read_killed(KILL, Reply(0, stderr="killed some\n"))


@pytest.mark.parametrize(
    ("marked", "new", "expected"),
    [
        ("A  203.0.113.7\nA  2001:db8::bad\n", 2, set()),
        ("A  203.0.113.7\n", 1, {"2001:db8::bad"}),
        ("", 0, {"203.0.113.7", "2001:db8::bad"}),
        ("", 1, set()),
        ("A  203.0.113.9\n", 1, set()),
        ("A  nonsense\n", 1, set()),
    ],
)
def test_what_was_there_before_is_what_pf_does_not_mark(
    marked: str, new: int, expected: set[str]
) -> None:
    """Where the marks and the count don't agree, nobody knows which ones."""
    found = pfctl.read_present(ADD, Reply(0, marked, ""), new)

    assert expected == {str(target) for target in found}
