"""The hops of one call, where redirects lead it."""

from __future__ import annotations

import weakref
from typing import Any

from ..core.delivery import Delivery
from ..model.holds import Hold

_MARK = "x402_client.journey"
_UNPAID_METHODS = frozenset({"HEAD", "OPTIONS"})
#: Looked at first: the library takes longer to say that a response is no redirect.
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Journey:
    """The hops of one call: where it began, whether one of them paid, and whether that one led to the content."""

    __slots__ = ("_first", "_over", "led", "paid", "url")

    def __init__(self, request: Any) -> None:
        self._first = weakref.ref(request)
        self._over = False
        self.url = request.url
        self.paid: Hold | None = None
        self.led: Delivery | None = None

    def leads_to(self, request: Any) -> bool:
        """Whether this is a later hop of the call. The first request again, or a copy made later, is a new call."""
        return not self._over and self._first() is not request

    def end(self, request: Any) -> None:
        """The call is over: only a redirect has another hop."""
        self._over = True
        if request.extensions.get(_MARK) is self:
            del request.extensions[_MARK]


def _journey(request: Any) -> Journey:
    journey = request.extensions.get(_MARK)
    if journey is None or not journey.leads_to(request):
        journey = request.extensions[_MARK] = Journey(request)
    return journey  # type: ignore[no-any-return]
