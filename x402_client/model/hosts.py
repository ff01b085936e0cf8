"""Hosts and origins as the HTTP library will connect to them, and the patterns by which a policy names them."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from ..errors import ConfigurationError

_DEFAULT_PORTS = {"http": 80, "https": 443}
#: The scheme of an MCP server without an address. A user names it, and it stands in policies as ``mcp:reports``.
MCP = "mcp"
#: No dot, which would make it one of the names that a wildcard covers; no digit first, which would make it a port.
_MCP_NAME = re.compile(r"mcp:[a-z][-a-z0-9_]{0,62}", re.ASCII)
_LABEL = r"[a-z0-9_](?:[-a-z0-9_]*[a-z0-9_])?"
_LABELS = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*", re.ASCII)
#: One part of an IPv4 address in the forms that resolvers have always taken: few parts, hexadecimal, octal.
_PART = r"(?:0x[0-9a-f]{1,8}|0[0-7]{0,11}|[1-9][0-9]{0,9})"
_OLD_ADDRESS = re.compile(rf"{_PART}(?:\.{_PART}){{0,3}}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Origin:
    """The scheme, host and port of a request. A payment is bound to them."""

    scheme: str
    host: str
    port: int
    #: True if the connection was not seen to end on this machine: under any name, it may end at a proxy.
    elsewhere: bool = field(default=False, compare=False, repr=False)

    @staticmethod
    @lru_cache(maxsize=1024)
    def of(scheme: str, host: str, port: int | None) -> Origin:
        """Return the origin of a URL's parts, as the HTTP library parsed them."""
        return Origin(scheme, plain_host(host), port or _DEFAULT_PORTS.get(scheme, 0))

    @staticmethod
    def of_server(name: str) -> Origin:
        """Return the origin of an MCP server that has no address, by the name that its user gave it."""
        host = f"{MCP}:{name}".lower()
        if not _MCP_NAME.fullmatch(host):
            raise ConfigurationError(_NOT_A_NAME.format(name))
        return Origin(MCP, host, 0)

    @property
    def is_private(self) -> bool:
        """Return True if no stranger is on the way there: it is https, or an MCP server over pipes, or this machine."""
        return self.scheme in ("https", MCP) or self.loopback

    @property
    def loopback(self) -> bool:
        """Return True if the host is this machine and the connection was not seen to go elsewhere."""
        return self.named_loopback and not self.elsewhere

    @property
    def named_loopback(self) -> bool:
        """Return True if the host is this machine, by name or by address."""
        if self.host == "localhost" or self.host.endswith(".localhost"):
            return True
        return is_loopback(self.host)

    @property
    def is_loopback_address(self) -> bool:
        """Return True if the host is an address of this machine, so that no lookup of a name can lead elsewhere."""
        return is_loopback(self.host)

    def __str__(self) -> str:
        if self.scheme == MCP:
            return self.host
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if _DEFAULT_PORTS.get(self.scheme) == self.port else f":{self.port}")


def plain_host(host: str) -> str:
    """Return the one spelling of a host: lower case, punycode, without brackets or a trailing dot.

    An address gets its one short form.
    """
    bracketed = host[:1] == "[" and host[-1:] == "]" and ":" in host
    plain = (host[1:-1] if bracketed else host).rstrip(".").lower()
    if not host.isascii():
        return _punycode(plain)
    if ":" in plain and _is_address(plain):
        address = ipaddress.ip_address(plain)
        return str(getattr(address, "ipv4_mapped", None) or address)  # an IPv4-mapped address leads to the same machine
    return _four_parts(plain) if _OLD_ADDRESS.fullmatch(plain) else plain


def _four_parts(host: str) -> str:
    """Return ``127.1`` or ``0x7f000001`` in four decimal parts, as resolvers read them."""
    *firsts, last = (int(part, 16 if part[:2] == "0x" else 8 if part[:1] == "0" else 10) for part in host.split("."))
    if any(first > 255 for first in firsts) or last >= 256 ** (4 - len(firsts)):
        return host
    number = sum(first << (24 - 8 * place) for place, first in enumerate(firsts)) + last
    return str(ipaddress.IPv4Address(number))


def _punycode(host: str) -> str:
    """Encode with the library that the HTTP clients use.

    Python's own codec would name another host for some letters.
    """
    import idna

    star = "*." if host.startswith("*.") else ""
    try:
        return star + idna.encode(host.removeprefix(star), uts46=True).decode("ascii")
    except UnicodeError:
        return host


class Pattern(NamedTuple):
    """A pattern of hosts: ``api.example.com`` or ``*.example.com``, each with or without a port, or ``mcp:reports``.

    A wildcard covers any depth, but not the name itself.
    """

    host: str
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Return the pattern that a user wrote. Name the mistake if it is a URL or a path."""
        host, port = _split(text)
        host = plain_host(host)
        if _MCP_NAME.fullmatch(host):
            return cls(host)
        if not (_LABELS.fullmatch(host) or _is_address(host)) or not (port is None or 0 < port < 65_536):
            raise ConfigurationError(_not_a_host(text))
        return cls(host, port)

    def matches(self, origin: Origin) -> bool:
        """Return True if the pattern covers this origin."""
        if self.port is not None and self.port != origin.port:
            return False
        return self._covers(origin.host)

    @staticmethod
    @lru_cache(maxsize=1024)
    def all_for(host: str, port: int) -> tuple[Pattern, ...]:
        """Return every pattern that covers a host and port, the most exact one first.

        A name beats a wildcard, a longer wildcard a shorter one, and a port beats none. They are few, so they are
        looked up in a policy of ten thousand entries, and no entry is asked.
        """
        dots = [place for place, letter in enumerate(host) if letter == "."]
        names = [host, *(f"*{host[dot:]}" for dot in dots)]
        return tuple(Pattern(name, known) for name in names for known in (port, None))

    def overlaps(self, other: Pattern) -> bool:
        """Return True if some origin is covered by both patterns."""
        if None not in (self.port, other.port) and self.port != other.port:
            return False
        return self._covers(other.host) or other._covers(self.host)

    def _covers(self, host: str) -> bool:
        return host.endswith(self.host[1:]) if self.host.startswith("*.") else host == self.host

    def __str__(self) -> str:
        if self.port is None or self.host.startswith(f"{MCP}:"):
            return self.host
        # Without brackets it reads as another address. A freeze of that would stop nothing.
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def server_named_like(pattern: Pattern) -> str:
    """Return the MCP server that goes by the same name as a host: ``mcp:reports`` for ``reports``. "": none can.

    A name without a dot is a good one for a host too, of a network at home or in a cluster.
    """
    server = f"{MCP}:{pattern.host}"
    alike = pattern.port is None and pattern.host != "localhost" and _MCP_NAME.fullmatch(server)
    return server if alike else ""


_NOT_A_NAME = (
    "{!r} is not a name for an MCP server; write a letter and then letters, digits, - and _, 63 at most, like "
    '"reports". In a policy it stands as "mcp:reports".'
)


def _not_a_host(text: str) -> str:
    """Say what is wrong with a text that is no host. Of a URL only the host is shown: its rest may hold secrets."""
    if text.startswith(f"{MCP}:") and "/" not in text:
        return _NOT_A_NAME.format(text.removeprefix(f"{MCP}:")[:100])
    if text == "*":
        return (
            '"*" is not a host. The limits of the policy itself are for all hosts together, like Policy(per_day="5"). '
            "There is no entry for all others: list each host that needs limits of its own, and only_listed_hosts=True "
            "pays no other."
        )
    found = re.fullmatch(r"(?:[^/?#]*://)?(?:[^/?#@]*@)?([^/?#@]+)(?:[/?#].*)?", text, re.DOTALL)
    if found is None or found[1] == text:
        return f'{text[:100]!r} is not a host; write "api.example.com", "*.example.com" or "localhost:8402".'
    with contextlib.suppress(ConfigurationError):
        host = Pattern.parse(found[1])
        return f'This URL is not a host; write "{host}", without scheme or path.'
    return 'This URL is not a host; write "api.example.com", "*.example.com" or "localhost:8402".'


def _split(text: str) -> tuple[str, int | None]:
    if not isinstance(text, str):
        raise ConfigurationError(f"A host is a str, not {text!r}.")
    bracketed = re.fullmatch(r"(\[[^\]]*:[^\]]*\])(?::([0-9]{1,5}))?", text)
    named = bracketed or re.fullmatch(r"([^:/\[\]]+)(?::([0-9]{1,5}))?", text)
    if named is None:
        return text, None
    return named[1], int(named[2]) if named[2] else None


def is_here(peer: object, port: int) -> bool:
    """Return True if ``peer``, the far end of a connection, is ``port`` of this machine.

    A proxy on this machine has another port.
    """
    if isinstance(peer, (str, bytes)):
        return True  # a Unix socket
    match peer:
        case (str(address), int(found), *_):
            return found == port and is_loopback(address)
    return False


@lru_cache(maxsize=1024)
def is_loopback(host: str) -> bool:
    """Return True if a host is written as an address of this machine."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
