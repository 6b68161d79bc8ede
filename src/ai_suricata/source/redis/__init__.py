"""Suricata's Redis output."""
