"""Which addresses a metrics source may have."""

from ipaddress import ip_network

import pytest

from forerun.signals.addresses import refused


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1", "loopback"),
        ("127.9.9.9", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("64:ff9b::7f00:1", "loopback"),
        ("2002:7f00:1::", "loopback"),
        ("169.254.169.254", "link-local"),
        ("::ffff:169.254.169.254", "link-local"),
        ("64:ff9b::a9fe:a9fe", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("fd00:ec2::254", "a cloud's metadata service"),
        ("100.100.100.200", "a cloud's metadata service"),
        ("0.0.0.0", "unspecified"),
        ("::", "unspecified"),
        ("224.0.0.1", "multicast"),
        ("255.255.255.255", "reserved"),
    ],
)
def test_refused_unless_listed(address, why):
    assert refused(address) == why


@pytest.mark.parametrize("address", ["10.96.0.10", "192.168.1.5", "172.16.0.1", "fd12::1", "93.184.216.34", "2a00::1"])
def test_clusters_and_the_internet_are_asked(address):
    assert refused(address) is None


def test_a_listed_network_lifts_it_for_itself_alone():
    allowed = (ip_network("127.0.0.0/8"), ip_network("::1"))
    assert refused("127.0.0.1", allowed) is None
    assert refused("::ffff:127.0.0.1", allowed) is None
    assert refused("::1", allowed) is None
    assert refused("169.254.169.254", allowed) == "link-local"
