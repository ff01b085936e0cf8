"""URLs of ledgers: how they differ from paths, and their known schemes. No message quotes a URL: it may be secret."""

from __future__ import annotations

import os
import re

from ..errors import ConfigurationError

#: Schemes of Redis and Valkey servers, each with the one that redis-py knows.
REDIS = {"redis": "redis", "rediss": "rediss", "valkey": "redis", "valkeys": "rediss", "unix": "unix"}
#: Schemes of PostgreSQL servers, as libpq knows them.
POSTGRES = ("postgresql", "postgres")
#: Schemes of all servers.
SERVERS = (*REDIS, *POSTGRES)
#: A scheme has at least two characters: C:/spend.db is a path.
_SCHEME = re.compile(r"[\s'\"<]*([A-Za-z][A-Za-z0-9+.-]+)\s*:(/?)", re.ASCII)
_LONGEST = 20
_HINTS = {
    "sqlite": "Write the path of the file by itself.",
    "file": "Write the path of the file by itself.",
    "sentinel": "Redis Sentinel is not supported: write the address of the primary.",
}


def scheme_of(given: str | bytes | os.PathLike[str]) -> str | None:
    """Return the scheme of a URL, in lower case; None for a path.

    A path that looks like a URL needs a ``./`` before it. One slash after the colon is enough, because ``pathlib``
    turns two into one. A scheme of Redis needs none: ``redis:host`` is not a file either.
    """
    found = _SCHEME.match(os.fsdecode(given))
    if found is None:
        return None
    scheme = found[1].lower()
    return scheme if found[2] or scheme in REDIS else None


def for_redis(url: str) -> str:
    """Return a URL with the scheme that redis-py knows."""
    scheme, colon, rest = url.strip().partition(":")
    return REDIS.get(scheme.lower(), scheme) + colon + rest


def for_postgres(url: str) -> str:
    """Return a URL with the scheme that libpq knows in small letters."""
    scheme, colon, rest = url.strip().partition(":")
    return scheme.lower() + colon + rest


def refusal(scheme: str) -> ConfigurationError:
    """Build the error for an unknown scheme. The rest of the URL is not shown: it may hold a password."""
    hint = next((hint for word, hint in _HINTS.items() if word in scheme), "")
    known = [f"{name}://" for name in (*REDIS, POSTGRES[0])]
    return ConfigurationError(
        f"A ledger cannot be at {scheme[:_LONGEST]}://... It is a path like spend.db, :memory:, or a URL that begins "
        f"with {', '.join(known[:-1])} or {known[-1]}. {hint}".rstrip()
    )
