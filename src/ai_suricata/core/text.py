"""Text that others had a say in, made fit for people: terminals, mails, logs."""

from __future__ import annotations

import re

# Control characters move cursors and forge lines; so do Unicode's separators, and its marks of
# direction show a text in another order (Unicode Standard Annex 9). Surrogates are no text.
_UNSEEN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def visible(text: str, most: int | None = None) -> str:
    r"""Return a text of at most so many characters, with what can't be seen written as `\xNN`.

    Line ends are written out, too; without `most`, all of it is returned.
    """
    return _UNSEEN.sub(_written_out, text[:most])[:most]


def visible_lines(text: str) -> str:
    """Return the whole text as `visible` does, with its line ends left as they are."""
    return "\n".join(visible(line) for line in text.split("\n"))


def _written_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"  # noqa: PLR2004 - one byte
