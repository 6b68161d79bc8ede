"""Whether a verdict's reasons name a feature and its value, as people read them."""

from __future__ import annotations

import re
from functools import lru_cache
from string import Formatter
from typing import TYPE_CHECKING

from ai_suricata.classify.patterns import PATTERNS
from ai_suricata.core.schema import FEATURES

if TYPE_CHECKING:
    from collections.abc import Iterable

_NUMBER = r"-?\d[\d,]*(?:\.\d+)?%?"


def names_a_feature(reasons: Iterable[str]) -> bool:
    """Whether one of the reasons names a feature and gives a number with it."""
    return any(_names(reason) for reason in reasons)


@lru_cache(maxsize=4096)
def _names(reason: str) -> bool:
    return bool(_BY_PATTERN.search(reason) or _BY_MEANING.search(reason))


def _of_pattern(words: str) -> str:
    """Return the expression that a pattern's words match, a number at each of their places."""
    parts = Formatter().parse(words)
    return "".join(re.escape(text) + (_NUMBER if name else "") for text, name, _, _ in parts)


def _speaking(words: Iterable[str]) -> str:
    """Join the words of features, the longest first, so that a short one hides none."""
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


_BY_PATTERN = re.compile(
    "|".join(_of_pattern(pattern.words) for pattern in PATTERNS if "{" in pattern.words)
)
_WORDS = _speaking({feature.meaning for feature in FEATURES})
_NAMES = _speaking({feature.name.replace("_", " ") for feature in FEATURES})
_BY_MEANING = re.compile(
    rf"(?:{_WORDS})[^\d]{{0,20}}{_NUMBER}|{_NUMBER} (?:{_NAMES}|{_WORDS})", re.IGNORECASE
)
