"""Finds out which server a session is connected to: its URL, or that it is a program behind pipes.

Strategy: a session has two streams and no address. The tasks of its transport, in mcp's own modules, have the other
ends of these streams and the URL among their variables. They are looked at once, when the session is wrapped. What is
not understood is no guess: then the user names the server.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ..core.call import HttpRequest
from ..errors import ConfigurationError
from ..model.hosts import Origin
from .httpx_transport import AsyncPaying
from .sockets import straight_to_here

#: The modules of mcp whose tasks move messages, 1.x and 2.x.
_OVER_HTTP = ("mcp.client.streamable_http", "mcp.client.sse")
_OVER_PIPES = ("mcp.client.stdio",)
#: How far down a task's awaits the transport's own coroutine is looked for.
_DEPTH = 3


class _Found(NamedTuple):
    """The facts about a transport: its URL, which a program behind pipes has not, and the HTTP client that it uses."""

    url: str | None
    http_client: Any = None


def server_of(client: Any, name: str | None) -> HttpRequest:
    """Return the request that names what is bought by a session or client, but for the tool and its arguments.

    It is known from what is seen of the server, and from the name that its user gave it.
    """
    if name is not None and (not isinstance(name, str) or not name):
        raise ConfigurationError("name is a str that is not empty: the server's name, or its URL.")
    named = name if name is not None and "://" in name else None
    found = _of_client(client) or _of_streams(_streams(client))
    if found is None:
        found = _Found(named)
    elif named is not None:
        found = found._replace(url=_checked_url(found.url, named))
    if found.url is not None:
        return _request(found.url)
    if name is None:
        raise ConfigurationError(
            "No address is seen of this session's server: it runs behind pipes, or its transport is not one of mcp's. "
            'Name it: wrap(session, buyer, name="reports"). It stands in a policy as "mcp:reports". A server that is '
            'reached by HTTP is named by its URL: name="https://api.example.com/mcp".'
        )
    return HttpRequest("POST", Origin.of_server(name), "", {})


def goes_straight_here(session: Any, origin: Origin) -> bool:
    """Return True if plain http to this machine goes there straight, by the settings of a session's HTTP client."""
    found = _of_streams(_streams(session))
    return found is not None and straight_to_here(found.http_client, origin)


def pays_by_http(session: Any) -> bool:
    """Return True if the HTTP client of a session's transport was wrapped, too."""
    found = _of_streams(_streams(session))
    return isinstance(getattr(found and found.http_client, "_transport", None), AsyncPaying)


def _request(url: str) -> HttpRequest:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(
            f"A server is named by a word or by an http or https URL, and this is neither: {parts.scheme}://..."
        )
    return HttpRequest.of("POST", url)


def _checked_url(seen: str | None, named: str) -> str:
    """Return the URL that a user named, if it is no other server's than the one that is seen."""
    if seen is None:
        raise ConfigurationError(
            "This session's server is a program behind pipes, and name= is a URL. Give it a word for a name, like "
            '"reports".'
        )
    if _request(seen).origin != _request(named).origin:
        raise ConfigurationError(
            f"This session is connected to {_request(seen).origin}, and name= says {_request(named).origin}. Leave "
            "name out: the address is known."
        )
    return seen


def _of_client(client: Any) -> _Found | None:
    """Return what a high-level client says of its transport, which it may not have opened yet."""
    transport = getattr(client, "transport", None)  # fastmcp's
    transport = getattr(transport, "transport", transport)  # that of a configuration with one server
    told = getattr(client, "server", None) if transport is None else getattr(transport, "url", None)
    if isinstance(told, str) and "://" in told:
        return _Found(told)
    return _Found(None) if getattr(transport, "command", None) is not None else None


def session_of(client: Any) -> Any:
    """Return the session in a high-level client, or a session itself. None if a client is not connected."""
    if not hasattr(type(client), "session"):
        return client
    try:
        return client.session
    except RuntimeError:
        return None


def _streams(client: Any) -> list[Any]:
    """Return the shared states of a session's two streams."""
    session = session_of(client)
    holder = getattr(session, "_dispatcher", session)
    found = (_state(getattr(holder, name, None)) for name in ("_write_stream", "_read_stream"))
    return [state for state in found if state is not None]


def _state(stream: Any) -> Any:
    """Return what both ends of an anyio stream share. mcp 2.x has a stream of its own around it."""
    return getattr(getattr(stream, "_inner", stream), "_state", None)


def _of_streams(states: list[Any]) -> _Found | None:
    """Look for the tasks that hold the other ends."""
    if not states:
        return None
    kind, facts = "", dict[str, Any]()
    for module, variables in _transport_tasks():
        if any(_state(value) is state for value in variables.values() for state in states):
            kind, facts = module, {**facts, **variables}
    if kind.startswith(_OVER_PIPES):
        return _Found(None)
    url = facts.get("url", getattr(facts.get("self"), "url", None))
    return _Found(url, facts.get("client")) if isinstance(url, str) else None


def _transport_tasks() -> Iterator[tuple[str, dict[str, Any]]]:
    """Give the variables of each running task of a transport."""
    import anyio

    try:
        tasks = anyio.get_running_tasks()
    except Exception:  # no event loop: such a session is not connected either
        return
    for task in tasks:
        waiting = getattr(task, "coro", None)
        for _ in range(_DEPTH):
            frame = getattr(waiting, "cr_frame", None)
            if frame is None:
                break
            module = str(frame.f_globals.get("__name__"))
            if module.startswith((*_OVER_HTTP, *_OVER_PIPES)):
                yield module, frame.f_locals
            # anyio's own coroutine stands around the task's. It has not awaited it yet where the task did not start.
            waiting = getattr(waiting, "cr_await", None) or getattr(frame.f_locals.get("self"), "_coro", None)
