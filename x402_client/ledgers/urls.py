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
#: Words of a server's name, in a name without a directory.
_SERVERS = {*REDIS, "postgres", "postgresql", "localhost"} - {"unix"}
#: Endings of names in a network, where a file has another: redis.internal.
_DOMAINS = ("internal", "local", "lan", "svc", "com", "net")
#: PostgreSQL's own, and PgBouncer's.
_POSTGRES_PORTS = ("5432", "6432")
_FILES = ("db", "db3", "sqlite", "sqlite3", "ledger")
#: A host with a port; before it perhaps a user and a password, after it the number of a database.
_WITH_PORT = re.compile(r"\s*([^/\\]*@)?([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})(/[0-9]*)?\s*", re.ASCII)
#: A server's scheme without its colon, or a user's name and password. A directory before it makes it a file: ./NAME.
_MISTYPED = re.compile(
    rf"[\s'\"<]*(?:({'|'.join(SERVERS)})[^A-Za-z0-9_/]*//|(?![./~\\]|[A-Za-z]:[/\\]).*:.*@|//[^/]*:.*@)",
    re.ASCII | re.IGNORECASE | re.DOTALL,
)
#: Spellings of a ledger in memory that SQLite and other libraries know.
_IN_MEMORY = re.compile(r"\s*(file:)?:*memory:*\s*", re.ASCII | re.IGNORECASE)
_ADDRESS = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}", re.ASCII)


def scheme_of(given: str | bytes | os.PathLike[str]) -> str | None:
    """Return the scheme of a URL, in lower case; None for a path.

    A path that looks like a URL needs a ``./`` before it. One slash after the colon is enough, because ``pathlib``
    turns two into one. A server's scheme needs none: ``redis:host`` is not a file either.
    """
    found = _SCHEME.match(os.fsdecode(given))
    if found is None:
        return None
    scheme = found[1].lower()
    return scheme if found[2] or scheme in SERVERS else None


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


def another_kind(scheme: str, own: str, takes: str) -> ConfigurationError:
    """Build the error for what another class of ledgers takes. A URL is not shown: it may hold a password.

    Args:
        scheme: The scheme of what was given. "": it is no URL.
        own: The name of the class.
        takes: What it takes.
    """
    given = f", and this begins with {scheme[:_LONGEST]}://" if scheme else ""
    other = "RedisLedger" if scheme in REDIS else "PostgresLedger" if scheme in POSTGRES else ""
    fits = f"; {other} takes that" if other else ""
    sentinel = f" {_HINTS['sentinel']}" if "sentinel" in scheme else ""
    return ConfigurationError(
        f"{own} takes {takes}{given}{fits}. Buyer(ledger=...) takes paths and URLs, and chooses by itself.{sentinel}"
    )


def check_is_path(given: str | bytes | os.PathLike[str]) -> None:
    """Refuse what looks like a mistyped URL. It is not shown: it may hold a password."""
    mistyped = _MISTYPED.match(os.fsdecode(given)) and not _WITH_PORT.fullmatch(os.fsdecode(given))
    if not mistyped:
        return
    given = ""
    raise ConfigurationError(
        "The ledger's name looks like a server's URL with a mistake in it; it is not shown, as it may hold a password. "
        "As a file, each machine would have one of its own, and the whole budget. Write "
        "redis://USER:PASSWORD@HOST:6379/0 or postgresql://USER:PASSWORD@HOST/DATABASE; or, for a file of that name, "
        "put its directory before it, as in ./NAME."
    )


def check_is_file(given: str | bytes) -> None:
    """Refuse a server's address without its scheme: it would be a new file, and each machine would begin its own.

    A name with a directory is a file: ``./redis``.
    """
    if _IN_MEMORY.fullmatch(os.fsdecode(given)) and os.fsdecode(given) != ":memory:":
        raise ConfigurationError(
            'A ledger in memory is called ":memory:", with both colons. Write that; or, for a file of this name, put '
            "its directory before it, as in ./memory."
        )
    found = _WITH_PORT.fullmatch(os.fsdecode(given))
    if found is None and not _is_server(os.fsdecode(given)):
        return
    # What stands before an @ may be a password.
    meant = f"redis://{found[2]}:{found[3]}/0" if found and not found[1] else "redis://HOST:6379/0"
    if "postgres" in os.fsdecode(given).lower() or (found and found[3] in _POSTGRES_PORTS):
        meant = "postgresql://USER@HOST/DATABASE"
    given, found = "", None
    raise ConfigurationError(
        "The ledger's name is a server's address without its scheme. As a file, each machine would have one of its "
        f"own, and the whole budget. Write {meant}; or, for a file of that name, put its directory before "
        "it, as in ./NAME."
    )


def _is_server(written: str) -> bool:
    name = written.strip().lower()
    if "/" in name or "\\" in name:
        return False
    parts = re.split(r"[.-]", name)
    if "." in name and parts[-1] in _FILES:
        return False
    return bool(_SERVERS.intersection(parts) or _ADDRESS.fullmatch(name) or ("." in name and parts[-1] in _DOMAINS))
