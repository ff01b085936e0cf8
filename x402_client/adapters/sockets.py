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

    ``straight``: the library's own transport connected, and through no proxy.
    """
    stream = response.extensions.get("network_stream")
    ends = None if stream is None else (lambda: _info(stream, "server_addr"), lambda: _info(stream, "client_addr"))
    return _leads_here(ends, origin, straight and stream is not None)


def httpx_cut(response: Any) -> Callable[[], object]:
    """Return a function that ends a read of this response on another thread."""
    stream = response.extensions.get("network_stream")
    return lambda: None if stream is None else shut(stream.get_extra_info("socket"))


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
    if type(transport).__module__.partition(".")[0] not in ("httpx", "httpx2"):
        return False
    in_process = type(transport).__name__ in ("ASGITransport", "MockTransport")
    return in_process or _leads_here(None, origin, type(getattr(transport, "_pool", None)).__name__ in _STRAIGHT)


#: The pools of httpx that connect by themselves; those of proxies have other names.
_STRAIGHT = ("AsyncConnectionPool", "ConnectionPool")


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
