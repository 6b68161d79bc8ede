"""What pf's kernel holds in the tests: tables, rules and connections, as files of one folder.

    tables/NAME         a line for each entry: its address, and when it was cleared (epoch seconds)
    rules, states       what `pfctl -sr` shows; the connections, a line each (see `State`)
    limit, const        most entries of all tables; the names of const tables
    faults              what goes wrong next: `kind verb skip times` (verb `-`: any)
    altq, disabled      there where every call complains of ALTQ, where pf is switched off
    lock                held while any of this is read or changed

`fakes.pfctl` is the program that acts on it, one process for each command: see there for why so
little is imported.
"""

# pathlib takes longer to import than most commands to answer
# ruff: noqa: PTH105, PTH108, PTH110, PTH123, PTH208
from __future__ import annotations

import fcntl
import os
import time
from _socket import AF_INET, AF_INET6, inet_ntop, inet_pton

TYPE_CHECKING = False  # as typing's, which takes as long to import
if TYPE_CHECKING:
    from collections.abc import Iterable
    from io import TextIOWrapper

NO_MEMORY = (255, "pfctl: Cannot allocate memory.")
CONST = (255, "pfctl: Operation not permitted.")
NO_TABLE = (255, "pfctl: Table does not exist.")


class Failed(Exception):  # noqa: N818 (an answer of pfctl's, not an error of this program)
    """End with this exit code and this line on stderr."""

    def __init__(self, code: int, line: str) -> None:
        super().__init__(line)
        self.code = code
        self.line = line


def canonical(word: str) -> str:
    """Return the address as pf shows it; Failed with pf's words where it is none."""
    mark = "!" if word.startswith("!") else ""
    address, slash, length = word.removeprefix("!").partition("/")
    family = AF_INET6 if ":" in address else AF_INET
    try:
        packed = inet_pton(family, address)
    except (OSError, ValueError):
        raise Failed(255, f"no IP address found for {word}") from None
    bits = 8 * len(packed)
    if not slash:
        # IPv4 has one spelling that inet_pton takes
        return word if family == AF_INET else mark + inet_ntop(family, packed)
    if not length.isascii() or not length.isdigit() or int(length) > bits:
        raise Failed(255, f"invalid netmask '/{length}'")
    spare = bits - int(length)
    first = int.from_bytes(packed, "big") >> spare << spare
    shown = inet_ntop(family, first.to_bytes(len(packed), "big"))
    return f"{mark}{shown}/{length}" if spare else mark + shown


class Span:
    """An address or a network as numbers."""

    def __init__(self, text: str) -> None:
        address, _, length = text.removeprefix("!").partition("/")
        packed = inet_pton(AF_INET6 if ":" in address else AF_INET, address)
        self.bits = 8 * len(packed)
        self.length = int(length) if length else self.bits
        self.number = int.from_bytes(packed, "big") >> (self.bits - self.length)

    def __contains__(self, other: object) -> bool:
        """Whether it holds all of `other`."""
        return (
            isinstance(other, Span)
            and other.bits == self.bits
            and other.length >= self.length
            and other.number >> (other.length - self.length) == self.number
        )


def matching(addresses: Iterable[str], held: dict[str, str]) -> int:
    """Count the addresses that match as pf's radix tree does: the longest entry decides."""
    count = 0
    networks: list[tuple[int, bool, Span]] | None = None
    for address in addresses:
        if address in held or f"!{address}" in held:
            count += address in held
            continue
        if networks is None:
            spans = [(Span(entry), entry[0] != "!") for entry in held if "/" in entry]
            networks = sorted(
                ((span.length, found, span) for span, found in spans), key=lambda one: -one[0]
            )
        host = Span(address)
        count += next((found for _, found, span in networks if host in span), False)
    return count


class State:
    """A connection, as the file `states` keeps it: its eight words on one line."""

    def __init__(self, line: str) -> None:
        self.line = line
        (
            self.interface,
            self.proto,
            self.source,
            self.source_port,
            self.destination,
            self.destination_port,
            self.direction,
            self.status,
        ) = line.split(" ")

    def shown(self) -> str:
        """Write it as `pfctl -ss` does: ours on the left, `<-` where the peer began it."""
        source = _shown_host(self.source, self.source_port)
        destination = _shown_host(self.destination, self.destination_port)
        ends = f"{source} -> {destination}"
        if self.direction == "in":
            ends = f"{destination} <- {source}"
        return f"{self.interface} {self.proto} {ends}       {self.status}"


def _shown_host(address: str, port: str) -> str:
    return f"{address}[{port}]" if ":" in address else f"{address}:{port}"


class Lock:
    """Holds the folder: alone, or beside others who read."""

    def __init__(self, folder: str, *, shared: bool = False) -> None:
        self._path = f"{folder}/lock"
        self._mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        self._file: TextIOWrapper | None = None

    def __enter__(self) -> None:
        self._file = open(self._path, "w")
        fcntl.flock(self._file, self._mode)

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()


class Pf:
    """The folder's content. Whoever calls holds the lock."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def read(self, name: str) -> str:
        """Return a file's text; nothing where there is none."""
        try:
            with open(f"{self.folder}/{name}") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def write(self, name: str, text: str) -> None:
        """Write a file in one step."""
        path = f"{self.folder}/{name}"
        with open(f"{path}.new", "w") as file:
            file.write(text)
        os.replace(f"{path}.new", path)

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        return os.path.exists(f"{self.folder}/{name}")

    def tables(self) -> list[str]:
        """Return the names of the tables."""
        return os.listdir(f"{self.folder}/tables")

    def entries(self, name: str, *, to_write: bool = True) -> dict[str, str]:
        """Return what a table holds, with the time of each; Failed where pf would say no."""
        if not self.has(f"tables/{name}"):
            raise Failed(*NO_TABLE)
        if to_write and name in self.read("const").split():
            raise Failed(*CONST)
        return dict(line.split(" ") for line in self.read(f"tables/{name}").splitlines())

    def create(self, name: str) -> bool:
        """Make an empty table; False where it exists."""
        if self.has(f"tables/{name}"):
            return False
        self.write_entries(name, {})
        return True

    def write_entries(self, name: str, held: dict[str, str]) -> None:
        """Let the table hold these; written beside it, so that it is never listed half."""
        self.write("table", "".join(f"{entry} {cleared}\n" for entry, cleared in held.items()))
        os.replace(f"{self.folder}/table", f"{self.folder}/tables/{name}")

    def insert(self, name: str, new: Iterable[str]) -> None:
        """Add entries that the table does not have; Failed where there is no room for all."""
        cleared = f"{time.time():.6f}"
        added = sorted(new)
        used = sum(self.read(f"tables/{each}").count("\n") for each in self.tables())
        if used + len(added) > int(self.read("limit")):
            raise Failed(*NO_MEMORY)
        with open(f"{self.folder}/tables/{name}", "a") as file:
            file.write("".join(f"{entry} {cleared}\n" for entry in added))

    def remove(self, name: str, gone: Iterable[str], held: dict[str, str]) -> None:
        """Take entries out of what the table holds."""
        for entry in gone:
            del held[entry]
        self.write_entries(name, held)

    def drop_table(self, name: str) -> None:
        """Remove the table itself."""
        os.unlink(f"{self.folder}/tables/{name}")

    def states(self) -> list[State]:
        """Return the connections."""
        return [State(line) for line in self.read("states").splitlines()]

    def kill(self, hosts: list[str]) -> int:
        """End the connections from the first host, to the second where there is one; count."""
        source, *destination = map(Span, hosts)
        states = self.states()
        kept = [
            state
            for state in states
            if Span(state.source) not in source
            or (destination and Span(state.destination) not in destination[0])
        ]
        if len(kept) < len(states):
            self.write("states", "".join(f"{state.line}\n" for state in kept))
        return len(states) - len(kept)

    def due_fault(self, action: str) -> str:
        """Return the kind of fault that strikes now: after its `skip` first calls, `times` times.

        `times` below 0: for ever.
        """
        kind = ""
        faults = [line.split(" ") for line in self.read("faults").splitlines()]
        for fault in faults:
            name, verb, skip, times = fault[0], fault[1], int(fault[2]), int(fault[3])
            if kind or verb not in ("-", action) or times == 0:
                continue
            if skip > 0:
                fault[2] = str(skip - 1)
                continue
            fault[3] = str(times - 1)
            kind = name
        self.write("faults", "".join(f"{' '.join(fault)}\n" for fault in faults))
        return kind
