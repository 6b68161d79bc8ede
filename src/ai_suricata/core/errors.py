"""Errors that name their remedy.

A server that is lost degrades the daemon, a wrong setting stops its start, and a programming
error crashes it: the class of an error says which of these it is.
"""

from __future__ import annotations


class AiSuricataError(Exception):
    """Base of every error that this project raises on purpose."""


class ConfigError(AiSuricataError):
    """A setting is wrong: nothing is started. The text names the setting and the remedy."""

    def __init__(self, problems: list[str]) -> None:
        """`problems`: one sentence for each wrong setting."""
        super().__init__("\n".join(problems))
        self.problems = problems


class FirewallUnreachableError(AiSuricataError):
    """The firewall did not answer: the decision stays requested, and the command is tried again."""


class FirewallRefusedError(AiSuricataError):
    """The firewall said no. Trying again changes nothing; the text says what would."""


class TableAbsentError(FirewallRefusedError):
    """The firewall has no such table, so that nothing is in it."""


class StateError(AiSuricataError):
    """Stored state can't be read or written. The text names the file and the remedy."""


class ArtifactError(AiSuricataError):
    """A model artifact is not what this version serves. The text says which check failed."""
