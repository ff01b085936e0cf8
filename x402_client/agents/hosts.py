"""Decides which places a tool may ask at all. A policy decides about payments, and says nothing about free requests.

A model chooses the URL, so a page that it read may have chosen it. Without a list, only public addresses are asked: not
this machine, not the network around it, not a cloud's metadata. A name is looked up for that before each request, also
of each redirect. That is not proof: a name may lead elsewhere a moment later, and a proxy looks names up by itself. A
list of hosts is the stronger rule.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from ..model.holds import Outcome
from ..model.hosts import MCP, Origin, Pattern
from ..model.offers import words
from ..model.private_places import is_address, is_public, leads_inside
from ..policy import checks

_URL = 8_192
#: A host in letters that every client reads alike.
_NAME = re.compile(r"[a-z0-9_.-]+", re.ASCII)


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
    def patterns(self) -> tuple[Pattern, ...] | None:
        """Return the list. None: there is none."""
        return self._patterns

    def may_ask(self, entry: Pattern) -> bool:
        """Return True if some host of an entry of the policy may be asked. An MCP server is asked by no URL."""
        if self._patterns is None:
            return not entry.host.startswith(f"{MCP}:")
        return any(entry.overlaps(one) for one in self._patterns)

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

    def objection(self, url: str) -> str:
        """Return why the name of a URL's host speaks against asking it, or "". It is not looked up."""
        try:
            self._place(url)
        except NotFetched as refused:
            return str(refused)
        return ""

    def _place(self, url: str) -> tuple[str, int]:
        """Return the host and the port that have to be looked up. The host is empty if there is no need."""
        origin = origin_of(url)
        if self._patterns is not None and not any(pattern.matches(origin) for pattern in self._patterns):
            raise NotFetched(f"{origin} is not among the hosts that this tool may ask.")
        if not self._public:
            return "", 0
        inside = leads_inside(origin)
        if inside:
            raise NotFetched(f"{origin} {inside}, which this tool may not ask.")
        return ("", 0) if is_address(origin.host) else (origin.host, origin.port)

    def _check_addresses(self, host: str, found: list[Any]) -> None:
        for *_, place in found:
            if not is_public(place[0]):
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
    if not _NAME.fullmatch(origin.host) and not is_address(origin.host):  # each client reads another host there
        raise NotFetched("url names a host with characters that are not of a name; write it without escapes.")
    return origin


def place_of(url: str) -> str:
    """Return the host of a URL, with a port that is not the usual one."""
    origin = origin_of(url)
    return origin.host if origin.port in (80, 443) else str(origin).partition("://")[2]


def _list(hosts: Iterable[str]) -> list[str]:
    return checks.nonempty_name_list("hosts", hosts)
