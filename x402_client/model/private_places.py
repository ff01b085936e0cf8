"""Tells the places inside from public ones: this machine, the network around it, a cloud's metadata.

Strategy: an address counts as public only if it was given out to the public. In IPv6 that holds for the forms that
carry an address of IPv4, too. Of a name only its ending tells something: where it leads is known when it is looked up.
"""

from __future__ import annotations

import ipaddress

from .hosts import Origin

#: Addresses of IPv4 in IPv6: as gateways of some networks translate them, and as they were once written.
_AROUND_IPV4 = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "::/96", "::ffff:0:0:0/96")))
#: The one part of IPv6 that is given out to the public.
_UNICAST = ipaddress.IPv6Network("2000::/3")
#: What some or all versions of Python call global: protocols and metadata of clouds, and networks of providers.
_INSIDE = tuple(map(ipaddress.IPv4Network, ("168.63.129.16/32", "192.0.0.0/24", "192.88.99.0/24", "100.64.0.0/10")))
#: Endings that are set aside for networks of one's own (RFC 6762 with its appendix G, RFC 8375, ICANN's ``internal``).
_OWN_ENDINGS = frozenset({"local", "internal", "intranet", "private", "corp", "home", "lan", "localdomain"})


def leads_inside(origin: Origin) -> str:
    """Return how an origin leads inside, as in "is at a private address", or "" if its host does not show it."""
    if origin.named_loopback:
        return "is this machine itself"
    if is_address(origin.host):
        return "" if is_public(origin.host) else "is at a private address"
    labels = origin.host.split(".")
    if len(labels) == 1 or labels[-1] in _OWN_ENDINGS or labels[-2:] == ["home", "arpa"]:
        return "is a name of a private network"
    return ""


def is_address(host: str) -> bool:
    """Return True if a host is written as an address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_public(address: str) -> bool:
    """Return True for an address that anybody on the internet would reach as we do."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        inner = inner or (_last_four(found) if any(found in net for net in _AROUND_IPV4) else None)
        if inner is None:
            return found in _UNICAST and found.is_global and not found.is_multicast
        found = inner
    return found.is_global and not found.is_multicast and not any(found in net for net in _INSIDE)


def _last_four(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
