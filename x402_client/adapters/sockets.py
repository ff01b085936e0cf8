"""Finds the socket under a response: where it leads, and how to end a read from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..guards.deadlines import shut
from ..model.hosts import is_here


def httpx_leads_here(response: Any, port: int) -> bool:
    """Return True if the response was seen to come from ``port`` of this machine, through no proxy."""
    stream = response.extensions.get("network_stream")
    return stream is not None and _is_here(lambda: stream.get_extra_info("server_addr"), port)


def httpx_cut(response: Any) -> Callable[[], object]:
    """Return a function that ends a read of this response on another thread."""
    stream = response.extensions.get("network_stream")
    return lambda: None if stream is None else shut(stream.get_extra_info("socket"))


def requests_leads_here(response: Any, port: int) -> bool:
    """Return True if the response was seen to come from ``port`` of this machine, through no proxy."""
    sock = _socket_of(response.raw)
    return sock is not None and _is_here(sock.getpeername, port)


def requests_cut(response: Any) -> Callable[[], object]:
    """Return a function that ends a read of this response on another thread."""
    sock = _socket_of(response.raw)
    return lambda: shut(sock)


def aiohttp_leads_here(peer: Any, through_proxy: bool, port: int) -> bool:
    """Return True if a connection with this peer was seen to end on this very machine and port, and in no proxy."""
    return not through_proxy and peer is not None and _is_here(lambda: peer, port)


def _is_here(peer: Callable[[], Any], port: int) -> bool:
    try:
        return is_here(peer(), port)
    except Exception:  # a stream that is not the library's, or a connection that is gone: nothing was seen
        return False


def _socket_of(raw: Any) -> Any:
    """Return the socket of a raw response, from its connection or from its file.

    If the server closes the connection after this response, its socket has gone to the file.
    """
    sock = getattr(getattr(raw, "_connection", None), "sock", None)
    if sock is not None:
        return sock
    file = getattr(getattr(raw, "_fp", None), "fp", None)
    return getattr(getattr(file, "raw", None), "_sock", None)
