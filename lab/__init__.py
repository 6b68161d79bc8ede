"""A laboratory: real attackers, clients and servers in network namespaces, watched by Suricata.

`python -m lab --out DIR` writes eve.json, capture.pcap and labels.csv; `python -m lab.sample`
cuts a sample.
"""
