"""Where verdicts and decisions are told: the audit log."""
