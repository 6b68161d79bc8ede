"""What Suricata says of its own run: why it failed, what is damaged, which rules it lacks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_LAST = 3  # messages that tell why it ended
_TAIL_BYTES = 1024 * 1024
_PLAIN = re.compile(r"(?:E|Error): (?:[\w-]+: )?(.+)")
"""As it writes before it has read its configuration."""
_BROKEN_OFF = re.compile(r"error code -?\d+ (.+) for (.+)")
_SKIPPED = re.compile(r"Failed to init pcap file (.+), skipping")
_HOPELESS = "pcap file reader thread failed to initialize"
_NO_RULES = "no rules were loaded"
_BAD_RULE = "error parsing signature"
_OF_READING = "pcap"
_OF_RULES = "detect"


class _Engine(msgspec.Struct):
    message: str
    module: str = ""


class _Entry(msgspec.Struct):
    log_level: str
    engine: _Engine


_decoder = msgspec.json.Decoder(_Entry)


class Message(msgspec.Struct, frozen=True):
    """A warning or an error."""

    text: str
    module: str
    is_error: bool


class SuricataLog:
    """Everything that Suricata wrote to its standard output and error."""

    def __init__(self, path: Path) -> None:
        """`path`: where that goes; it need not be there yet."""
        self._path = path

    def is_hopeless(self) -> bool:
        """Whether it will read no packet: it waits for its own dead thread, a minute or so."""
        return any(_HOPELESS in message.text for message in self.messages())

    def last_words(self) -> str:
        """Return why it ended: its last errors, or what it said last at all."""
        errors = [message.text for message in self.messages() if message.is_error]
        said = errors or self._lines()
        return "; ".join(dict.fromkeys(said[-_LAST:])) or "it said nothing"

    def damage(self, files: Iterable[Path]) -> list[str]:
        """Return a sentence on each capture of `files` that was not read to its end."""
        known = {str(file.absolute()): file for file in files}
        found: dict[str, str] = {}
        reason = "it can't be read"
        for message in self.messages():
            if message.module != _OF_READING:
                continue
            broken, skipped = _BROKEN_OFF.fullmatch(message.text), _SKIPPED.fullmatch(message.text)
            if broken is not None:
                found[broken[2]] = f"damaged, and read only up to there: {broken[1]}"
            elif skipped is not None:
                found[skipped[1]] = f"passed over by Suricata: {reason}"
            else:
                reason = message.text
        return [f"{known[name]} was {said}" for name, said in found.items() if name in known]

    def hints(self) -> list[str]:
        """Return sentences on what the result lacks though Suricata ended well."""
        messages = self.messages()
        bad = [message.text for message in messages if message.text.startswith(_BAD_RULE)]
        found = []
        if bad:
            found.append(f"Suricata can't use {len(bad)} of its rules, the first: {bad[0]}")
        if any(_NO_RULES in message.text for message in messages):
            found.append(
                "Suricata has no rules, so there are no alerts: run suricata-update, or name a "
                "file with --rules"
            )
        return found + [m.text for m in messages if m.is_error and _is_other(m.module)]

    def messages(self) -> Sequence[Message]:
        """Return the warnings and errors, in order."""
        return [message for line in self._lines() if (message := _read(line)) is not None]

    def _lines(self) -> list[str]:
        """Return what it wrote: the last MiB, however much that is."""
        try:
            with self._path.open("rb") as file:
                size = file.seek(0, 2)
                file.seek(max(0, size - _TAIL_BYTES))
                return file.read().decode(errors="replace").splitlines()
        except FileNotFoundError:
            return []


def _is_other(module: str) -> bool:
    """Whether a module speaks neither of captures nor of rules."""
    return not module.startswith((_OF_READING, _OF_RULES))


def _read(line: str) -> Message | None:
    try:
        entry = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeEncodeError):  # a second one: of what is no UTF-8
        plain = _PLAIN.fullmatch(line)
        return None if plain is None else Message(plain[1], "", is_error=True)
    if entry.log_level not in {"Warning", "Error", "Critical", "Alert", "Emergency"}:
        return None
    return Message(entry.engine.message, entry.engine.module, entry.log_level != "Warning")
