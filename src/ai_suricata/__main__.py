"""Entry point: `ai-suricata`, or `python -m ai_suricata`."""

from __future__ import annotations

from ai_suricata.cli.app import app


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
