"""Which addresses a metrics source may have. Pure.

A MetricsSource names a host; what it resolves to is looked at when it is connected to. An address that means the pod
itself, its node or the cloud's metadata service is not connected to unless the platform team lists it.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Metadata services that stand outside the link-local ranges: AWS over IPv6, Alibaba, Oracle.
_METADATA = {ip_address("fd00:ec2::254"), ip_address("100.100.100.200"), ip_address("192.0.0.192")}
_NAT64 = IPv6Network("64:ff9b::/96")


def refused(text: str, allowed: Sequence[Network] = ()) -> str | None:
    """Why `text`, an address as the resolver gives it, is not connected to; None where it may be."""
    address = _plain(ip_address(text.partition("%")[0]))
    if any(address.version == network.version and address in network for network in allowed):
        return None
    if address in _METADATA:
        return "a cloud's metadata service"
    for what, holds in (
        ("loopback", address.is_loopback),
        ("link-local", address.is_link_local),
        ("unspecified", address.is_unspecified),
        ("multicast", address.is_multicast),
        ("reserved", address.is_reserved),
    ):
        if holds:
            return what
    return None


def _plain(address: Address) -> Address:
    """The IPv4 address that an IPv6 one only carries: mapped, 6to4, Teredo or NAT64."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    carried = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
    return carried or address
