"""What became of the inputs of the safety test, and what of it must not be."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.safety_input import SEEN, Hostile, Kind
from benchmarks.safety_oracle import Oracle, Prefix, meaning, read

from ai_suricata.core.decision import LedgerState
from fakes.sshd import BLOCK_TABLE, LIMIT_TABLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from benchmarks.safety_input import World

    from ai_suricata.core.decision import LedgerEntry
    from fakes.sshd import Received

BLOCKED, LIMITED, REFUSED = "blocked", "rate-limited", "refused"
NO_ADDRESS, NOT_DECIDED = "no address", "not decided"
FATES = (BLOCKED, LIMITED, REFUSED, NO_ADDRESS, NOT_DECIDED)
_TABLES = {BLOCK_TABLE: BLOCKED, LIMIT_TABLE: LIMITED}
_KILL = "kill"
_ANYWHERE = frozenset({"0.0.0.0/0", "::/0"})
_ANSWERS = {"": None, "refused": REFUSED, "invalid": NO_ADDRESS}
"""What an order by hand may be answered, and what became of the input then; nothing: see pf."""
_REACHES_NEVER_BLOCK = (
    *(Kind.FIREWALL, Kind.VIRTUAL, Kind.GATEWAY, Kind.RESOLVER, Kind.LISTED, Kind.RESERVED),
    Kind.NETWORK,
)
"""Of these some must be refused, or the list was never asked."""


class Word(NamedTuple):
    """One address or network that was sent to pfctl to be acted upon."""

    time: float
    what: str
    """blocked, rate-limited or kill."""
    text: str


def words_of(commands: Iterable[Received]) -> list[Word]:
    """Return all that was ever sent to be put into a table, or to have its connections ended."""
    found: list[Word] = []
    for one in commands:
        words = one.command.split()
        if "-T" in words and words[words.index("-T") + 1] in {"add", "replace"}:
            what = _TABLES[words[words.index("-t") + 1]]
            sent = [*words[words.index("-T") + 2 :], *one.stdin.split()]
            found += [Word(one.time, what, text) for text in sent if text not in {"-f", "-"}]
        elif "-k" in words:
            hosts = [text for text in words[1:] if text != "-k"]
            ends = hosts if len(hosts) == 1 else [one for one in hosts if one not in _ANYWHERE]
            found += [Word(one.time, _KILL, text) for text in ends or hosts]
    return found


class Reach:
    """What of the address space some words cover."""

    def __init__(self, texts: Iterable[str]) -> None:
        """Take the words of a table."""
        known = [prefix for prefix in map(read, texts) if prefix is not None]
        self._hosts = {one for one in known if one.length == one.bits}
        self._networks = [one for one in known if one.length < one.bits]

    def holds(self, prefix: Prefix) -> bool:
        """Whether all of the prefix is covered by one word."""
        return prefix in self._hosts or any(one.holds(prefix) for one in self._networks)

    def touches(self, texts: Iterable[str]) -> bool:
        """Whether any of the addresses is covered."""
        return any(self.holds(prefix_of(text)) for text in texts)


@dataclass
class Outcome:
    """What has been tried, what became of it, and what is wrong with that."""

    fates: Counter[tuple[Kind, str]] = field(default_factory=Counter)
    ways: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    """Why the ledger says no, by the list that says so."""
    words: int = 0
    """How many words were judged."""
    controls: tuple[int, int] = (0, 0)
    """Attackers that had to be blocked, and were."""
    violations: list[str] = field(default_factory=list)
    """Whoever was blocked, and must never be."""
    differences: list[str] = field(default_factory=list)
    """Why the test proves nothing."""

    @property
    def tried(self) -> int:
        """Return how many inputs there were."""
        return self.fates.total()

    @property
    def is_good(self) -> bool:
        """Whether nobody was blocked who must not be, and the test proves that."""
        return not self.violations and not self.differences and self.tried > 0


class Judgement:
    """Holds what was sent against the oracle, and the inputs against what was sent."""

    def __init__(self, oracle: Oracle, outcome: Outcome) -> None:
        """`outcome` is written to."""
        self._oracle = oracle
        self._outcome = outcome

    def words(self, words: Sequence[Word]) -> None:
        """Judge each word by what was protected when it was sent."""
        self._outcome.words = len(words)
        for word in words:
            reason = self._oracle.judge(word.text, word.time)
            if reason is not None:
                self._outcome.violations.append(f"{word.what}: {word.text} ({reason})")

    def held(self, table: str, texts: Iterable[str], at: float) -> None:
        """Judge what is in a table now."""
        for text in texts:
            reason = self._oracle.judge(text, at)
            if reason is not None:
                self._outcome.violations.append(f"in {table}: {text} ({reason})")

    def inputs(
        self,
        inputs: Sequence[Hostile],
        said: Mapping[Hostile, str],
        words: Sequence[Word],
        entries: Iterable[LedgerEntry],
    ) -> None:
        """Tell what became of each input. `said`: what those by hand were told at once."""
        reached = {
            what: Reach(word.text for word in words if word.what == what)
            for what in (BLOCKED, LIMITED)
        }
        refused = {
            read(entry.target): entry.note
            for entry in entries
            if entry.state is LedgerState.REFUSED
        }
        for one in inputs:
            fate = _fate(one, said.get(one, ""), reached, refused)
            self._outcome.fates[one.kind, fate] += 1
            self._outcome.ways[one.way] += 1
            if said.get(one, "") not in _ANSWERS:
                self._outcome.differences.append(f"{one.text[:80]!r} by hand: {said[one]}")
            if one.kind is Kind.SPOOFED and fate == BLOCKED:
                self._outcome.violations.append(f"{one.text}: blocked for forged packets")
        self._outcome.reasons.update(_list_of(note) for note in refused.values())

    def controls(self, world: World, held: Iterable[str]) -> None:
        """Check that the attackers are in the table, and two networks as a whole."""
        outcome, reach = self._outcome, Reach(held)
        wanted = (*world.controls, *world.crowd, *world.beside, *world.turned)
        lacking = [one for one in wanted if not reach.holds(prefix_of(one))]
        outcome.controls = len(wanted), len(wanted) - len(lacking)
        outcome.differences += [f"{one}: an attacker, and not blocked" for one in lacking]
        for network in world.networks:
            if not reach.holds(prefix_of(network)):
                outcome.differences.append(f"{network}: full of attackers, and not blocked whole")

    def reached(self) -> None:
        """Check that the list of the never-blocked was asked for each kind of it."""
        outcome = self._outcome
        for kind in _REACHES_NEVER_BLOCK:
            if not outcome.fates[kind, REFUSED]:
                outcome.differences.append(f"{kind}: none was refused, so none was put to the test")
        for way in SEEN:
            if not outcome.ways[way]:
                outcome.differences.append(f"no input came by {way}")


def _fate(
    one: Hostile,
    said: str,
    reached: Mapping[str, Reach],
    refused: Mapping[Prefix | None, str],
) -> str:
    told = _ANSWERS.get(said)
    if told is not None:
        return told
    prefix = meaning(one.text)
    if prefix is None:
        return NO_ADDRESS
    for what in (BLOCKED, LIMITED):
        if reached[what].holds(prefix):
            return what
    return REFUSED if prefix in refused else NOT_DECIDED


def _list_of(note: str) -> str:
    """Return what the note of a refusal names, without the network."""
    return note.removeprefix("never blocked: ").partition(":")[0]


def prefix_of(text: str) -> Prefix:
    """Return an address or network of our own; ValueError where it is none."""
    prefix = read(text)
    if prefix is None:
        raise ValueError(f"{text!r} is no prefix")
    return prefix
