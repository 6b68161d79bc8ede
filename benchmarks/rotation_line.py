"""The lines of the rotation test: each says which it is, so that any part of it is known again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_FORM = b'{"content":%d,"line":%d,"bytes":%d,"pad":"'
_HEAD = re.compile(rb'\{"content":(\d+),"line":(\d+),"bytes":(\d+),"pad":"x*')
_END = b'"}'


def line_of(content: int, number: int, size: int) -> bytes:
    """Return a line of `size` bytes without its end: at least 100, so that it has all its parts."""
    head = _FORM % (content, number, size)
    return head + b"x" * (size - len(head) - len(_END)) + _END


class Run(NamedTuple):
    """Lines of one content that came one after the other."""

    content: int
    """-1: bytes that are no line of the writer's, nor the beginning of one."""
    first: int
    last: int
    """-1: line `first` came without its end."""


def parse(line: bytes) -> Run:
    """Return which line it is, or of which it is the beginning."""
    head = _HEAD.match(line)
    if head is None:
        return Run(-1, 0, -1)
    content, number, size = map(int, head.groups())
    if len(line) == size and line.endswith(_END) and head.end() == size - len(_END):
        return Run(content, number, number)
    return Run(content, number, -1) if head.end() == len(line) else Run(-1, 0, -1)


def runs(lines: Iterable[bytes]) -> list[Run]:
    """Return the lines as runs."""
    found: list[Run] = []
    for one in map(parse, lines):
        last = found[-1] if found else None
        if last and last.content == one.content and last.last + 1 == one.first == one.last:
            found[-1] = last._replace(last=one.last)
        else:
            found.append(one)
    return found


def strange(lines: Iterable[bytes]) -> list[str]:
    """Return the beginning and end of what is neither a line nor the beginning of one."""
    return [f"{line[:60]!r}...{line[-20:]!r}" for line in lines if parse(line).content < 0]


def lines_of(stored: Iterable[Run]) -> Iterator[tuple[int, int, bool]]:
    """Yield content, number, and whether it is whole, of each line in the order of its coming."""
    for run in stored:
        if run.last < 0:
            yield run.content, run.first, False
        else:
            yield from ((run.content, number, True) for number in range(run.first, run.last + 1))
