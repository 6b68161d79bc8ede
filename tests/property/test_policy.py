"""What holds for any verdict, any history, and any flood: never-block, promotion, budget."""

from __future__ import annotations

from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import TYPE_CHECKING

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant
from hypothesis.stateful import rule as step

from ai_suricata.core.address import parse_address, parse_network
from ai_suricata.core.decision import LIVE, LedgerEntry, LedgerState, Table
from ai_suricata.core.verdict import Action
from ai_suricata.respond.budget import MINUTE, Budget
from ai_suricata.respond.escalation import LIFTED_BY_HAND
from ai_suricata.respond.never_block import ALWAYS, NeverBlock
from ai_suricata.respond.policy import rule
from ai_suricata.respond.promotion import Neighbours, demoted, promote
from fakes.response import NOW, decision, respond_settings, verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ai_suricata.config.respond import RespondSettings
    from ai_suricata.core.address import Network
    from ai_suricata.core.decision import Decision
    from ai_suricata.core.verdict import Verdict

OWN = ("203.0.113.77", "198.51.100.0/26", "192.0.2.128/25", "2001:db8:7::/48", "2001:db8:1:2::5")
LISTED = tuple(ip_network(text) for text in (*ALWAYS, *OWN))
NEVER = NeverBlock({"NEVER_BLOCK": [ip_network(text) for text in OWN]})
TEREDO, OWN_NAT64 = IPv6Network("2001::/32"), IPv6Network("64:ff9b:1::/48")
_LAST_BITS = ("::ffff:0:0", "::", "64:ff9b::")


def _tunnelled(listed: IPv4Network) -> list[Network]:
    """Return the IPv6 networks whose addresses stand for those of an IPv4 network."""
    low, length = int(listed.network_address), listed.prefixlen
    ends = [IPv6Network((int(IPv6Address(base)) + low, 96 + length)) for base in _LAST_BITS]
    return [*ends, IPv6Network(((0x2002 << 112) + (low << 80), 16 + length))]


TOUCHY: tuple[Network, ...] = (
    *LISTED,
    *(wide for listed in LISTED if isinstance(listed, IPv4Network) for wide in _tunnelled(listed)),
)


def touches(target: str) -> bool:
    """Say whether an address, or its /64, is on the list: by another way than `NeverBlock`."""
    network = parse_network(target)
    if any(network.version == other.version and network.overlaps(other) for other in TOUCHY):
        return True
    if not isinstance(network, IPv6Network):
        return False
    if not (network.subnet_of(TEREDO) or network.subnet_of(OWN_NAT64)):
        return False
    teredo = network.network_address.teredo
    carried = IPv4Address(int(network.network_address) & 0xFFFF_FFFF)
    client = teredo[1] if teredo is not None else carried
    return network.prefixlen < 128 or any(client in listed for listed in LISTED)


_NEAR = ("203.0.113.0", "198.51.100.0", "192.0.2.0", "10.0.0.0", "8.8.8.0", "100.63.255.0")
_NEAR_V6 = (
    *("2001:db8:1:2::", "2001:db8:7:1::", "2001:db8:9::", "64:ff9b::cb00:7100", "64:ff9b::a00:0"),
    *("64:ff9b:1:99f2:5f62:394a:e000:0", "64:ff9b:1::cb00:7100"),
    "2001:0:c000:22d:8000:63bf:39cc:9bc0",  # Teredo of 198.51.100.63, and downwards
    *("2002:cb00:714d:1::", "2002:cb00:7107:1::", "2001:0:c000:22d:8000:63bf:34ff:8e00", "fe80::"),
)
_near = st.builds(
    lambda base, host: IPv4Address(base) + host, st.sampled_from(_NEAR), st.integers(0, 255)
)
_near_v6 = st.builds(
    lambda base, host: IPv6Address(base) + host, st.sampled_from(_NEAR_V6), st.integers(0, 255)
)
addresses = (_near | _near_v6 | st.ip_addresses()).map(lambda found: str(parse_address(str(found))))
times = st.integers(-90_000, 10).map(lambda seconds: NOW + seconds)
verdicts = st.builds(
    verdict,
    addresses,
    times,
    action=st.sampled_from([Action.BLOCK, Action.RATE_LIMIT, *Action]),
    home=st.sampled_from([False] * 9 + [True]),
    written=st.just(-1) | times.map(lambda seconds: int(seconds * 1_000_000)),
)


@st.composite
def targets(draw: st.DrawFn) -> str:
    """Return an address, or a network of any size around one."""
    address = parse_address(draw(addresses))
    length = draw(st.integers(0, address.max_prefixlen) | st.just(address.max_prefixlen))
    network = ip_network(f"{address}/{length}", strict=False)
    return str(address) if length == address.max_prefixlen else str(network)


@st.composite
def entries(draw: st.DrawFn) -> LedgerEntry:
    """Return what a ledger could hold of a target."""
    made = decision(
        draw(targets()),
        draw(times),
        table=draw(st.sampled_from(list(Table))),
        step=draw(st.integers(0, 3)),
        by_hand=draw(st.booleans()),
    )
    notes = st.sampled_from(["", "never blocked: home", "budget: more", f"{LIFTED_BY_HAND}: me"])
    state = draw(st.sampled_from(list(LedgerState)))
    return LedgerEntry(made, state, draw(times), draw(times) + 600, draw(notes))


@cache
def reading(**variables: float) -> RespondSettings:
    """Return settings; reading them anew for each example would take longer than the example."""
    return respond_settings(**{name: str(value) for name, value in variables.items()})


class Known:
    """A history out of entries, the last of each target and table."""

    def __init__(self, held: Sequence[LedgerEntry]) -> None:
        self.held = {(e.target, e.decision.table): e for e in held}

    def latest(self, target: str, table: Table) -> LedgerEntry | None:
        """Look the target up."""
        return self.held.get((target, table))

    def covering(self, target: str, table: Table) -> LedgerEntry | None:
        """Look at each network in turn."""
        asked = parse_network(target)
        for entry in self.held.values():
            if entry.decision.table is not table or entry.state not in LIVE:
                continue
            if "/" in entry.target and _holds(parse_network(entry.target), asked):
                return entry
        return None


def _holds(network: Network, other: Network) -> bool:
    return network.prefixlen <= other.prefixlen and other.network_address in network


def promoted(
    occasion: Decision,
    offenders: Sequence[LedgerEntry],
    history: Sequence[LedgerEntry] = (),
    *,
    never_block: NeverBlock = NEVER,
    threshold: int = 2,
    bystander: str | None = None,
) -> Decision | None:
    """Ask whether the network of a decision's target is to be blocked."""
    known = Neighbours()
    known.changed(offenders)
    limits = reading(PROMOTE_IPV4=threshold, PROMOTE_IPV6=threshold)
    return promote(
        occasion, known, Known(history), never_block, lambda _network: bystander, limits, NOW
    )


@settings(max_examples=250, deadline=None)
@given(verdicts, st.lists(entries(), max_size=8))
def test_no_verdict_and_no_history_leads_to_a_block_on_never_block(
    given_verdict: Verdict, history: list[LedgerEntry]
) -> None:
    """Whatever was forged, refused, lifted or blocked before."""
    ruling = rule(given_verdict, Known(history), NEVER, reading(), NOW)

    assume(ruling is not None)
    assert ruling is not None
    assert given_verdict.address == ruling.decision.target
    assert touches(given_verdict.address) == ruling.refused.startswith("never blocked")


_occasions = st.builds(
    decision,
    targets(),
    table=st.sampled_from([Table.BLOCK] * 3 + [Table.LIMIT]),
    by_hand=st.sampled_from([False] * 5 + [True]),
)
_offenders = st.lists(addresses, max_size=12)


def _blocked(texts: Sequence[str]) -> list[LedgerEntry]:
    return [LedgerEntry(decision(t), LedgerState.ENFORCED, NOW, NOW + 600) for t in texts]


def _clustered(base: str, numbers: set[int]) -> list[str]:
    return [str(parse_address(base) + number) for number in numbers]


_clusters = st.builds(
    _clustered, st.sampled_from([*_NEAR, *_NEAR_V6]), st.sets(st.integers(0, 255), min_size=1)
)


@settings(max_examples=300, deadline=None)
@given(_clusters, _offenders, st.lists(entries(), max_size=8), _occasions)
def test_no_network_that_touches_never_block_is_ever_blocked(
    cluster: list[str], others: list[str], history: list[LedgerEntry], odd: Decision
) -> None:
    """Whoever offends, and whatever is the occasion; the same holds for what it is broken into."""
    offenders = [*_blocked([*cluster, *others]), *history]
    for occasion in (decision(cluster[0]), odd):
        found = promoted(occasion, offenders, history)
        if found is None:
            continue
        network = parse_network(found.target)
        assert not touches(found.target)
        assert {True} == {parse_address(member) in network for member in found.members}
        assert occasion.target in found.members
        parts = demoted(LedgerEntry(found, LedgerState.ENFORCED, NOW, NOW + 600), cluster[-1])
        assert not any(touches(part.target) for part in parts)
        assert cluster[-1] not in {part.target for part in parts}


@settings(max_examples=200, deadline=None)
@given(_clusters, _offenders, st.lists(entries(), max_size=4), st.integers(1, 6))
def test_more_offenders_never_save_a_network_nor_does_a_lower_threshold(
    cluster: list[str], others: list[str], history: list[LedgerEntry], threshold: int
) -> None:
    """Promotion is monotone: in who offends, and against what protects."""
    occasion = decision(cluster[0])
    some = _blocked(cluster)
    few = promoted(occasion, some, history, threshold=threshold)
    more = promoted(occasion, [*some, *_blocked(others)], history, threshold=threshold)
    lower = promoted(occasion, some, history, threshold=max(1, threshold - 1))

    if few is not None:
        assert more is not None
        assert lower is not None
        assert set(few.members) <= set(more.members)
        spared = NeverBlock({"NEVER_BLOCK": [ip_network(cluster[-1])]})
        assert promoted(occasion, some, history, never_block=spared, threshold=threshold) is None
        assert promoted(occasion, some, history, threshold=threshold, bystander=cluster[-1]) is None


class BudgetMachine(RuleBasedStateMachine):
    """Asks for entries at growing times, with restarts anywhere between."""

    LIMIT, PAUSE, TOTAL = 3, 150.0, 12

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.standing = 0
        self.ledger: list[LedgerEntry] = []
        self.admitted: dict[Table, list[float]] = {table: [] for table in Table}
        self.closed_until: dict[Table, float] = dict.fromkeys(Table, 0.0)
        self.restart()

    @step()
    def restart(self) -> None:
        """Begin anew with what is on disk, as after a crash."""
        self.budget = Budget(
            reading(BLOCKS_PER_MINUTE=self.LIMIT, BUDGET_PAUSE=self.PAUSE, BLOCKS_TOTAL=self.TOTAL)
        )
        self.budget.recall(self.ledger, self.now)

    @step(gap=st.integers(0, 140).map(lambda halves: halves / 2))
    def wait(self, gap: float) -> None:
        """Let up to 70 seconds go by."""
        self.now += gap

    @step(table=st.sampled_from(list(Table)), count=st.integers(1, 5))
    def ask(self, table: Table, count: int) -> None:
        """Ask for some entries at once; what is admitted is on disk at once."""
        for _ in range(count):
            had = self.admitted[table]
            if self.budget.admit(table, self.now, self.standing):
                if self.standing < self.TOTAL and had:
                    self.closed_until[table] = had[-1] + self.PAUSE
                continue
            assert self.standing < self.TOTAL
            assert self.now >= self.closed_until[table]
            had.append(self.now)
            self._write(table)

    @step(count=st.integers(0, 14))
    def fill(self, count: int) -> None:
        """Let so many entries stand."""
        self.standing = count

    @step(table=st.sampled_from(list(Table)), refused=st.booleans())
    def note(self, table: Table, refused: bool) -> None:  # noqa: FBT001 - hypothesis hands it over by name
        """Write what the budget was not asked for: a refusal, or an order of the operator."""
        state = LedgerState.REFUSED if refused else LedgerState.REQUESTED
        self._write(table, state, by_hand=not refused)

    @invariant()
    def no_minute_has_more_than_it_may(self) -> None:
        """From any entry on, a minute later at most so many were admitted, table by table."""
        for had in self.admitted.values():
            for first, over in zip(had, had[self.LIMIT :], strict=False):
                assert over - first > MINUTE

    @invariant()
    def the_gauge_says_whether_anything_is_decided(self) -> None:
        """Say that the breaker is open whenever it would admit nothing."""
        for table in Table:
            if self.now < self.closed_until[table]:
                assert self.budget.open(table, self.now)

    def _write(
        self,
        table: Table,
        state: LedgerState = LedgerState.ENFORCED,
        *,
        by_hand: bool = False,
    ) -> None:
        target = str(IPv4Address("203.0.113.0") + len(self.ledger))
        made = decision(target, self.now, table=table, by_hand=by_hand)
        self.ledger.append(LedgerEntry(made, state, self.now, self.now + 600))


TestBudget = BudgetMachine.TestCase
TestBudget.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
