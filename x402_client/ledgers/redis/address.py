"""The server's address and the settings of its connections, and what a server must be to hold a ledger."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from ...errors import ConfigurationError, LedgerUnavailable
from ..urls import scheme_of
from .url_options import check_options

log: logging.Logger = logging.getLogger("x402_client")


@dataclass(frozen=True, slots=True)
class Address:
    """Address of the server, and the settings of its connections. The URL may hold a password."""

    url: str = field(repr=False)
    timeout: float
    replicas: int
    cluster: bool

    @property
    def shown(self) -> str:
        """Return host and port, or the socket's path, without user, password and options; "" if it cannot be read."""
        from redis.connection import parse_url

        try:
            found: dict[str, Any] = parse_url(self.url)  # type: ignore[no-untyped-call]
        except Exception:  # its text may quote the URL
            return ""
        return str(found.get("path") or f"{found.get('host', 'localhost')}:{found.get('port', 6379)}")

    @property
    def encrypted(self) -> bool:
        """Return True if the connections speak TLS."""
        return scheme_of(self.url) == "rediss"

    @property
    def kind(self) -> str:
        """Return the server's name in messages."""
        return "Redis"

    @property
    def beginning(self) -> str:
        """Return "": the first use needs no more than any other."""
        return ""

    @property
    def reads_alone(self) -> bool:
        """Return False: every step is written down by the script."""
        return False

    def check(self, facts: dict[str, Any], first: bool) -> None:
        """Refuse a server that evicts. Warn at the first look if it writes no log of its commands."""
        policy = facts.get("maxmemory_policy")
        if policy != "noeviction":
            raise LedgerUnavailable(
                f"The Redis server at {self.shown} may forget what was paid when its memory is full "
                f"(maxmemory-policy is {policy or 'unknown'}); set it to noeviction. Nothing is paid until then."
            )
        if first and not facts.get("aof_enabled"):
            log.warning(
                "The Redis server at %s has appendonly off: what it counted since its last snapshot is lost when it "
                "stops.",
                self.shown,
            )

    def options(self) -> dict[str, Any]:
        """Return the options of every connection."""
        return {
            "decode_responses": True,
            "socket_timeout": self.timeout,
            "socket_connect_timeout": self.timeout / 2,
        }


def check(address: Address) -> None:
    """Raise ConfigurationError unless redis-py is installed and can read the URL, and it names a database by number."""
    try:
        import redis  # noqa: F401
    except ImportError:
        raise ConfigurationError(
            "A Redis ledger needs redis, which is not installed: "
            'pip install "x402-buyer[redis]" (in a clone: pip install ".[redis]").'
        ) from None
    if _is_readable(address.url.partition("?")[0]):
        check_options(address.url)
    if not _is_readable(address.url):
        raise ConfigurationError(
            "The ledger's URL cannot be read; write redis://host:6379/0, rediss://user:password@host:6379/0 or "
            "unix:///path/to/socket."
        )
    if not _is_numbered(address.url):
        raise ConfigurationError(
            "The ledger's URL names a database of Redis that is no number: redis-py would use another one. Write "
            "redis://host:6379/0."
        )


def _is_readable(url: str) -> bool:
    from redis import ConnectionPool

    try:
        ConnectionPool.from_url(url)
    except Exception:  # its text may quote the URL, and the URL may hold a password
        return False
    return True


def _is_numbered(url: str) -> bool:
    """Return False if redis-py reads another database than the one that is written, or a negative number."""
    from redis.connection import parse_url

    number: int = parse_url(url).get("db", 0)  # type: ignore[no-untyped-call]
    named = "" if scheme_of(url) == "unix" else unquote(urlsplit(url).path).removeprefix("/").strip()
    return number >= 0 and (not named or (named.isascii() and named.isdigit()))
