"""The worth of signatures: who has a vote, what speaks against a source, what can be forged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest

from ai_suricata.core.schema import FEATURE_NAMES
from ai_suricata.features import reputation
from ai_suricata.features.extract import Extractor
from ai_suricata.features.reputation import ENOUGH, MOST_EACH, WHOLE, Reputation, Worth
from fakes import eve

if TYPE_CHECKING:
    from collections.abc import Iterable

SIGNATURE = 7


def extractor() -> Extractor:
    """Return a fresh extractor."""
    return Extractor(eve.settings().features)


def last(found: Extractor, records: Iterable[dict[str, Any]]) -> dict[str, float]:
    """Return the latest vector by name."""
    points = found.observe([eve.event(record) for record in records])
    return dict(zip(FEATURE_NAMES, points.matrix[-1].tolist(), strict=True))


def visited(found: Reputation, source: str, answers: int = ENOUGH) -> None:
    """Let a client raise the signature, and get what it asked for so many times."""
    found.raised(source, SIGNATURE, proven=True)
    for _ in range(answers):
        found.did_right(source)


def worth(found: Reputation) -> Worth:
    """Return what the signature is worth where a stranger's packets raise it."""
    return found.raised("stranger", SIGNATURE, proven=False)


def test_a_signature_that_ordinary_clients_raise_loses_its_weight() -> None:
    """It is wrong about this network: of 4 + n votes 4 are for it."""
    found = Reputation()
    weights = []
    for n in range(40):
        visited(found, f"client {n}")
        weights.append(worth(found).proven_weight)

    assert [WHOLE * 4 // (4 + n) for n in range(1, 41)] == weights


def test_a_worm_that_comes_once_from_each_address_keeps_its_signature() -> None:
    """One visit brings a request and a connection that are answered, which is not enough."""
    found = Reputation()
    for n in range(200):
        visited(found, f"victim {n}", ENOUGH - 1)

    assert (WHOLE, WHOLE) == worth(found)[:2]


def test_a_signature_keeps_its_weight_where_its_sources_do_other_wrong() -> None:
    """Before the alert or after it, before the answers or after them."""
    found = Reputation()
    for n in range(40):
        if n % 2:
            found.did_wrong(f"source {n}")
        visited(found, f"source {n}", n % 5)
        found.did_wrong(f"source {n}")

    assert (WHOLE, WHOLE) == worth(found)[:2]


def test_who_raises_many_signatures_did_wrong() -> None:
    """Ordinary clients raise the one that errs; a scanner raises one after the other."""
    found = Reputation()
    for n in range(20):
        for more in range(MOST_EACH - 1):
            found.raised(f"scanner {n}", 100 + more, proven=True)
        visited(found, f"scanner {n}")

    assert (WHOLE, WHOLE) == worth(found)[:2]


def test_what_fails_speaks_for_the_signature_but_proves_nothing() -> None:
    """Whoever asks in vain looks around; a forged packet can ask in vain too."""
    found = Reputation()
    for n in range(16):
        visited(found, f"source {n}")
        found.failed(f"source {n}")

    assert Worth(WHOLE, WHOLE * 4 // 20, rare=True) == worth(found)


def test_what_fails_does_not_count_twice_beside_what_is_wrong() -> None:
    """In either order."""
    found = Reputation()
    for n in range(16):
        visited(found, f"source {n}")
        for told in (found.failed, found.did_wrong) if n % 2 else (found.did_wrong, found.failed):
            told(f"source {n}")
        visited(found, f"client {n}")
    weight = WHOLE * (16 + 4) // (32 + 4)

    assert Worth(weight, weight, rare=True) == worth(found)


def test_what_fails_makes_nobody_known() -> None:
    """A flood of forged packets must not fill the memory."""
    found = Reputation()
    found.failed("203.0.113.1")
    found.did_right("203.0.113.2")
    found.raised("203.0.113.3", SIGNATURE, proven=False)

    assert () == found.export()[2]


def test_a_source_votes_once_for_a_signature() -> None:
    """However often it raises it: a loud client must not silence a signature."""
    found = Reputation()
    for _ in range(50):
        visited(found, "loud")

    assert WHOLE * 4 // 5 == worth(found).weight


def test_a_source_whose_address_can_be_forged_has_no_vote() -> None:
    """Else a forger could silence a signature before he attacks."""
    found = Reputation()
    for n in range(40):
        found.raised(f"source {n}", SIGNATURE, proven=False)
        for _ in range(ENOUGH):
            found.did_right(f"source {n}")

    assert (WHOLE, WHOLE) == worth(found)[:2]


@pytest.mark.parametrize("proven", [True, False])
def test_a_signature_is_rare_for_the_first_sources_that_raise_it(*, proven: bool) -> None:
    """Three of them; the third may raise it again."""
    found = Reputation()
    rare = [found.raised(f"source {n}", SIGNATURE, proven=proven).rare for n in (1, 2, 3, 3, 4, 1)]

    assert [True, True, True, True, False, False] == rare


def test_forged_alerts_do_not_make_a_signature_common() -> None:
    """Rare among completed connections is rare, whatever is raised outside them."""
    found = Reputation()
    for n in range(9):
        found.raised(f"forged {n}", SIGNATURE, proven=False)

    assert (True, False) == (
        found.raised("real", SIGNATURE, proven=True).rare,
        found.raised("real", SIGNATURE, proven=False).rare,
    )


def test_a_tally_that_was_let_go_does_not_fall_below_nothing() -> None:
    """Nor above its votes: its sources are still remembered, and may do wrong yet."""
    with patch.object(reputation, "MOST_SIGNATURES", 1):
        found = Reputation()
    visited(found, "client")
    found.failed("client")
    found.raised("other", 8, proven=True)
    found.did_wrong("client")

    assert (f"{SIGNATURE} 0 0 0",) == found.export()[0]
    assert (WHOLE, WHOLE) == worth(found)[:2]


def test_alerts_weigh_what_their_signature_is_worth() -> None:
    """In the vector of the source: all of them, and those inside completed handshakes."""
    found = extractor()
    for n in range(20):
        client = f"198.51.100.{n}"
        alert = eve.alert(client, app_proto="http", sid=5)
        found.observe([eve.event(record) for record in (alert, *[eve.http(client)] * ENOUGH)])
    worn = last(found, [eve.alert(app_proto="http", sid=5)])
    fresh = last(extractor(), [eve.alert(app_proto="http", sid=5)])
    unproven = last(extractor(), [eve.alert(sid=5)])

    assert (1, 1, 1) == tuple(
        fresh[name] for name in ("trusted_alerts", "proven_trusted_alerts", "rare_alerts")
    )
    assert 0.166 == worn["trusted_alerts"] == worn["proven_trusted_alerts"]
    assert 0 == worn["rare_alerts"]
    assert (1, 0) == (unproven["trusted_alerts"], unproven["proven_trusted_alerts"])


def test_decoder_alerts_are_worth_nothing() -> None:
    """Checksums that a network card was to fill in are no attack, however rare."""
    record = eve.alert(sid=2_200_074, category="Generic Protocol Command Decode", app_proto="http")
    found = last(extractor(), [record])

    assert (0, 0) == (found["trusted_alerts"], found["rare_alerts"])


def test_what_a_source_does_wrong_is_known_to_the_reputation() -> None:
    """A refused password, a short login, a request that no program makes; not a quote in a link."""
    wrong = [
        eve.ftp("198.51.100.1"),
        eve.login("198.51.100.2"),
        eve.http("198.51.100.3", url="/../../etc/passwd"),
        eve.http("198.51.100.4", url="/?id=1%20UNION%20SELECT%201".replace("%20", " ")),
    ]
    right = [
        eve.http("198.51.100.5", url="/o'neill;v=1?q=select+user+of+/etc/passwd"),
        eve.http("198.51.100.6", status=404),
        eve.refused("198.51.100.7"),
    ]
    found = extractor()
    found.observe([eve.event(record) for record in (*wrong, *right)])

    sources = found.memory.reputation.export()[2]
    assert [f"198.51.100.{n} 1 0 0 " for n in (1, 2, 3, 4)] == list(sources)


def test_what_a_source_that_raised_an_alert_does_next_is_known() -> None:
    """Answers that were good, and what was asked in vain; an error of the server is neither."""
    alert = eve.alert(app_proto="http", sid=SIGNATURE)
    found = extractor()
    after = [eve.http(), eve.flow(), eve.http(status=500), eve.http(status=404)]
    found.observe([eve.event(record) for record in (alert, *after)])
    first = found.memory.reputation.export()[2]
    found.observe([eve.event(eve.refused())])

    assert ((f"{eve.STRANGER} 0 0 2 7",), (f"{eve.STRANGER} 0 1 2 7",)) == (
        first,
        found.memory.reputation.export()[2],
    )
