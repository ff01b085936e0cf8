"""Knows the clients of the HTTP libraries, and the face of each. No library is imported for that."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any
from urllib.request import getproxies

from ..errors import ConfigurationError
from ..model.offers import words

#: The library, and whether the client is async, by the class's own module and name.
_CLIENTS = {
    ("httpx", "Client"): False,
    ("httpx", "AsyncClient"): True,
    ("httpx2", "Client"): False,
    ("httpx2", "AsyncClient"): True,
    ("requests", "Session"): False,
    ("aiohttp", "ClientSession"): True,
}
#: Headers without a secret, which may go to every host that a model names. Any other may hold one.
_HARMLESS = frozenset({
    "accept", "accept-charset", "accept-encoding", "accept-language", "cache-control", "connection", "content-type",
    "dnt", "pragma", "te", "traceparent", "upgrade-insecure-requests", "user-agent", "x-request-id",
})  # fmt: skip


def library_of(client: object) -> tuple[str, bool] | None:
    """Return the library of a client and whether it is async, or None if it is no client of a library that is known."""
    for kind in type(client).__mro__:
        named = (kind.__module__.partition(".")[0], kind.__name__)
        if named in _CLIENTS:
            return named[0], _CLIENTS[named]
    return None


def face_of(library: str) -> Any:
    """Return the module of ours for a library."""
    return import_module(f"x402_client.{library}")


def known(client: object) -> tuple[str, bool]:
    """Return the library of a client and whether it is async. Refuse what is none."""
    found = library_of(client)
    if found is None:
        raise ConfigurationError(
            "tools takes a client of httpx, httpx2, requests or aiohttp, not "
            f"{type(client).__name__}; agents.wrap(...) finds the client inside of an SDK's object."
        )
    return found


def leaves_names(client: Any) -> bool:
    """Return True if a client leaves looking up names to a proxy, or to a transport that is not its library's."""
    transport = getattr(client, "_transport", None)
    if transport is not None:  # of httpx, whose proxies are mounts, also those of the environment
        mounts = getattr(client, "_mounts", None) or {}
        return not _is_own(transport) or any(one is not None for one in mounts.values())
    if getattr(client, "proxies", None) or getattr(client, "_default_proxy", None):
        return True
    return bool(getattr(client, "trust_env", False) and getproxies())


def _is_own(transport: Any) -> bool:
    transport = getattr(transport, "_inner", transport)  # ours, if the client is wrapped
    pool = type(getattr(transport, "_pool", None)).__name__
    return type(transport).__name__ in ("HTTPTransport", "AsyncHTTPTransport") and pool.endswith("ConnectionPool")


def check_carries_no_secrets(client: Any) -> None:
    """Refuse a client that would send its own secrets to any host that a model names, or that may do so."""
    headers = getattr(client, "headers", None)
    named = [words(name, 60) for name in _names(headers) if name.lower() not in _HARMLESS]
    auth = getattr(client, "auth", None) or getattr(client, "_auth", None) or getattr(client, "_default_auth", None)
    carried = [f"its {name} header" for name in named] + (["its auth"] if auth else [])
    carried += ["its own query parameters"] if len(getattr(client, "params", None) or ()) else []
    carried += ["its client certificate"] if getattr(client, "cert", None) else []
    carried += ["what its own hooks, middlewares or traces add"] if _has_hooks(client) else []
    carried += ["cookies without a domain"] if _has_loose_cookies(client) else []
    if carried:
        raise ConfigurationError(
            f"This client sends {' and '.join(carried)} with every request, so to every host that a model names. Give "
            'the tools a client without, or name the hosts that may be asked: tools(..., hosts=["api.example.com"]).'
        )


def _has_hooks(client: Any) -> bool:
    """Return True if code of the caller's sees each request before it is sent: it can add any header.

    aiohttp shows its traces the headers themselves, and not a copy, when a request begins.
    """
    hooks = getattr(client, "event_hooks", None)
    added = [*(hooks.get("request") or ())] if isinstance(hooks, Mapping) else []
    added += getattr(client, "_middlewares", None) or ()
    added += (signal for config in getattr(client, "_trace_configs", ()) for signal in config.on_request_start)
    return any(not type(one).__module__.startswith("x402_client.") for one in added)


def _has_loose_cookies(client: Any) -> bool:
    """Return True if a client has cookies that were given to it for no host. Those of answers have one."""
    cookies = getattr(client, "cookies", None)
    jar = getattr(client, "cookie_jar", None) if cookies is None else getattr(cookies, "jar", cookies)
    domains = (one.get("domain") if hasattr(one, "get") else getattr(one, "domain", "?") for one in jar or ())
    return not all(domains)


def _names(headers: Any) -> list[str]:
    return [str(name) for name in headers] if isinstance(headers, Mapping) else []
