"""`ai-suricata blocks show`: all that is known of one target."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from ai_suricata.cli.argument import Target, canonical
from ai_suricata.cli.listing import Format, FormatOption, chosen, write_lines, write_table
from ai_suricata.cli.outcome import ConfigFile, Exit, fail, settings_of, warn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ai_suricata.config.settings import Settings
    from ai_suricata.core.decision import LedgerEntry

    About = Callable[[str], bool]


def show(target: Target, *, config: ConfigFile = None, output: FormatOption = None) -> None:
    """Show why a target is, or was, blocked: reasons, features, model, history, commands sent.

    Reads the ledger and the audit log in STATE_DIR, rotated ones too, so it works whether the
    daemon runs or not. What was done to a network that holds the target is shown with it.

    Exit codes: 0 shown, 1 nothing is known of it, 2 an argument or a setting is wrong.

    Example: ai-suricata blocks show 203.0.113.7
    """
    text = canonical(target)
    settings = settings_of(config)
    from ai_suricata.cli.entry import as_object, stored

    about = _about(text)
    name, entries = stored(settings)
    mine = [entry for entry in entries if about(entry.target)]
    history, unread = _history(settings, about)
    if unread:
        warn(
            f"{unread} lines or files of the audit log can't be read: its history may lack "
            "something"
        )
    if not mine and not history:
        fail(Exit.FAILED, f"nothing is known of {text}: it was never decided on, or long ago")
    found = {
        "target": text,
        "entries": [as_object(entry, name) for entry in mine],
        "features": _features(mine, history),
        "history": history,
        "unread": unread,
    }
    if chosen(output) is Format.JSONL:
        write_lines([found])
    else:
        _write(found)


def _about(text: str) -> About:
    """Return what says whether another target is this one, or a network that holds it."""
    wanted = ip_network(text)

    def about(other: str) -> bool:
        if "/" not in other:
            return other == text
        network = ip_network(other)
        return network.version == wanted.version and network.supernet_of(wanted)  # type: ignore[arg-type]

    return about


def _history(settings: Settings, about: About) -> tuple[list[dict[str, Any]], int]:
    """Return (the audit lines of a target, the oldest first; what of the log can't be read).

    A line of another kind is none.
    """
    from ai_suricata.sink.audit import read

    found = []
    trail = read(settings.state.directory / "audit.jsonl")
    for line in trail:
        try:
            if about(line["target"]):
                found.append(line)
        except (KeyError, TypeError, ValueError):  # somebody else's line
            continue
    return found, trail.skipped


def _features(
    entries: Sequence[LedgerEntry], history: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the latest known features behind a decision, each with its unit and meaning."""
    from ai_suricata.core.schema import FEATURES

    newest = max(entries, key=lambda entry: entry.decision.decided_at, default=None)
    past = (line["features"] for line in reversed(history) if line.get("features"))
    values = (newest.decision.features if newest is not None else {}) or next(past, {})
    return [
        {**feature._asdict(), "value": values[feature.name]}
        for feature in FEATURES
        if feature.name in values
    ]


def _write(found: Mapping[str, Any]) -> None:
    target = found["target"]
    for entry in found["entries"]:
        rows = ((field, _text(value)) for field, value in entry.items() if field != "target")
        write_table(f"Ledger: {entry['target']}", ("field", "value"), rows)
    columns = ("name", "value", "unit", "meaning")
    write_table(f"Features behind the latest decision on {target}", columns, _told(found))
    write_table(
        f"History of {target}, the oldest first",
        ("time", "state", "table", "target", "what"),
        ((*_fields(line), _what(line)) for line in found["history"]),
    )


def _told(found: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    return (
        (each["name"], f"{each['value']:g}", each["unit"], each["meaning"])
        for each in found["features"]
    )


def _fields(line: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(line.get(name, "")) for name in ("time", "state", "table", "target"))


def _what(line: Mapping[str, Any]) -> str:
    """Return the reasons, the note and the commands of an audit line, one below the other."""
    note = [str(line["note"])] if line.get("note") else []
    commands = [f"sent: {command}" for command in line.get("commands", ())]
    return "\n".join([*map(str, line.get("reasons", ())), *note, *commands])


def _text(value: object) -> str:
    return "\n".join(map(str, value)) if isinstance(value, list) else str(value)
