"""Suricata's unix socket output: we listen."""
