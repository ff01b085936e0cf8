"""URLs of ledgers: what is a URL and what is a path, and which schemes are understood. No message quotes a URL."""

from __future__ import annotations

import os
import re

from ..errors import ConfigurationError

#: Schemes of Redis and Valkey servers, each with the one that redis-py knows.
REDIS = {"redis": "redis", "rediss": "rediss", "valkey": "redis", "valkeys": "rediss", "unix": "unix"}
#: A scheme has two characters at least, or else C:/spend.db would be a URL.
_SCHEME = re.compile(r"[\s'\"<]*([A-Za-z][A-Za-z0-9+.-]+)\s*:(/?)", re.ASCII)
_LONGEST = 20
_HINTS = {
    "sqlite": "Write the path of the file by itself.",
    "file": "Write the path of the file by itself.",
    "sentinel": "Sentinels are not asked: write the address of the primary.",
}


def scheme_of(given: str | bytes | os.PathLike[str]) -> str | None:
    """Return the scheme of a URL, in small letters; None for a path.

    A path that looks like a URL is written with a ``./`` before it. ``pathlib`` makes one slash of two, so one is
    enough here; a scheme of Redis needs none: ``redis:host`` is no file either.
    """
    found = _SCHEME.match(os.fsdecode(given))
    if found is None:
        return None
    scheme = found[1].lower()
    return scheme if found[2] or scheme in REDIS else None


def for_redis(url: str) -> str:
    """Return a URL as redis-py reads it: its scheme is one that it knows, in small letters."""
    scheme, colon, rest = url.strip().partition(":")
    return REDIS.get(scheme.lower(), scheme) + colon + rest


def refusal(scheme: str) -> ConfigurationError:
    """Build the error for a scheme that is not understood. A URL may hold a password, so the rest is not shown."""
    hint = next((hint for word, hint in _HINTS.items() if word in scheme), "")
    known = [f"{name}://" for name in REDIS]
    return ConfigurationError(
        f"A ledger cannot be at {scheme[:_LONGEST]}://... It is a path like spend.db, :memory:, or a URL that begins "
        f"with {', '.join(known[:-1])} or {known[-1]}. {hint}".rstrip()
    )
