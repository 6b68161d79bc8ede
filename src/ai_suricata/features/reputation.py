"""What a signature is worth here: how many raise it, and whether those do anything else wrong.

A signature that a hundred ordinary clients raise is wrong about this network. Ordinary is who has
been answered well a few times and never guessed a password, asked for what no program asks for, or
raised many signatures. A worm that comes once from each of many addresses is nobody's ordinary
client: it has no vote. Only alerts inside completed handshakes are kept here by source, so that
forged packets fill nothing; a source votes once for each of its signatures.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, NamedTuple

from ai_suricata.features.recency import Recency

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_SIGNATURES, MOST_SOURCES = 512, 512
"""What is remembered; what was used longest ago goes first."""
MOST_EACH = 4
"""Signatures of one source that are remembered; who raises as many did wrong."""
RARE = 3
"""Sources up to which a signature is rare."""
ENOUGH = 3
"""Good answers from which a source is an ordinary client: more than one visit brings."""
WHOLE = 1000
"""Weight of a signature that is trusted wholly: weights are thousandths, so that they add up."""
_PRIOR = 4  # votes that each signature has in its favour before anybody raises it

_Tally = tuple[int, int, int]
"""Of one signature: sources that vote, those of them that did wrong, and of the others those that
asked for something in vain."""
_Claim = tuple[int, bool]
"""A signature, and whether it was raised inside a handshake."""


class Worth(NamedTuple):
    """What an alert of a signature is worth."""

    weight: int
    """0..`WHOLE`, by all that is known of the sources that raised it."""
    proven_weight: int
    """The same by what no forged packet can have made."""
    rare: bool
    """Whether hardly any source has raised it in this way (proven, or not)."""


class _Record(NamedTuple):
    """Of one source."""

    wrong: bool = False
    failed: bool = False
    """Something that it asked for was refused or not there: forged packets can make that too."""
    right: int = 0
    """Good answers since its first alert, up to `ENOUGH`."""
    raised: tuple[int, ...] = ()

    def share(self) -> _Tally:
        """Return what it adds to the tally of each signature that it raised."""
        votes = self.wrong or self.right >= ENOUGH
        return int(votes), int(self.wrong), int(votes and self.failed and not self.wrong)


class Reputation:
    """Remembers signatures, and the sources that raised them."""

    def __init__(self) -> None:
        self._signatures: Recency[int, _Tally] = Recency(MOST_SIGNATURES)
        self._raisers: Recency[_Claim, tuple[int, ...]] = Recency(MOST_SIGNATURES)
        self._sources: Recency[str, _Record] = Recency(MOST_SOURCES)

    def raised(self, source: str, signature: int, *, proven: bool) -> Worth:
        """Take note of an alert; return what it is worth.

        `proven`: raised inside a completed handshake, so that the source may have a vote.
        """
        rare = self._is_rare(source, (signature, proven))
        if proven:
            self._note(source, signature)
        votes, wrong, failed = self._signatures.get(signature) or (0, 0, 0)
        below = votes + _PRIOR
        return Worth(
            WHOLE * (wrong + failed + _PRIOR) // below, WHOLE * (wrong + _PRIOR) // below, rare
        )

    def did_wrong(self, source: str) -> None:
        """Take note that a source did what no ordinary client does, inside a handshake."""
        record = self._sources.get(source) or _Record()
        if not record.wrong:
            self._change(source, record, record._replace(wrong=True))

    def failed(self, source: str) -> None:
        """Take note that a source was refused or not answered: that speaks for its signatures.

        It may be forged, so it makes nobody known.
        """
        record = self._sources.get(source)
        if record is not None and not record.failed:
            self._change(source, record, record._replace(failed=True))

    def did_right(self, source: str) -> None:
        """Take note that a source got what it asked for, inside a handshake."""
        record = self._sources.get(source)
        if record is not None and record.right < ENOUGH:
            self._change(source, record, record._replace(right=record.right + 1))

    def export(self) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
        """Return signatures, who raised them first, and sources, for a snapshot."""
        return (
            self._signatures.export(_write_tally),
            self._raisers.export(_write_raisers),
            self._sources.export(_write_record),
        )

    def restore(
        self, signatures: Iterable[str], raisers: Iterable[str], sources: Iterable[str]
    ) -> None:
        """Take over what a snapshot holds."""
        self._signatures.restore(signatures, _read_tally)
        self._raisers.restore(raisers, _read_raisers)
        self._sources.restore(sources, _read_record)

    def _is_rare(self, source: str, claim: _Claim) -> bool:
        """Take note of who raised it, as far as that matters: one more than are rare."""
        raisers, digest = self._raisers.get(claim) or (), zlib.crc32(source.encode())
        if digest not in raisers and len(raisers) <= RARE:
            raisers = (*raisers, digest)
        self._raisers.put(claim, raisers)
        return len(raisers) <= RARE

    def _note(self, source: str, signature: int) -> None:
        record = self._sources.get(source) or _Record()
        if signature in record.raised or len(record.raised) >= MOST_EACH:
            self._sources.put(source, record)
            return
        more = record._replace(raised=(*record.raised, signature))
        self._sources.put(source, more)
        self._add(signature, more.share())
        if len(more.raised) == MOST_EACH:
            self.did_wrong(source)

    def _change(self, source: str, before: _Record, after: _Record) -> None:
        self._sources.put(source, after)
        votes, wrong, failed = (
            new - old for new, old in zip(after.share(), before.share(), strict=True)
        )
        if votes or wrong or failed:
            for signature in after.raised:
                self._add(signature, (votes, wrong, failed))

    def _add(self, signature: int, more: _Tally) -> None:
        """Change a tally. One that was let go in between may lack votes that are withdrawn now."""
        tally = self._signatures.get(signature) or (0, 0, 0)
        votes, wrong, failed = (max(old + new, 0) for old, new in zip(tally, more, strict=True))
        wrong = min(wrong, votes)
        self._signatures.put(signature, (votes, wrong, min(failed, votes - wrong)))


def _write_tally(signature: int, tally: _Tally) -> str:
    return " ".join(map(str, (signature, *tally)))


def _read_tally(text: str) -> tuple[int, _Tally]:
    signature, votes, wrong, failed = map(int, text.split(" "))
    return signature, (votes, wrong, failed)


def _write_raisers(claim: _Claim, raisers: tuple[int, ...]) -> str:
    return f"{claim[0]} {claim[1]:d} {_join(raisers)}"


def _read_raisers(text: str) -> tuple[_Claim, tuple[int, ...]]:
    signature, proven, raisers = text.split(" ")
    return (int(signature), proven == "1"), _numbers(raisers)


def _write_record(source: str, record: _Record) -> str:
    return f"{source} {record.wrong:d} {record.failed:d} {record.right} {_join(record.raised)}"


def _read_record(text: str) -> tuple[str, _Record]:
    source, wrong, failed, right, raised = text.split(" ")
    return source, _Record(wrong == "1", failed == "1", int(right), _numbers(raised))


def _join(numbers: Iterable[int]) -> str:
    return ",".join(f"{number:x}" for number in numbers)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number, 16) for number in text.split(",")) if text else ()
