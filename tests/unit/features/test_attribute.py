"""Whose behaviour an event counts for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ai_suricata.config.settings import PRIVATE_NETWORKS
from ai_suricata.core.address import parse_network
from ai_suricata.features.attribute import COUNTED, INFORMATION, MALWARE, Attribution
from ai_suricata.features.home import HomeNetwork
from fakes import eve
from fakes.eve import PEER, SERVER, STRANGER, TROJAN, WORKSTATION


@pytest.fixture
def attribution() -> Attribution:
    """Return an attribution of the default home network, which has seen nothing."""
    return Attribution(HomeNetwork([parse_network(text) for text in PRIVATE_NETWORKS]))


def owner(attribution: Attribution, record: dict[str, Any]) -> str | None:
    """Return the address that the record counts for."""
    parties = attribution.parties(eve.event(record))
    return None if parties is None else parties[0].address


@pytest.mark.parametrize("src", [STRANGER, WORKSTATION])
@pytest.mark.parametrize("kind", ["flow", "http", "tls", "ssh", "ftp", "dns", "anomaly"])
def test_an_event_counts_for_the_one_who_opened_the_connection(
    attribution: Attribution, kind: str, src: str
) -> None:
    """Whether the opener is a stranger or at home."""
    records = {
        "flow": eve.flow(src),
        "http": eve.http(src),
        "ftp": eve.ftp(src),
        "dns": eve.dns(src),
    }

    assert src == owner(attribution, records.get(kind, eve.other(kind, src)))


def test_an_alert_counts_for_the_opener_of_its_flow_whichever_side_the_packet_came_from(
    attribution: Attribution,
) -> None:
    """flow.src_ip says who opened it; the alert's src_ip is only the sender of the packet."""
    request = eve.alert(STRANGER, SERVER, opener=STRANGER)
    answer = eve.alert(SERVER, STRANGER, opener=STRANGER, src_port=80, port=40_000)

    assert [STRANGER] * 2 == [owner(attribution, record) for record in (request, answer)]


@pytest.mark.parametrize(
    "opener", ["2001:db8::9", "2001:0DB8:0000:0000:0000:0000:0000:0009", "2001:db8::9%em0"]
)
def test_the_opener_is_known_in_any_spelling(attribution: Attribution, opener: str) -> None:
    """Otherwise an alert on the request would be taken for one on the answer of the victim."""
    record = eve.alert("2001:0db8:0000:0000:0000:0000:0000:0009", "fd00::5", opener=opener)

    assert "2001:db8::9" == owner(attribution, record)


def test_an_opener_who_is_neither_side_is_not_heeded(attribution: Attribution) -> None:
    """The packet then says who acted, as in records without a flow."""
    assert STRANGER == owner(attribution, eve.alert(STRANGER, SERVER, opener="router"))
    assert STRANGER == owner(attribution, eve.alert(STRANGER, SERVER, opener=PEER))


def test_a_resolver_is_known_in_any_spelling(attribution: Attribution) -> None:
    """Its answer to a question for a bad name is no attack of its own."""
    answer = eve.alert(
        "2001:0db8:0000:0000:0000:0000:0000:0053",
        "fd00::20",
        port=40_000,
        src_port=53,
        category=TROJAN,
        opener="fd00::20",
    )

    assert "fd00::20" == owner(attribution, answer)


def test_an_alert_on_the_answer_of_the_victim_counts_for_the_attacker(
    attribution: Attribution,
) -> None:
    """A server that answers with an SQL error is the src_ip of that alert, and did nothing."""
    record = eve.alert(SERVER, STRANGER, port=43_210, src_port=80, direction="to_client")
    unsaid = eve.alert(SERVER, STRANGER, port=43_210, src_port=80)

    assert [STRANGER] * 2 == [owner(attribution, alert) for alert in (record, unsaid)]


@eve.needs_data
def test_the_recorded_alert_whose_source_is_the_victim_counts_for_the_attacker(
    attribution: Attribution,
) -> None:
    """SID 2016672 of a recorded SQL injection has the web server's address as src_ip."""
    records = [json.loads(text) for text in eve.recorded("labelled/cic2017-sqli.json.gz")]
    alerts = [r for r in records if r.get("alert", {}).get("signature_id") == 2_016_672]

    assert alerts
    for record in alerts:
        assert "172.16.0.1" != record["src_ip"]
        assert "172.16.0.1" == owner(attribution, record)


@pytest.mark.parametrize("category", sorted(MALWARE))
def test_outbound_malware_traffic_counts_for_the_peer_outside(
    attribution: Attribution, category: str
) -> None:
    """By the class of the signature: the host at home is the victim."""
    record = eve.alert(WORKSTATION, PEER, opener=WORKSTATION, category=category)

    assert PEER == owner(attribution, record)


def test_the_side_that_a_rule_names_as_the_attacker_is_the_one_outside(
    attribution: Attribution,
) -> None:
    """alert.source is the attacker, whatever the class of the signature."""
    record = eve.alert(WORKSTATION, PEER, opener=WORKSTATION, category=eve.WEB_ATTACK)
    assert WORKSTATION == owner(attribution, record)

    record["alert"] |= {"source": {"ip": PEER}, "target": {"ip": WORKSTATION}}
    assert PEER == owner(attribution, record)

    record["alert"] |= {"source": {"ip": WORKSTATION}, "target": {"ip": PEER}}
    assert WORKSTATION == owner(attribution, record)


@pytest.mark.parametrize("category", sorted(INFORMATION))
def test_the_peer_outside_is_never_blamed_for_policy_or_information(
    attribution: Attribution, category: str
) -> None:
    """Not even where the rule names it as the attacker."""
    record = eve.alert(WORKSTATION, PEER, opener=WORKSTATION, category=category)
    record["alert"]["source"] = {"ip": PEER}

    assert WORKSTATION == owner(attribution, record)


@pytest.mark.parametrize("port", [53, 853, 5353])
@pytest.mark.parametrize("answered", [False, True])
def test_a_resolver_is_not_blamed_for_the_name_that_was_asked_for(
    attribution: Attribution, port: int, *, answered: bool
) -> None:
    """A DNS port, on either side of the packet, makes the peer a resolver."""
    question = eve.alert(WORKSTATION, PEER, port=port, category=TROJAN, opener=WORKSTATION)
    answer = eve.alert(
        PEER, WORKSTATION, src_port=port, port=40_000, category=TROJAN, opener=WORKSTATION
    )

    assert WORKSTATION == owner(attribution, answer if answered else question)


def test_a_resolver_is_known_by_its_protocol_on_any_port(attribution: Attribution) -> None:
    """app_proto dns is enough."""
    record = eve.alert(
        WORKSTATION, PEER, port=8053, category=TROJAN, opener=WORKSTATION, app_proto="dns"
    )

    assert WORKSTATION == owner(attribution, record)


@pytest.mark.parametrize("spelling", [PEER, f"::ffff:{PEER}"])
def test_a_host_that_was_seen_answering_dns_stays_a_resolver(
    attribution: Attribution, spelling: str
) -> None:
    """It may also serve DNS over HTTPS, where the port says nothing."""
    record = eve.alert(WORKSTATION, PEER, port=443, category=TROJAN, opener=WORKSTATION)
    assert PEER == owner(attribution, record)

    answer = eve.dns(spelling, WORKSTATION, kind="answer", ports=(53, 40_000))
    attribution.parties(eve.event(answer))

    assert WORKSTATION == owner(attribution, record)


def test_the_memory_of_resolvers_is_bounded_and_survives_a_snapshot(
    attribution: Attribution,
) -> None:
    """The one that was seen longest ago goes first."""
    for number in range(5000):
        address = f"198.18.{number // 256}.{number % 256}"
        attribution.parties(eve.event(eve.dns(WORKSTATION, address)))

    kept = attribution.export()
    copy = Attribution(attribution.home)
    copy.restore(kept)

    assert 1024 == len(kept)
    assert "198.18.19.135" == kept[-1]
    assert "198.18.0.0" not in kept
    assert kept == copy.export()


@pytest.mark.parametrize("direction", [None, "to_client"])
@pytest.mark.parametrize("kind", ["alert", "anomaly", "dns"])
def test_a_home_host_does_not_own_what_it_answered(
    attribution: Attribution, kind: str, direction: str | None
) -> None:
    """An answer from a service at home counts for the stranger who asked."""
    record = eve.alert(SERVER, STRANGER, port=40_000, src_port=53, direction=direction)
    record |= {"event_type": kind, "dns": {"type": "answer"}}
    if kind != "alert":
        del record["alert"]

    assert STRANGER == owner(attribution, record)


def test_a_home_host_owns_the_malware_alert_of_a_stranger_only_where_it_opened_the_flow(
    attribution: Attribution,
) -> None:
    """An exploit that comes in counts for the stranger, its class notwithstanding."""
    assert STRANGER == owner(attribution, eve.alert(category=TROJAN, opener=STRANGER))


def test_malware_between_two_hosts_at_home_counts_for_the_opener(
    attribution: Attribution,
) -> None:
    """There is no peer outside to blame."""
    record = eve.alert(WORKSTATION, SERVER, category=TROJAN, opener=WORKSTATION)

    assert WORKSTATION == owner(attribution, record)


def test_backscatter_counts_for_nobody(attribution: Attribution) -> None:
    """A flow whose opener sent nothing is the answer to a packet that somebody forged."""
    assert owner(attribution, eve.flow(sent=(0, 0))) is None
    assert owner(attribution, eve.flow(sent=(1, 60))) == STRANGER


def test_a_flow_record_without_counters_counts_for_nobody(attribution: Attribution) -> None:
    """It does not say that anything was sent."""
    record = eve.flow()
    del record["flow"]

    assert owner(attribution, record) is None


def test_a_dns_answer_counts_for_the_host_that_asked(attribution: Attribution) -> None:
    """Answers of older versions have the server as src_ip."""
    record = eve.dns(PEER, WORKSTATION, kind="answer", ports=(53, 51_000))

    assert WORKSTATION == owner(attribution, record)


@pytest.mark.parametrize("kind", ["stats", "fileinfo", "drop", "netflow", "made_up"])
def test_other_kinds_of_event_count_for_nobody(attribution: Attribution, kind: str) -> None:
    """The source of a fileinfo event is whoever sent the file; a drop repeats its alert."""
    assert kind not in COUNTED
    assert owner(attribution, eve.other(kind)) is None


@pytest.mark.parametrize("side", ["src_ip", "dest_ip"])
@pytest.mark.parametrize("value", [None, "", "unknown", "192.0.2.999"])
def test_an_event_without_two_addresses_counts_for_nobody(
    attribution: Attribution, side: str, value: str | None
) -> None:
    """Decoder alerts can lack them."""
    assert owner(attribution, eve.alert() | {side: value}) is None


@pytest.mark.parametrize("spelling", ["::ffff:203.0.113.9", "::FFFF:CB00:7109"])
def test_one_address_in_two_spellings_is_one_owner(attribution: Attribution, spelling: str) -> None:
    """Otherwise half of what a source does would be missing from its row."""
    assert STRANGER == owner(attribution, eve.flow(spelling))
