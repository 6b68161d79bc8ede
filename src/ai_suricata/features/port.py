"""What a port is asked for: classes of services, so that a single packet says what it was after.

After IANA's Service Name and Transport Protocol Port Number Registry, and for devices after what
worms ask for (Antonakakis et al., "Understanding the Mirai Botnet", 2017: 23, 2323, 7547, 5555).
Telnet is with the logins: whoever asks for it wants to log in.
"""

from __future__ import annotations

from enum import IntEnum


class PortClass(IntEnum):
    """A kind of service. The number is a bit in a stored row: new ones go to the end."""

    LOGIN = 0
    SHARING = 1
    DATABASE = 2
    DEVICE = 3
    WEB = 4
    MAIL = 5
    VOICE = 6
    AMPLIFIER = 7
    OTHER = 8


_EITHER = {
    # ssh, telnet, rexec, rlogin, rsh, rdp, vnc, x11, winrm, pc-anywhere, teamviewer, radmin
    PortClass.LOGIN: (
        *(22, 23, 222, 512, 513, 514, 992, 2022, 2222, 2223, 2323, 3388, 3389, 3390, 4899),
        *(5631, 5900, 5901, 5902, 5903, 5938, 5985, 5986, 6000, 10022, 22222, 33389),
    ),
    # netbios, rpc, smb, afp, nfs, rsync, tftp is an amplifier
    PortClass.SHARING: (111, 135, 137, 138, 139, 445, 548, 593, 873, 2049),
    # mssql, oracle, mysql, postgres, couchdb, redis, cassandra, elasticsearch, memcached, mongodb,
    # db2, influxdb, hadoop
    PortClass.DATABASE: (
        *(1433, 1434, 1521, 3050, 3306, 5432, 5433, 5984, 6379, 6380, 8086, 9042, 9200, 9300),
        *(11211, 27017, 27018, 28017, 50000, 50070),
    ),
    # tr-069, adb, upnp, mqtt, modbus, s7, bacnet, ipmi, pptp, mikrotik, dvr and camera ports,
    # docker, kubernetes, jsonrpc of wallets
    PortClass.DEVICE: (
        *(102, 502, 554, 623, 1723, 1883, 2000, 2375, 2376, 4567, 5555, 6443, 7547, 8291, 8545),
        *(8728, 8883, 9034, 9100, 9530, 9999, 10250, 17000, 20000, 34567, 37215, 37777, 44818),
        *(47808, 49152, 52869, 60001),
    ),
    PortClass.WEB: (
        *(80, 81, 82, 83, 84, 85, 88, 443, 591, 1080, 3000, 3128, 4443, 5000, 5001, 7000, 7001),
        *(7002, 7080, 7443, 8000, 8001, 8008, 8009, 8010, 8015, 8080, 8081, 8082, 8083, 8088),
        *(8089, 8090, 8118, 8123, 8181, 8443, 8880, 8888, 9000, 9001, 9080, 9090, 9443, 10000),
    ),
    PortClass.MAIL: (24, 25, 109, 110, 143, 465, 587, 993, 995, 2525, 4190),
    PortClass.VOICE: (1719, 1720, 2427, 5038, 5060, 5061, 5062, 5065, 5080, 5160),
}
_UDP_AMPLIFIERS = (
    # Rossow, "Amplification Hell" (2014), and later findings: qotd, chargen, dns, tftp, rpc, ntp,
    # netbios, snmp, ldap, rip, ms-sql, ssdp, ws-discovery, mdns, coap, memcached, ...
    *(17, 19, 53, 69, 111, 123, 137, 161, 389, 427, 520, 1434, 1900, 3283, 3478, 3702, 5353),
    *(5683, 10001, 11211, 27015, 32414),
)
_TCP = {port: kind for kind, ports in _EITHER.items() for port in ports}
_UDP = _TCP | dict.fromkeys(_UDP_AMPLIFIERS, PortClass.AMPLIFIER)


def port_class(port: int, *, udp: bool) -> PortClass:
    """Return the class of a port, OTHER for one that the lists do not name."""
    return (_UDP if udp else _TCP).get(port, PortClass.OTHER)
