"""The words of the domain: events, verdicts, decisions, positions. Nothing here does I/O."""
