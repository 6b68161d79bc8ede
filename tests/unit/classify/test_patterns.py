"""What the patterns make of attackers and of ordinary clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_suricata.classify.ensemble import Classifier
from ai_suricata.classify.model import join
from ai_suricata.classify.patterns import PATTERNS, combine
from ai_suricata.classify.vectors import Vectors, ramp
from ai_suricata.core.schema import FEATURES, INDEX
from ai_suricata.core.verdict import Action, Level
from fakes import eve

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ai_suricata.classify.patterns import Pattern
    from ai_suricata.core.verdict import Verdict

# How hard each pattern is driven, as feature values for a strength n.
_DRIVEN = {
    "port_scan": {"failed_ports": 1, "ports_per_destination": 1, "failed_ratio": 1, "flows": 1},
    "network_scan": {"failed_destinations": 1, "destinations_per_port": 1, "failed_ratio": 1},
    "brute_force": {"login_attempts": 1},
    "denial_of_service": {"flow_rate": 1, "flows": 60, "proven_flow_rate": 1, "proven_flows": 60},
    "web_scan": {"http_errors": 1, "http_distinct": 1, "http_requests": 1, "http_error_ratio": 1},
    "attack_signature": {
        "attack_alerts": 2,
        "attack_signatures": 1,
        "proven_attack_alerts": 2,
        "proven_attack_signatures": 1,
    },
    "dns_tunnel": {"dns_names": 1, "dns_queries": 1, "dns_carriers": 1, "dns_name_length": 2},
    "beaconing": {"day_beats": 1, "day_beat_ratio": 1, "day_proven_flows": 1},
}
_RATIOS = {"failed_ratio", "http_error_ratio", "day_beat_ratio"}
_ATTACKS = [pattern for pattern in PATTERNS if pattern.name not in {"beaconing", "dns_tunnel"}]
"""Those that can lead to a block by themselves."""


def vector(**values: float) -> NDArray[np.float64]:
    """Return a matrix of one row in which only `values` are not 0."""
    matrix = np.zeros((1, len(FEATURES)))
    for name, value in values.items():
        matrix[0, INDEX[name]] = value
    return matrix


def driven(pattern: Pattern, strength: int) -> NDArray[np.float64]:
    """Return the vector of an attack of this kind."""
    rates = _DRIVEN[pattern.name].items()
    return vector(
        **{name: min(rate * strength, 1 if name in _RATIOS else 1e9) for name, rate in rates}
    )


def verdicts_of(matrix: NDArray[np.float64]) -> list[Verdict]:
    """Return what patterns alone think of strangers with these vectors."""
    count = len(matrix)
    classifier = Classifier(eve.settings().classify)
    columns = (np.zeros(count, np.bool_), np.zeros(count, np.int64))
    return classifier.classify([eve.STRANGER] * count, *columns, matrix)[0]


def verdict_of(matrix: NDArray[np.float64]) -> Verdict:
    """Return what patterns alone think of one stranger."""
    return verdicts_of(matrix)[0]


@pytest.mark.parametrize("pattern", _ATTACKS, ids=lambda pattern: pattern.name)
def test_a_pattern_alone_reaches_every_level_from_info_to_critical(pattern: Pattern) -> None:
    """As the attack grows stronger, step by step, and never weaker in between."""
    found = verdicts_of(np.concatenate([driven(pattern, strength) for strength in range(700)]))
    scores = [verdict.score for verdict in found]

    assert set(Level) == {verdict.level for verdict in found}
    assert sorted(scores) == scores
    assert (0, 1) == (scores[0], scores[-1])


def test_beaconing_alone_is_never_acted_on() -> None:
    """Updates and monitoring come at equal intervals as well: they are noted, however many."""
    (pattern,) = (pattern for pattern in PATTERNS if pattern.name == "beaconing")
    found = verdicts_of(np.concatenate([driven(pattern, strength) for strength in range(700)]))
    scores = [verdict.score for verdict in found]

    assert {Level.INFO, Level.LOW} == {verdict.level for verdict in found}
    assert sorted(scores) == scores


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.name)
def test_a_pattern_is_named_with_its_numbers_once_it_is_recognised(pattern: Pattern) -> None:
    """Its reason says how much there was of what."""
    found = verdict_of(driven(pattern, 700))

    assert pattern.name == found.patterns[0]
    [words] = [
        each for each in found.reasons if each.lower().startswith(pattern.name.replace("_", " "))
    ]
    assert any(digit in words for digit in "123456789")


@pytest.mark.parametrize(
    ("feature", "other"),
    [
        ("day_failed_ports", "day_failed_destinations"),
        ("day_failed_destinations", "day_failed_ports"),
    ],
)
def test_a_slow_scan_reaches_critical_within_the_day(feature: str, other: str) -> None:
    """Over the day, where nothing stands out in ten minutes."""
    failed = {other: 1, "failed_ratio": 1, "day_failed_ratio": 1}
    rows = [vector(**{feature: count}, **failed) for count in range(500)]
    levels = [verdict.level for verdict in verdicts_of(np.concatenate(rows))]

    assert set(Level) == set(levels)


def test_slow_guessing_of_passwords_reaches_critical_within_the_day() -> None:
    """A password every two minutes."""
    assert Level.CRITICAL == verdict_of(vector(day_login_attempts=700)).level


def test_a_flood_of_requests_is_a_denial_of_service() -> None:
    """Requests inside few connections count too."""
    found = verdict_of(vector(http_rate=900, http_requests=20_000))

    assert ("denial_of_service",) == found.patterns
    assert Action.BLOCK == found.action


_SCORES = st.floats(min_value=0, max_value=1)
_COLUMN = st.lists(_SCORES, min_size=len(PATTERNS), max_size=len(PATTERNS))


@given(_COLUMN, _SCORES, st.integers(min_value=0, max_value=len(PATTERNS) - 1), _SCORES)
def test_joined_scores_stay_in_range_and_never_fall_when_evidence_grows(
    column: list[float], anomaly: float, which: int, more: float
) -> None:
    """0..1, at least the strongest pattern, and monotone in each pattern and in the anomaly."""

    def score(patterns: list[float], odd: float) -> float:
        return float(join(combine(np.array(patterns)[:, None]), np.array([odd]))[0])

    grown = [*column]
    grown[which] = max(column[which], more)
    before = score(column, anomaly)

    assert 0 <= before <= 1
    assert before >= max(column) - 1e-12
    assert score(grown, anomaly) >= before - 1e-12
    assert score(column, max(anomaly, more)) >= before - 1e-12


def test_nothing_joins_to_0_and_certainty_to_1() -> None:
    """Both ends of the range are reached."""
    nothing, certain = np.zeros((len(PATTERNS), 1)), np.ones((len(PATTERNS), 1))

    assert [0.0] == join(combine(nothing), np.zeros(1)).tolist()
    assert [1.0] == join(combine(certain), np.zeros(1)).tolist()


def test_what_is_unusual_alone_is_logged_and_never_acted_upon() -> None:
    """The oddest behaviour without any pattern stays below MEDIUM."""
    assert 0.3 <= float(join(np.zeros(1), np.ones(1))[0]) < 0.5


_VALUES = st.floats(min_value=0, max_value=2.0**40)


@given(st.lists(_VALUES, min_size=len(FEATURES), max_size=len(FEATURES)))
def test_no_vector_brings_a_pattern_out_of_range(values: list[float]) -> None:
    """Scores are 0..1 even where features contradict each other, and reasons can be written."""
    vectors = Vectors(np.array([values]))
    for pattern in PATTERNS:
        assert 0 <= float(pattern.score(vectors)[0]) <= 1
        assert 0 <= float(pattern.proven(vectors)[0]) <= 1
        assert pattern.words.format(**vectors.row(0))


@given(st.lists(_VALUES, min_size=len(FEATURES), max_size=len(FEATURES)))
def test_every_verdict_from_low_on_has_a_reason_with_a_number(values: list[float]) -> None:
    """Nobody is accused without being told of what."""
    found = verdict_of(np.array([values]))

    assert (found.level > Level.INFO) == bool(found.reasons)
    assert all(any(c.isdigit() for c in reason) for reason in found.reasons[:1])


def test_a_ramp_begins_at_half_of_its_first_step_and_ends_at_its_last() -> None:
    """Linear in between."""
    values = np.array([0.0, 4.0, 6.0, 8.0, 12.0, 16.0, 1e9])
    scores = ramp(values, (8, 0.4), (16, 1.0))

    assert pytest.approx([0, 0, 0.2, 0.4, 0.7, 1.0, 1.0]) == scores.tolist()


# --- Ordinary clients ---------------------------------------------------------------------------


def _ping(at: float) -> eve.Record:
    return eve.silent(at=at, port=None, proto="ICMP")


_MISTYPED = [eve.refused(at=n * 5, port=port) for n, port in enumerate((81, 8080, 8443))]
_OFFICE = [eve.http(at=n * 0.6) if n % 3 else eve.flow(at=n * 0.6) for n in range(900)]
_PEER_TO_PEER = [
    eve.silent(eve.STRANGER, f"198.18.{n // 250}.{n % 250}", at=n, port=1024 + 37 * n, proto="UDP")
    if n % 3
    else eve.flow(eve.STRANGER, f"198.19.{n // 250}.{n % 250}", at=n, port=1024 + 41 * n)
    for n in range(600)
]
_CRAWLER = [
    eve.http(at=n * 0.5, url=f"/page/{n}", status=404 if n % 25 == 0 else 200) for n in range(1000)
]
_TOKEN = [eve.http(at=n * 8, url="/api/v1/items", status=401) for n in range(70)]
_MONITORING = [
    record
    for n in range(60)
    for record in (eve.flow(at=n * 10), eve.http(at=n * 10 + 1), _ping(n * 10 + 2))
]
_ADMINISTRATOR = [eve.login(at=n * 60) for n in range(5)]
_ONE_SIGNATURE = [eve.alert(at=n, app_proto="http") for n in range(300)]


@pytest.mark.parametrize(
    ("records", "below"),
    [
        pytest.param(_MISTYPED, Level.LOW, id="a mistyped port"),
        pytest.param(_OFFICE, Level.LOW, id="an office behind one address"),
        pytest.param(_PEER_TO_PEER, Level.MEDIUM, id="a peer-to-peer client"),
        pytest.param(_CRAWLER, Level.LOW, id="a crawler with a few broken links"),
        pytest.param(_TOKEN, Level.HIGH, id="an API client whose token has run out"),
        pytest.param(_MONITORING, Level.LOW, id="monitoring"),
        pytest.param(_ADMINISTRATOR, Level.LOW, id="an administrator who logs in"),
        pytest.param(_ONE_SIGNATURE, Level.HIGH, id="a client that one signature is wrong about"),
    ],
)
def test_an_ordinary_client_stays_below(records: list[eve.Record], below: Level) -> None:
    """No client of this kind is acted against."""
    assert eve.worst(records).level < below


def test_one_signature_alone_scores_065_at_most_however_often_it_matches() -> None:
    """It may be wrong about a client; a second one makes the difference."""
    two = [*_ONE_SIGNATURE, eve.alert(at=301, sid=2_000_002, app_proto="http")]

    assert 0.65 == eve.worst(_ONE_SIGNATURE).score
    assert eve.worst(two).score > 0.65


@pytest.mark.parametrize("distinct", [1, 5000], ids=["one address", "each request another"])
@pytest.mark.parametrize("count", [600, 5000])
def test_http_that_is_denied_for_ever_is_never_a_block(count: int, distinct: int) -> None:
    """A client whose token has run out looks like one that guesses passwords."""
    records = [
        eve.http(at=n * 600 / count, url=f"/api?page={n % distinct}", status=401)
        for n in range(count)
    ]

    assert Action.BLOCK != eve.worst(records).action


def test_one_missing_file_that_is_asked_for_again_and_again_is_no_web_scan() -> None:
    """A feed reader does not forget."""
    records = [eve.http(at=n * 2, url="/feed.xml", status=404) for n in range(290)]

    assert eve.worst(records).level < Level.HIGH


# --- Attackers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("records", "pattern", "action"),
    [
        pytest.param(
            [eve.refused(at=n * 0.01, port=n) for n in range(1, 300)],
            "port_scan",
            Action.RATE_LIMIT,
            id="SYN scan",
        ),
        pytest.param(
            [
                eve.silent(dest=f"10.0.{n // 200}.{n % 200}", at=n * 0.1, port=None, proto="ICMP")
                for n in range(400)
            ],
            "network_scan",
            Action.RATE_LIMIT,
            id="ICMP sweep",
        ),
        pytest.param(
            [eve.silent(at=n * 0.001, port=9, proto="UDP") for n in range(2000)],
            "denial_of_service",
            Action.RATE_LIMIT,
            id="UDP flood",
        ),
        pytest.param(
            [eve.login(at=n) for n in range(80)], "brute_force", Action.BLOCK, id="ssh passwords"
        ),
        pytest.param(
            [eve.guess(f"{n}", at=n) for n in range(80)],
            "brute_force",
            Action.BLOCK,
            id="ftp passwords",
        ),
        pytest.param(
            [eve.http(at=n, url=f"/{n}.php", status=404) for n in range(160)],
            "web_scan",
            Action.BLOCK,
            id="web scan",
        ),
        pytest.param(
            [eve.alert(at=n, sid=n % 9, app_proto="http") for n in range(90)],
            "attack_signature",
            Action.BLOCK,
            id="web exploits",
        ),
        pytest.param(
            [eve.flow(at=n * 0.001) for n in range(2000)],
            "denial_of_service",
            Action.BLOCK,
            id="flood of connections",
        ),
    ],
)
def test_an_attacker_is_critical_and_blocked_where_a_handshake_proves_who_it_is(
    records: list[eve.Record], pattern: str, action: Action
) -> None:
    """Where a forger could have sent it all, BLOCK becomes RATE_LIMIT, and the level stays."""
    found = eve.worst(records)
    unguarded = eve.worst(records, SPOOF_GUARD="false")

    assert (Level.CRITICAL, action, pattern) == (found.level, action, found.patterns[0])
    assert action == found.action
    assert (action is Action.RATE_LIMIT) == ("spoof guard" in found.reasons[-1])
    assert (Level.CRITICAL, Action.BLOCK) == (unguarded.level, unguarded.action)
    assert found.score == unguarded.score
    assert "spoof guard" not in unguarded.reasons[-1]


def test_two_trusted_signatures_about_one_who_was_never_served_are_an_attack() -> None:
    """Of a client who was served, or with signatures that err, they are less."""
    several = {"attack_alerts": 2, "attack_signatures": 2, "trusted_alerts": 2}
    served = several | {"day_proven_flows": 1}
    doubtful = several | {"trusted_alerts": 1.9}

    assert Level.HIGH <= verdict_of(vector(**several)).level
    assert Level.HIGH > verdict_of(vector(**served)).level
    assert Level.HIGH > verdict_of(vector(**doubtful)).level


@pytest.mark.parametrize("feature", ["day_failed_ports", "day_failed_destinations"])
def test_a_busy_host_is_no_slow_scanner(feature: str) -> None:
    """Most of what it asked for in the day was answered, though the last minutes all failed."""
    busy = {feature: 100, "failed_ratio": 1, "day_failed_ratio": 0.1}

    assert Level.LOW > verdict_of(vector(**busy)).level


def test_a_program_with_an_old_password_is_watched_and_not_blocked() -> None:
    """It gives the same name and password for days, every few seconds."""
    records = [eve.guess("old", at=10.0 * n) for n in range(400)]
    found = eve.analysis().lines([eve.line(record) for record in records]).verdicts

    assert Level.HIGH > max(verdict.level for verdict in found)


def test_what_is_tried_besides_an_old_password_counts_whole() -> None:
    """Sixty refusals of one password do not make up for guesses elsewhere."""
    stale = {"login_attempts": 60, "day_login_attempts": 60, "day_login_denied": 60}
    pattern = next(each for each in PATTERNS if each.name == "brute_force")

    def score(**more: float) -> float:
        given = Vectors(vector(**{**stale, "day_passwords": 1, **more}))
        return float(pattern.score(given)[0])

    assert 0.5 == score()
    assert 1.0 == score(day_passwords=9)
    assert 1.0 == score(proven_destinations=3)
    assert 1.0 == score(login_attempts=120, day_login_attempts=120)
