"""Servers that stand in for what the tests cannot have: pf, and the firewall around it."""
