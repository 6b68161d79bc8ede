"""A take: one tool with its options, run once from an address of its own."""

from __future__ import annotations

from dataclasses import dataclass

from lab.label import Label, Role

ADDRESS = "{address}"
"""In a command: the take's own address, which is drawn later."""
TEST_TOOLS = frozenset({"medusa", "wapiti"})
"""Tools that no model is trained on: they show whether detection holds on what it never saw."""
TRAINING_TOOLS = frozenset(
    {
        "curl",
        "dirb",
        "ffuf",
        "gobuster",
        "hping3",
        "hydra",
        "masscan",
        "ncrack",
        "nmap",
        "siege",
        "slowhttptest",
        "sqlmap",
        "wfuzz",
        "whatweb",
        "zmap",
    }
)


@dataclass(frozen=True, slots=True)
class Take:
    """A command to run in a namespace of its own, and what it is."""

    role: Role
    tool: str
    command: tuple[str, ...]
    handshake: bool = True
    """Whether its connections complete."""
    label: Label = Label.MALICIOUS
    v6: bool = False
    """Whether it needs an IPv6 address."""
    limit: float = 90.0
    """Seconds after which it is ended at the latest."""

    def words(self, address: str, limit: float) -> tuple[str, ...]:
        """Return the command from `address`, which is ended after `limit` seconds."""
        ended = ("timeout", "-k", "3", f"{limit:.1f}")
        return (*ended, *(word.replace(ADDRESS, address) for word in self.command))


def tools_for(seed: int) -> frozenset[str]:
    """Return the tools of a seed: even seeds are for training, odd ones for testing.

    Only the latter have the tools of `TEST_TOOLS`.
    """
    return TRAINING_TOOLS | TEST_TOOLS if seed % 2 else TRAINING_TOOLS
