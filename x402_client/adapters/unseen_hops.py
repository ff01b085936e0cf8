"""Warns of a redirect that leads into a client which pays for some hosts only: the call began where we did not look.

Strategy: neither library says in a request that it follows a redirect. Its own frames on the stack do. They are looked
at when a 402 came, never for a free request.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from itertools import islice
from types import FrameType
from typing import TYPE_CHECKING

from ..core.call import HttpRequest
from ..events import Warned

if TYPE_CHECKING:
    from ..buyer.buyer import Buyer


#: The frames between the look and the frame of httpx that knows: the transport's, and the client's for one request.
_OURS = 6


class UnseenHops:
    """The warning of one transport or adapter. It is told once."""

    __slots__ = ("_buyer", "_follows", "_told")

    def __init__(self, buyer: Buyer, follows: Callable[[], bool]) -> None:
        self._buyer, self._follows, self._told = buyer, follows, False

    def look(self, request: HttpRequest) -> None:
        """Warn if the first request of a call that we see is not the first that the caller made."""
        if self._told or not self._follows():
            return
        self._told = True
        problem = (
            "a redirect led here from an address that this client does not pay for. A purchase is named by the first "
            "request that is seen. So a seller that leads each try to another address is paid each time. Wrap the "
            "whole client, or give the purchase a key"
        )
        self._buyer.services.tell(Warned(request.method, request.shown, problem))


def requests_follows() -> bool:
    """Return True if the send of requests that we are in follows a redirect."""
    names = [frame.f_code.co_name for frame in islice(_frames_of("requests.sessions"), 2)]
    return names == ["send", "resolve_redirects"]


def httpx_follows(library: str) -> Callable[[], bool]:
    """Return the function that says it for httpx or httpx2."""
    module = f"{library}._client"

    def follows() -> bool:
        # At each payment, so by the name first: it is the cheaper look at a frame. A frame that was looked at takes
        # memory until its call ends, so ours are passed over.
        try:
            frame: FrameType | None = sys._getframe(_OURS)
        except ValueError:  # there is no client above
            return False
        while frame is not None:
            if frame.f_code.co_name == "_send_handling_redirects" and frame.f_globals.get("__name__") == module:
                return bool(frame.f_locals.get("history"))
            frame = frame.f_back
        return False

    return follows


def _frames_of(module: str) -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_globals.get("__name__") == module:
            yield frame
        frame = frame.f_back
