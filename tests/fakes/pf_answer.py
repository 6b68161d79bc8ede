"""What the firewall of the tests answers unless a test says otherwise."""

from __future__ import annotations

BLOCK_TABLE = "ai_suricata_block"
LIMIT_TABLE = "ai_suricata_limit"
RULES = f"""\
scrub on em0 inet all fragment reassemble
block drop in log inet all label "Default deny rule IPv4" ridentifier 1000000103
block drop in log quick on em0 inet from <{BLOCK_TABLE}> to any label "USER_RULE: attackers"
block drop in log quick on em0 inet6 from <{BLOCK_TABLE}> to any label "USER_RULE: attackers"
pass in quick on em0 inet from <{LIMIT_TABLE}> to any keep state (max-src-conn-rate 5/10)
pass in quick on em0 inet6 from <{LIMIT_TABLE}> to any keep state (max-src-conn-rate 5/10)
"""
# Private addresses alone: no test takes one of these for an attacker's.
INTERFACES = """\
em0: flags=1008943<UP,BROADCAST,RUNNING,PROMISC,SIMPLEX,MULTICAST,LOWER_UP> metric 0 mtu 1500
\tdescription: WAN
\tether 00:00:5e:00:53:01
\tinet 10.255.0.2 netmask 0xffffff00 broadcast 10.255.0.255
\tinet 10.255.0.10 netmask 0xffffff00 broadcast 10.255.0.255 vhid 1
\tinet6 fe80::200:5eff:fe00:5301%em0 prefixlen 64 scopeid 0x1
\tcarp: MASTER vhid 1 advbase 1 advskew 0
\tmedia: Ethernet autoselect (1000baseT <full-duplex>)
\tstatus: active
\tnd6 options=21<PERFORMNUD,AUTO_LINKLOCAL>
em1: flags=1008943<UP,BROADCAST,RUNNING,PROMISC,SIMPLEX,MULTICAST,LOWER_UP> metric 0 mtu 1500
\tdescription: LAN
\tether 00:00:5e:00:53:02
\tinet 192.168.1.1 netmask 0xffffff00 broadcast 192.168.1.255
\tinet6 fd00:1::1 prefixlen 64
\tstatus: active
lo0: flags=1008049<UP,LOOPBACK,RUNNING,MULTICAST,LOWER_UP> metric 0 mtu 16384
\tinet6 ::1 prefixlen 128
\tinet6 fe80::1%lo0 prefixlen 64 scopeid 0x3
\tinet 127.0.0.1 netmask 0xff000000
\tgroups: lo
"""
ROUTES = """\
Routing tables

Internet:
Destination        Gateway            Flags   Nhop#    Mtu      Netif Expire
default            10.255.0.1         UGS         1   1500        em0
10.255.0.0/24      link#1             U           2   1500        em0
127.0.0.1          link#3             UH          3  16384        lo0
192.168.1.0/24     link#2             U           4   1500        em1
192.168.1.1        link#3             UHS         5  16384        lo0

Internet6:
Destination                       Gateway                       Flags   Nhop#    Mtu  Netif Expire
default                           fe80::1%em0                   UGS         6   1500    em0
::1                               link#3                        UHS         7  16384    lo0
fd00:1::/64                       link#2                        U           8   1500    em1
"""
RESOLVER = "search lan.example\nnameserver 127.0.0.1\nnameserver 10.255.0.53\n"
