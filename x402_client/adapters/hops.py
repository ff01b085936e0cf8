"""The hops of one call, as redirects lead it."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from typing import Any

from ..core.delivery import Delivery
from ..model.holds import Hold
from ..model.hosts import Origin

_MARK = "x402_client.hops"
#: Looked at first, because the libraries take longer to say that a response is no redirect.
REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Hops:
    """The hops of one call: where it began, whether a hop paid, and whether that hop led to the content.

    It is kept in ``marks``, a dictionary of the request that survives the building of a redirect's request.
    """

    __slots__ = ("_first", "_over", "came_from", "paid", "redirect_delivery", "started", "url")

    def __init__(self, request: Any = None, url: Any = None) -> None:
        self._first: Callable[[], Any] = (lambda: None) if request is None else weakref.ref(request)
        self._over = request is None
        #: When the call began, on the clock that only advances.
        self.started = time.monotonic()
        #: The URL of the first request.
        self.url = url
        #: The origin where the call began, if a redirect led elsewhere.
        self.came_from: Origin | None = None
        self.paid: Hold | None = None
        #: A paid redirect is delivered where it leads: by a later hop.
        self.redirect_delivery: Delivery | None = None

    @classmethod
    def of(cls, marks: dict[str, Any], request: Any, url: Any) -> Hops:
        """Return the hops of the call that a request belongs to.

        The first request again, or a copy made later, is a new call.
        """
        found: Hops | None = marks.get(_MARK)
        if found is None or found._over or found._first() is request:
            found = marks[_MARK] = cls(request, url)
        return found

    def began_with(self, request: Any) -> bool:
        """Return True if this is the call's first request, and no later hop."""
        return self._first() is request

    def end(self, marks: dict[str, Any]) -> None:
        """End the call: only a redirect has another hop."""
        self._over = True
        if marks.get(_MARK) is self:
            del marks[_MARK]

    def __reduce__(self) -> tuple[Any, ...]:
        return (Hops, ())  # caches pickle requests, and a request that comes back from one begins a new call
