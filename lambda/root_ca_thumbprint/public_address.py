"""Which addresses an issuer's host may have.

A host name that somebody else controls may point at the instance metadata service or into the
network around the function. Only globally routable addresses are reached, unless told otherwise.
"""

from __future__ import annotations

import ipaddress

# All that IANA gives out. Python's `is_global` takes unassigned IPv6 space for global as well.
# https://www.iana.org/assignments/ipv6-address-space
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
# RFC 6052: an IPv6 address that a gateway turns into the IPv4 address at its end.
NAT64 = ipaddress.ip_network("64:ff9b::/96")
# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
EC2_SERVICES = ipaddress.ip_network("fd00:ec2::/32")


def address_fault(address: str, *, allow_private: bool) -> str | None:
    """Why the address must not be reached; None when it may be.

    Args:
        address: IPv4 or IPv6, as `getaddrinfo` gives it.
        allow_private: Also take private and loopback addresses. Link-local ones and the metadata
            services are refused even then: no issuer lives there.
    """
    parsed = _ipv4_behind(ipaddress.ip_address(address.partition("%")[0]))
    if (
        parsed.is_link_local
        or parsed.is_multicast
        or parsed.is_unspecified
        or parsed in EC2_SERVICES
    ):
        return "where no issuer can be"
    is_global = parsed.is_global and (parsed.version == 4 or parsed in GLOBAL_UNICAST)  # noqa: PLR2004
    if not is_global and not allow_private:
        return "which is not globally routable; allow private addresses if that is intended"
    return None


def _ipv4_behind(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IPv4 address that an IPv6 address stands for, or the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
