"""Decides which places a tool may ask at all. A policy decides about payments, and says nothing about free requests.

A model chooses the URL, so a page that it read may have chosen it. Without a list, only public addresses are asked: not
this machine, not the network around it, not a cloud's metadata. A name is looked up for that before each request, also
of each redirect. That is not proof: a name may lead elsewhere a moment later, and a proxy looks names up by itself. A
list of hosts is the stronger rule.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from ..model.holds import Outcome
from ..model.hosts import Origin, Pattern
from ..model.offers import words
from ..policy import checks

_URL = 8_192
#: A host in letters that every client reads alike.
_NAME = re.compile(r"[a-z0-9_.-]+", re.ASCII)
#: Addresses of IPv4 in IPv6: as gateways of some networks translate them, and as they were once written.
_AROUND_IPV4 = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "::/96", "::ffff:0:0:0/96")))
#: The one part of IPv6 that is given out to the public.
_UNICAST = ipaddress.IPv6Network("2000::/3")
#: What some or all versions of Python call global: protocols and metadata of clouds, and networks of providers.
_INSIDE = tuple(map(ipaddress.IPv4Network, ("168.63.129.16/32", "192.0.0.0/24", "192.88.99.0/24", "100.64.0.0/10")))


class NotFetched(Exception):
    """A call that was not made, or not to its end: its arguments, or a place that it leads to, cannot be.

    ``outcome`` says what was paid before, if a redirect was.
    """

    outcome: Outcome | None = None


class AllowedHosts:
    """The hosts that may be asked: those of a list, else every one with a public address.

    Args:
        hosts: The list. None: there is none.
        public: True if hosts of the list have to have a public address, too.
        unknown: True if a name that is not found is asked all the same: a proxy looks it up.
    """

    def __init__(self, hosts: Iterable[str] | None, *, public: bool = False, unknown: bool = False) -> None:
        self._patterns = None if hosts is None else tuple(Pattern.parse(one) for one in _list(hosts))
        self._public, self._unknown = public or hosts is None, unknown

    @property
    def listed(self) -> bool:
        """Return True if there is a list."""
        return self._patterns is not None

    def check(self, url: str) -> None:
        """Refuse a URL that must not be asked. NotFetched says why."""
        host, port = self._place(url)
        if host:
            try:
                found: list[Any] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            except (OSError, UnicodeError):
                return self._not_found(host)
            self._check_addresses(host, found)
        return None

    async def acheck(self, url: str) -> None:
        """Async twin of ``check``."""
        import anyio

        host, port = self._place(url)
        if host:
            try:
                found: Any = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            except (OSError, UnicodeError):
                return self._not_found(host)
            self._check_addresses(host, found)
        return None

    def _not_found(self, host: str) -> None:
        if not self._unknown:  # the client may find it a moment later, at any address
            raise NotFetched(f"{words(host, 100)} could not be looked up, so it was not asked.")

    def allows_name(self, url: str) -> bool:
        """Return True if the name of a URL's host speaks against nothing. It is not looked up."""
        try:
            self._place(url)
        except NotFetched:
            return False
        return True

    def _place(self, url: str) -> tuple[str, int]:
        """Return the host and the port that have to be looked up. The host is empty if there is no need."""
        origin = origin_of(url)
        if self._patterns is not None and not any(pattern.matches(origin) for pattern in self._patterns):
            raise NotFetched(f"{origin} is not among the hosts that this tool may ask.")
        if not self._public:
            return "", 0
        if origin.named_loopback:
            raise NotFetched(f"{origin} is this machine itself, which this tool may not ask.")
        if _is_address(origin.host):
            self._check_addresses(origin.host, [(None, (origin.host, origin.port))])
            return "", 0
        return origin.host, origin.port

    def _check_addresses(self, host: str, found: list[Any]) -> None:
        for *_, place in found:
            if not _is_public(place[0]):
                raise NotFetched(f"{words(host, 100)} is at a private address, which this tool may not ask.")


def origin_of(url: str) -> Origin:
    """Return the origin of a URL that a model wrote, if it is one of a web server."""
    if not isinstance(url, str) or len(url) > _URL or not url.isprintable() or not checks.is_unicode(url):
        raise NotFetched("url is not a URL; write one like https://api.example.com/weather.")
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise NotFetched("url is not a URL of a web server; write one like https://api.example.com/weather.")
    if "@" in parts.netloc or "\\" in parts.netloc:
        raise NotFetched("url names a user or a password, which this tool does not send.")
    origin = Origin.of(parts.scheme, host, port)
    if not _NAME.fullmatch(origin.host) and not _is_address(origin.host):  # each client reads another host there
        raise NotFetched("url names a host with characters that are not of a name; write it without escapes.")
    return origin


def _list(hosts: Iterable[str]) -> list[str]:
    return checks.nonempty_name_list("hosts", hosts)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_public(address: str) -> bool:
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
