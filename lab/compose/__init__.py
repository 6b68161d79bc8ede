"""Days of traffic composed out of live runs: real conversations under other addresses and times.

A run of the lab takes minutes and has a few hundred sources. Its capture is cut into takes (what
one client did), and a day places them thousands of times: other addresses, other servers, other
moments, answered or not. Suricata reads the day as it would a capture of a real network.
"""
