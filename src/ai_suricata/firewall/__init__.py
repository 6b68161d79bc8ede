"""Where decisions are enforced: pf tables over SSH, and the dry run."""
