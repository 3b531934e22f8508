from __future__ import annotations

import pytest

from root_ca_thumbprint.public_address import address_fault

PRIVATE = "which is not globally routable; allow private addresses if that is intended"
NEVER = "where no issuer can be"

PUBLIC_ADDRESSES = [
    "52.94.236.248",
    "1.1.1.1",
    "2600:1f18::1",
    "2a05:d018::1",
    "::ffff:52.94.236.248",
    "64:ff9b::345e:ecf8",
]
PRIVATE_ADDRESSES = [
    "127.0.0.1",
    "127.255.255.254",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::1",
    "::127.0.0.1",
    "fd12:3456::1",
    "fec0::1",
    "2001:db8::1",
    "4000::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
    "2002:a00:1::",
]
FORBIDDEN_ADDRESSES = [
    "169.254.169.254",
    "169.254.170.23",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::",
    "fe80::1",
    "fe80::1%eth0",
    "fd00:ec2::254",
    "fd00:ec2::23",
    "0.0.0.0",  # noqa: S104
    "::",
    "224.0.0.1",
    "ff02::1",
]


@pytest.mark.parametrize("allow_private", [True, False])
@pytest.mark.parametrize("address", PUBLIC_ADDRESSES)
def test_reaches_public_addresses(address, allow_private):
    assert address_fault(address, allow_private=allow_private) is None


@pytest.mark.parametrize("address", PRIVATE_ADDRESSES)
def test_refuses_addresses_that_are_not_globally_routable(address):
    assert address_fault(address, allow_private=False) == PRIVATE


@pytest.mark.parametrize("address", PRIVATE_ADDRESSES)
def test_reaches_them_when_private_ones_are_allowed(address):
    assert address_fault(address, allow_private=True) is None


@pytest.mark.parametrize("allow_private", [True, False])
@pytest.mark.parametrize("address", FORBIDDEN_ADDRESSES)
def test_never_reaches_link_local_and_metadata_addresses(address, allow_private):
    assert address_fault(address, allow_private=allow_private) == NEVER
