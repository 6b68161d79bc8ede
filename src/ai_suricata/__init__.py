"""Follow Suricata's eve.json, tell attackers from clients, block them on pfSense with reasons."""

__version__ = "0.1.0"
