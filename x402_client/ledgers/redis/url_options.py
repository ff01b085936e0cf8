"""Options in the URL of a Redis ledger: which are accepted, and what is said of another. No value is shown."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

from ...errors import ConfigurationError
from ...model.keywords import near
from ..urls import scheme_of

#: What redis-py knows, and this ledger does not decide by itself.
COMMON = (
    "client_name", "db", "health_check_interval", "max_connections", "password", "socket_connect_timeout",
    "socket_timeout", "timeout", "username",
)  # fmt: skip
OF_TLS = (
    "ssl_ca_certs", "ssl_ca_data", "ssl_ca_path", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_ciphers",
    "ssl_keyfile", "ssl_min_version", "ssl_password",
)  # fmt: skip
#: Options of each kind of connection.
ACCEPTED: dict[str, tuple[str, ...]] = {
    "redis": (*COMMON, "socket_keepalive"), "rediss": (*COMMON, "socket_keepalive", *OF_TLS), "unix": COMMON,
}  # fmt: skip
_BY_REDIS_PY = re.compile(r"Invalid value for '(\w+)'")


def check_options(url: str) -> None:
    """Refuse a URL with an option that is not accepted, or with a value that redis-py cannot read."""
    problem = _problem(url)
    url = ""  # it may hold a password, and tools print the variables of a traceback
    if problem:
        raise ConfigurationError(problem)


def _problem(url: str) -> str:
    query, accepted = urlsplit(url).query, ACCEPTED[scheme_of(url) or "redis"]
    strange = next((name for name, _ in parse_qsl(query, keep_blank_values=True) if name not in accepted), None)
    if strange is None:
        return _unreadable(url)
    if "@" in query:  # what stands before it may be the rest of a password
        return (
            "The ledger's URL has an @ behind a question mark. Write ? in a password as %3F, and @ in the value of an "
            "option as %40."
        )
    if strange in OF_TLS:
        return f"{strange} in the ledger's URL is an option of TLS: begin the URL with rediss://."
    shown = strange[:40] if strange.isidentifier() else "an option without a name"
    meant = near(strange, accepted)
    cure = f"Did you mean {meant}? " if meant else ""
    return f"The ledger's URL has {shown}, which is no option of it. {cure}Accepted are: {', '.join(sorted(accepted))}."


def _unreadable(url: str) -> str:
    """Return what is wrong with the value of an option; "" if redis-py can read each."""
    from redis.connection import parse_url

    try:
        parse_url(url)  # type: ignore[no-untyped-call]
    except ValueError as failure:  # its text may quote the URL elsewhere
        found = _BY_REDIS_PY.match(str(failure))
        return f"{found[1]} in the ledger's URL has a value that cannot be read." if found else ""
    return ""
