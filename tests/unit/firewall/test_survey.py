"""What a pfSense host says of itself, read into networks by what they are."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_suricata.core.errors import FirewallRefusedError
from ai_suricata.firewall import survey
from ai_suricata.firewall.pfctl import Reply
from ai_suricata.firewall.survey import COMMANDS, Found
from fakes.pf_answer import INTERFACES, RESOLVER, ROUTES, RULES

if TYPE_CHECKING:
    from ai_suricata.firewall.pfctl import Command

IFCONFIG = """\
em0: flags=1008943<UP,BROADCAST,RUNNING,PROMISC,SIMPLEX,MULTICAST,LOWER_UP> metric 0 mtu 1500
\tdescription: WAN
\tether 00:00:5e:00:53:01
\tinet 203.0.113.2 netmask 0xffffff00 broadcast 203.0.113.255
\tinet 203.0.113.10 netmask 0xffffff00 broadcast 203.0.113.255 vhid 1
\tinet 203.0.113.20 netmask 0xffffffff broadcast 203.0.113.20
\tinet6 2001:db8:ffff::2 prefixlen 64 autoconf
\tinet6 fe80::200:5eff:fe00:5301%em0 prefixlen 64 scopeid 0x1
\tcarp: MASTER vhid 1 advbase 1 advskew 0
\tstatus: active
em1: flags=1008943<UP,BROADCAST,RUNNING,SIMPLEX,MULTICAST,LOWER_UP> metric 0 mtu 1500
\tdescription: LAN
\tinet 192.168.1.1 netmask 0xffffff00 broadcast 192.168.1.255
\tinet6 2001:db8:1::1 prefixlen 64
\tnd6 options=21<PERFORMNUD,AUTO_LINKLOCAL>
em1.20: flags=1008943<UP,BROADCAST,RUNNING,SIMPLEX,MULTICAST,LOWER_UP> metric 0 mtu 1500
\tdescription: DMZ
\tinet 198.51.100.1 netmask 0xffffffc0 broadcast 198.51.100.63
\tinet 198.51.100.5 netmask 0xffffffc0 broadcast 198.51.100.63 vhid 3
\tvlan: 20 vlanproto: 802.1q vlanpcp: 0 parent interface: em1
em2: flags=1008943<UP,BROADCAST,RUNNING,SIMPLEX,MULTICAST,LOWER_UP> metric 0 mtu 1500
\tdescription: WAN2
\tinet 192.0.2.2 netmask 0xffffff00 broadcast 192.0.2.255
gif0: flags=1008051<UP,POINTOPOINT,RUNNING,MULTICAST,LOWER_UP> metric 0 mtu 1280
\ttunnel inet 203.0.113.2 --> 198.18.0.1
\tinet6 2001:db8:9::2 --> 2001:db8:9::1 prefixlen 128
lo0: flags=1008049<UP,LOOPBACK,RUNNING,MULTICAST,LOWER_UP> metric 0 mtu 16384
\tinet6 ::1 prefixlen 128
\tinet6 fe80::1%lo0 prefixlen 64 scopeid 0x5
\tinet 127.0.0.1 netmask 0xff000000
"""
NETSTAT = """\
Routing tables

Internet:
Destination        Gateway            Flags   Nhop#    Mtu      Netif Expire
default            203.0.113.1        UGS         9   1500        em0
10.9.0.0/16        192.168.1.254      UGS        10   1500        em1
127.0.0.1          link#6             UH          2  16384        lo0
192.168.1.0/24     link#2             U           3   1500        em1
198.51.100.0/26    link#3             U           7   1500     em1.20
203.0.113.0/24     link#1             U           8   1500        em0
203.0.113.2        link#6             UHS         5  16384        lo0

Internet6:
Destination                       Gateway                       Flags   Nhop#    Mtu  Netif Expire
::/96                             ::1                           URS         4  16384    lo0
default                           fe80::1%em0                   UGS        12   1500    em0
::1                               link#6                        UHS         1  16384    lo0
2001:db8:1::/64                   link#2                        U          14   1500    em1
fe80::/10                         ::1                           URS         4  16384    lo0
ff02::/16                         ::1                           URS         4  16384    lo0
"""
PF_RULES = """\
scrub on em0 inet all fragment reassemble
pass out route-to (em0 203.0.113.1) inet from 203.0.113.2 to ! 203.0.113.0/24 flags S/SA keep state
pass out route-to (em2 192.0.2.1) inet from 192.0.2.2 to ! 192.0.2.0/24 flags S/SA keep state
pass in quick on em2 reply-to (em2 192.0.2.1) inet proto tcp from any to (em2) port = 443
pass in quick on em1 inet from any to any keep state (max-src-conn-rate 5/10)
"""
RESOLV = """\
# written by pfSense
nameserver 127.0.0.1
nameserver 9.9.9.9
nameserver 2620:fe::fe
search lan.example
"""
UNBOUND = """\
server:
interface: 192.168.1.1
#\tforward-addr: 8.8.8.8
# Forwarding
forward-zone:
\tname: "."
\tforward-tls-upstream: yes
\tforward-addr: 1.1.1.1@853#one.one.one.one
\tforward-addr: 2606:4700:4700::1111@853
"""
OVERRIDES = 'forward-zone:\n\tname: "corp.example"\n\tforward-addr: 198.18.5.5\n'
WHO = (
    "admin            ttyv0        Nov 20 09:00 \n"
    "admin            pts/0        Nov 20 14:08 (198.18.7.7)\n"
    "operator         pts/1        Nov 20 14:09 (desk.lan.example)\n"
)
ANSWERS = {
    survey.INTERFACES: IFCONFIG,
    survey.ROUTES: NETSTAT,
    survey.RULES: PF_RULES,
    survey.RESOLVER: RESOLV,
    survey.FORWARDERS: UNBOUND,
    survey.OVERRIDES: OVERRIDES,
    survey.SESSION: "198.18.6.6 50022 203.0.113.2 22\n",
    survey.LOGINS: WHO,
}
REFUSED = Reply(126, "", "refused: not a pfctl command\n")
ABSENT = Reply(1, "", "cat: /var/unbound/unbound.conf: No such file or directory\n")


def read(changed: dict[Command, str | Reply] | None = None) -> Found:
    """Read the answers above, some of them changed."""
    said = {**ANSWERS, **(changed or {})}
    replies = (said[command] for command in COMMANDS)
    return survey.read([Reply(0, one) if isinstance(one, str) else one for one in replies])


def texts(found: Found, kind: str) -> set[str]:
    """Return what was found of one kind, hosts without their length."""
    networks = found.ordered().get(kind, ())
    return {str(one).removesuffix("/32").removesuffix("/128") for one in networks}


def holds(found: Found, address: str) -> bool:
    """Whether any network that was found holds the address."""
    host = ip_address(address)
    return any(host in network for networks in found.kinds.values() for network in networks)


def test_every_address_of_every_interface_is_found() -> None:
    """CARP, aliases, VLANs, tunnels, both families."""
    expected = {
        "203.0.113.2",
        "203.0.113.10",
        "203.0.113.20",
        "2001:db8:ffff::2",
        "fe80::200:5eff:fe00:5301",
        "192.168.1.1",
        "2001:db8:1::1",
        "198.51.100.1",
        "198.51.100.5",
        "192.0.2.2",
        "2001:db8:9::2",
        "::1",
        "fe80::1",
        "127.0.0.1",
    }
    assert expected == texts(read(), "interface")
    assert 0 == read().unread


def test_networks_are_taken_whole_where_no_way_out_leads_through() -> None:
    """LAN and DMZ are the operator's own; on the provider's side the neighbours are strangers."""
    found = read()

    expected = {
        "192.168.1.0/24",
        "2001:db8:1::/64",
        "198.51.100.0/26",
        "127.0.0.0/8",
    }
    assert expected == texts(found, "network")
    strangers = ("203.0.113.77", "2001:db8:ffff::77", "192.0.2.77")
    assert not [address for address in strangers if holds(found, address)]


def test_gateways_of_routes_rules_and_links_are_found() -> None:
    """That of a second line stands in the rules alone; FreeBSD's own ::1 is none."""
    expected = {
        "203.0.113.1",
        "fe80::1",
        "192.168.1.254",
        "192.0.2.1",
        "198.18.0.1",
        "2001:db8:9::1",
    }
    assert expected == texts(read(), "gateway")


def test_broadcast_addresses_are_found_on_every_side() -> None:
    """Also the provider's."""
    expected = {"203.0.113.255", "203.0.113.20", "192.168.1.255", "198.51.100.63", "192.0.2.255"}

    assert expected == texts(read(), "broadcast address")


def test_dns_servers_are_those_of_the_resolver_and_of_unbound() -> None:
    """With port and name behind them; what stands in a comment is none."""
    expected = {
        "127.0.0.1",
        "9.9.9.9",
        "2620:fe::fe",
        "1.1.1.1",
        "2606:4700:4700::1111",
        "198.18.5.5",
    }
    assert expected == texts(read(), "DNS server")


def test_both_ends_of_our_session_and_who_is_logged_in_are_found() -> None:
    """As the firewall sees them: behind NAT that is not what we see."""
    assert {"198.18.6.6", "203.0.113.2"} == texts(read(), "SSH session")
    assert {"198.18.7.7"} == texts(read(), "SSH login")


@pytest.mark.parametrize(
    "command", [survey.FORWARDERS, survey.OVERRIDES, survey.LOGINS, survey.SESSION]
)
def test_what_need_not_be_there_may_be_absent(command: Command) -> None:
    """The rest is found all the same."""
    quiet = Reply(1)
    for reply in (ABSENT, quiet):
        found = read({command: reply})
        assert texts(read(), "interface") == texts(found, "interface")
        assert {"9.9.9.9"} <= texts(found, "DNS server")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_refused_names_what_to_allow(command: Command) -> None:
    """Every command, and the setting that goes without."""
    with pytest.raises(FirewallRefusedError, match="PFSENSE_LEARN=false") as refused:
        read({command: REFUSED})

    assert f"`{command.text}`: it ended with code 126 and said 'refused" in str(refused.value)
    assert all(f"`{one.text}`" in str(refused.value) for one in COMMANDS)


@pytest.mark.parametrize(
    ("command", "said"), [(survey.INTERFACES, "no address"), (survey.ROUTES, "no route")]
)
def test_an_empty_answer_is_no_answer(command: Command, said: str) -> None:
    """A gate that swallows commands must not pass for a firewall without addresses."""
    for text in ("", "Welcome to the firewall\n"):
        with pytest.raises(FirewallRefusedError, match=said):
            read({command: text})


def test_a_missing_resolver_is_refused() -> None:
    """Every pfSense has one."""
    with pytest.raises(FirewallRefusedError, match=r"resolv.conf"):
        read({survey.RESOLVER: ABSENT})


@pytest.mark.parametrize(
    ("line", "unread"),
    [
        ("\tinet 172.217.0.1 netmask 0x00000000", 0),
        ("\tinet 172.217.0.1 netmask 0xfe000000", 0),
        ("\tinet6 2001:db8:7::1 prefixlen 0", 0),
        ("\tinet6 2001:db8:7::1 prefixlen 31", 0),
        ("\tinet 172.217.0.1 netmask 0xff00ff00", 1),
    ],
)
def test_a_network_too_wide_to_be_ones_own_counts_by_its_address(line: str, unread: int) -> None:
    """A slip of the mask must not switch all blocking off."""
    text = f"em7: flags=8843<UP,BROADCAST,RUNNING> metric 0 mtu 1500\n{line}\n"
    found = read({survey.INTERFACES: IFCONFIG + text})

    assert holds(found, line.split()[1])
    assert not holds(found, "172.217.0.2")
    assert not holds(found, "2001:db8:7::2")
    assert (unread, 1 - unread) == (found.unread, len(found.wide))


@pytest.mark.parametrize(
    "route",
    [
        "default            203.0.113.129      UGS         9   1500        em1\n",
        "0.0.0.0/1          link#2             US          9   1500        em1\n",
        "128.0.0.0/1        192.168.1.9        UGS         9   1500        em1\n",
        "2000::/3           fe80::9%em1        UGS         9   1500        em1\n",
    ],
)
def test_an_interface_with_a_way_to_everywhere_is_the_providers_side(route: str) -> None:
    """Also where a VPN halves the default route."""
    found = read({survey.ROUTES: NETSTAT + route})

    assert {"198.51.100.0/26", "127.0.0.0/8"} == texts(found, "network")


def test_a_network_that_holds_a_gateway_out_is_the_providers() -> None:
    """Whatever interface a second address of it stands on."""
    text = (
        "em7: flags=8843<UP,BROADCAST,RUNNING> metric 0 mtu 1500\n"
        "\tinet 203.0.113.3 netmask 0xffffff00 broadcast 203.0.113.255\n"
    )
    found = read({survey.INTERFACES: IFCONFIG + text})

    assert holds(found, "203.0.113.3")
    assert not holds(found, "203.0.113.77")


def test_without_any_way_out_no_network_is_taken_whole() -> None:
    """The line is down: which side is the provider's can't be told."""
    routes = "".join(line for line in NETSTAT.splitlines(keepends=True) if "default" not in line)
    rules = "block drop in all\n"

    assert set() == texts(read({survey.ROUTES: routes, survey.RULES: rules}), "network")


def test_pppoe_has_its_peer_for_a_gateway() -> None:
    """`inet A --> B`, and a default route without an address."""
    ifconfig = (
        "pppoe0: flags=10088d1<UP,POINTOPOINT,RUNNING,NOARP,SIMPLEX,MULTICAST> metric 0 mtu 1492\n"
        "\tinet 198.18.9.9 --> 198.18.0.254 netmask 0xffffffff\n"
        "\tinet6 fe80::a%pppoe0 --> fe80::b%pppoe0 prefixlen 128 scopeid 0x9\n"
    )
    routes = "default            link#9             US          9   1492     pppoe0\n"
    found = read({survey.INTERFACES: ifconfig, survey.ROUTES: routes, survey.RULES: ""})

    assert {"198.18.0.254", "fe80::b"} == texts(found, "gateway")
    assert {"198.18.9.9", "fe80::a"} == texts(found, "interface")
    assert set() == texts(found, "network")


def test_what_cannot_be_read_is_counted() -> None:
    """And all else is found."""
    found = read(
        {
            survey.RESOLVER: "nameserver 9.9.9.9\nnameserver\nnameserver bogus\n",
            survey.SESSION: "somebody 1 192.0.2.300 22",
        }
    )
    assert 3 == found.unread
    assert {"9.9.9.9"} <= texts(found, "DNS server")


def test_the_same_answers_give_the_same_order() -> None:
    """Whoever compares two surveys sees a change only where there is one."""
    ordered = read().ordered()

    assert list(ordered["interface"]) == sorted(
        ordered["interface"], key=lambda one: (one.version, one)
    )
    assert ip_network("203.0.113.2/32") in ordered["interface"]


def test_the_defaults_of_the_stand_in_name_private_addresses_alone() -> None:
    """No test's attacker may be among them."""
    said = {
        survey.INTERFACES: INTERFACES,
        survey.ROUTES: ROUTES,
        survey.RULES: RULES,
        survey.RESOLVER: RESOLVER,
    }
    found = survey.read([Reply(0, said.get(command, "")) for command in COMMANDS])

    networks = [network for each in found.kinds.values() for network in each]
    assert all(network.is_private for network in networks)
    assert 8 < len(networks)


LINES = "".join(ANSWERS.values()).splitlines()


@given(
    st.lists(
        st.lists(st.sampled_from(LINES) | st.text(max_size=40), max_size=8), min_size=8, max_size=8
    )
)
def test_no_answer_raises_anything_but_a_refusal(answers: list[list[str]]) -> None:
    """Whatever lines arrive in whatever place."""
    try:
        found = survey.read([Reply(0, "\n".join(lines)) for lines in answers])
    except FirewallRefusedError:
        return
    assert found.ordered()
