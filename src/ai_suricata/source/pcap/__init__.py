"""Captures, which the installed Suricata reads."""
