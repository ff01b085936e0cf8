"""Finds the socket under a response: where it leads, and how to end a read from it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from typing import Any

from ..guards.deadlines import shut
from ..model.hosts import Origin, is_here, is_loopback


def httpx_leads_here(response: Any, origin: Origin, straight: bool) -> bool:
    """Return True if the response was seen to come from the origin's port of this machine, through no proxy.

    ``straight``: a transport connected that connects by itself, and through no proxy. That of httpx-aiohttp does not
    show its connection.
    """
    stream = response.extensions.get("network_stream")
    if stream is None:
        return _leads_here(None, origin, straight and type(response.stream).__module__.startswith("httpx_aiohttp."))
    return _leads_here((lambda: _info(stream, "server_addr"), lambda: _info(stream, "client_addr")), origin, straight)


def httpx_cut(response: Any) -> Callable[[], object]:
    """Return a function that ends a read of this response on another thread."""
    stream = response.extensions.get("network_stream")
    return lambda: None if stream is None else shut(stream.get_extra_info("socket"))


def httpx_is_connected(response: Any) -> bool:
    """Return True if the connection of a response is seen to be open still."""
    stream = response.extensions.get("network_stream")
    try:
        return stream is not None and stream.get_extra_info("socket").fileno() >= 0
    except Exception:  # anyio has no socket to show once that is closed, and a stream of others may show anything
        return False


def requests_leads_here(response: Any, origin: Origin, straight: bool) -> bool:
    """Return True for requests as ``httpx_leads_here`` does."""
    sock = _socket_of(response.raw)
    return _leads_here(
        None if sock is None else (lambda: sock.getpeername(), lambda: sock.getsockname()), origin, straight
    )


def requests_cut(response: Any) -> Callable[[], object]:
    """Return a function that ends a read of this response on another thread."""
    sock = _socket_of(response.raw)
    return lambda: shut(sock)


def aiohttp_leads_here(peer: Any, through_proxy: bool, port: int) -> bool:
    """Return True if a connection with this peer was seen to end on this very machine and port, and in no proxy."""
    return not through_proxy and peer is not None and is_here(peer, port)


def straight_to_here(client: Any, origin: Origin) -> bool:
    """Return True if an httpx client's own transport reaches an origin on this machine, through no proxy.

    It is for a client whose responses are not seen. Its settings say which way it goes. A name is looked up.
    """
    try:
        transport = client._transport_for_url(type(client.base_url)(str(origin)))
    except AttributeError:
        return False
    transport = getattr(transport, "_inner", transport)  # ours, if the client is wrapped
    own = type(transport).__module__.partition(".")[0] in ("httpx", "httpx2")
    in_process = own and type(transport).__name__ in ("ASGITransport", "MockTransport")
    return in_process or _leads_here(None, origin, connects_straight(transport))


#: The transports of httpx that connect by themselves, and their pools where no proxy is between.
_OWN = ("AsyncHTTPTransport", "HTTPTransport")
_STRAIGHT = ("AsyncConnectionPool", "ConnectionPool")


def connects_straight(transport: Any) -> bool:
    """Return True if a transport of httpx is known to connect by itself, through no proxy.

    It is httpx's own, or that of httpx-aiohttp over a session with aiohttp's own connector and resolver.
    """
    kind = type(transport)
    library = kind.__module__.partition(".")[0]
    if library in ("httpx", "httpx2"):
        return kind.__name__ in _OWN and type(getattr(transport, "_pool", None)).__name__ in _STRAIGHT
    if library != "httpx_aiohttp" or kind.__name__ != "AiohttpTransport":
        return False
    session = transport.client
    if session is None:  # it makes one as it is first asked
        return transport.proxy is None and transport.uds is None
    return transport.proxy is None and _session_connects_straight(session)


def _session_connects_straight(session: Any) -> bool:
    """Return True if nothing of an aiohttp session's own leads a request elsewhere. What is not known may."""
    connector = getattr(session, "connector", None)
    parts = (session, connector, getattr(connector, "_resolver", None))
    return (
        [type(part).__module__ for part in parts] == ["aiohttp.client", "aiohttp.connector", "aiohttp.resolver"]
        and type(connector).__name__ == "TCPConnector"
        and session.trust_env is False
        and getattr(session, "_default_proxy", "") is None
        and getattr(session, "_middlewares", None) == ()
    )


def _leads_here(ends: tuple[Callable[[], Any], Callable[[], Any]] | None, origin: Origin, straight: bool) -> bool:
    """Judge a connection by its far end, and by its near one. A seller may have closed it right after its answer.

    Where no proxy was between, an address of this machine needs no look, and our own end shows that it was a loop.
    Where nothing is left of the connection, the one name that has always meant this machine is looked up.
    """
    if straight and origin.is_loopback_address:
        return True
    if ends is not None:
        far, near = ends
        try:
            return is_here(far(), origin.port)
        except OSError:  # it is gone
            with contextlib.suppress(OSError):
                return straight and is_loopback(near()[0])
        except Exception:  # a stream or a socket that is not the library's: nothing was seen
            return False
    return straight and origin.host == "localhost" and _names_this_machine(origin)


def _info(stream: Any, name: str) -> Any:
    found = stream.get_extra_info(name)
    if found is None:  # anyio says so of a socket that was closed
        raise OSError(name)
    return found


def _names_this_machine(origin: Origin) -> bool:
    """Return True if a name leads to this machine alone."""
    try:
        found = socket.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return bool(found) and all(is_loopback(str(address[0])) for *_, address in found)


def _socket_of(raw: Any) -> Any:
    """Return the socket of a raw response, from its connection or from its file.

    If the server closes the connection after this response, its socket has gone to the file.
    """
    sock = getattr(getattr(raw, "_connection", None), "sock", None)
    if sock is not None:
        return sock
    file = getattr(getattr(raw, "_fp", None), "fp", None)
    return getattr(getattr(file, "raw", None), "_sock", None)
