"""The hops of one call, as redirects lead it."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from ..core.call import HttpRequest
from ..core.delivery import Delivery, tell_of_the_money
from ..core.digests import BodyDigest
from ..errors import BodyNotReplayable, X402Error
from ..model.holds import Hold, Outcome
from ..model.hosts import Origin

if TYPE_CHECKING:
    from .session_calls import PaymentBelow

_MARK = "x402_client.hops"
#: Looked at first, because the libraries take longer to say that a response is no redirect.
REDIRECTS = frozenset({301, 302, 303, 307, 308})


#: A redirect with one of these statuses is followed with the same body.
_SAME_BODY = frozenset({307, 308})


class FirstRequest(NamedTuple):
    """The first request of a call, which names its purchase.

    ``body`` is its digest, or why there is none. None: it was not read yet, and the next hop has the same one.
    """

    request: HttpRequest
    body: BodyDigest | BodyNotReplayable | None


class Hops:
    """The hops of one call: where it began, whether a hop paid, and whether that hop led to the content.

    It is kept in ``marks``, a dictionary of the request that survives the building of a redirect's request.
    """

    __slots__ = (
        "_first", "_last", "_over", "below", "first", "is_stranded", "outcome", "paid", "redirect_delivery", "started",
    )  # fmt: skip

    def __init__(self, request: Any = None) -> None:
        self._first: Callable[[], Any] = _nothing if request is None else weakref.ref(request)
        #: The latest hop, if a redirect led there.
        self._last: Callable[[], Any] = _nothing
        self._over = request is None
        #: When the call began, on the clock that only advances.
        self.started: float = time.monotonic()
        #: Known once a redirect leads on.
        self.first: FirstRequest | None = None
        self.paid: Hold | None = None
        #: What became of that payment, where its answer led on.
        self.outcome: Outcome | None = None
        #: A paid redirect is delivered where it leads: by a later hop.
        self.redirect_delivery: Delivery | None = None
        #: Returns True once its client is closed: then it brings nothing more. None: the client does not say.
        self.is_stranded: Callable[[], bool] | None = None
        #: The payment for a call of a wrapped session of MCP, if this request carries one.
        self.below: PaymentBelow | None = None

    @classmethod
    def of(cls, marks: dict[str, Any], request: Any) -> Hops:
        """Return the hops of the call that a request belongs to.

        The first request again, or a copy made later, is a new call. A later hop that is sent again by hand is a new
        call too, and asks for what its first one asked for.
        """
        found: Hops | None = marks.get(_MARK)
        if found is None:
            found = marks[_MARK] = cls(request)
        elif found._over or found._first() is request:
            known = found.first if found._last() is request else None
            found = marks[_MARK] = cls(request)
            if known is not None:
                found.first, found._last = known, weakref.ref(request)
        else:
            found._last = weakref.ref(request)
        return found

    @property
    def came_from(self) -> Origin | None:
        """Return the origin where the call began, if a redirect led on from there."""
        return None if self.first is None else self.first.request.origin

    @property
    def asks_for_digest(self) -> bool:
        """Return True if a redirect that leads on has to be noted, with the digest of the body."""
        return self.paid is None and (self.first is None or self.first.body is None)

    def take_delivery(self) -> Delivery | None:
        """Return the delivery of a paid redirect to the hop that brings the content.

        It is kept no longer here: a pool may keep a request with its marks, and a delivery keeps a payment in flight.
        """
        found, self.redirect_delivery = self.redirect_delivery, None
        return found

    def failed(self, failure: BaseException) -> None:
        """Say on a later hop's failure what became of the money that an earlier hop paid."""
        if self.outcome is not None and isinstance(failure, Exception) and not isinstance(failure, X402Error):
            tell_of_the_money(failure, self.outcome)

    def lead_on(self, request: HttpRequest, body: BodyDigest | BodyNotReplayable | None) -> None:
        """Note that a redirect answered a request, and the digest of its body."""
        self.first = FirstRequest(request if self.first is None else self.first.request, body)

    def end(self, marks: dict[str, Any]) -> None:
        """End the call: only a redirect has another hop.

        A later hop that paid keeps its mark: sent again by hand, it presents the same payment.
        """
        self._over = True
        if marks.get(_MARK) is self and (self._last is _nothing or self.paid is None):
            del marks[_MARK]

    def __reduce__(self) -> tuple[Any, ...]:
        return (Hops, ())  # caches pickle requests, and a request that comes back from one begins a new call


def unread_body(method: str, status: int) -> BodyNotReplayable | None:
    """Return what is known, at a redirect, of a body that can be read once and that was not read yet.

    It is left alone, because the library may send it with the next hop. None: it surely does.
    """
    if status in _SAME_BODY:
        return None
    return BodyNotReplayable(
        f"The {method} request's body can be read only once, and a redirect ({status}) answered before it was read. "
        "Without it a repeat of this purchase could not be told from another. Pass bytes or a seekable file. Nothing "
        "was paid."
    )


def not_digested(failure: Exception) -> BodyNotReplayable:
    """Return the error for a body that could not be read to its end when a redirect answered.

    It is raised where the call is asked to pay, and not before.
    """
    if isinstance(failure, BodyNotReplayable):
        return failure.with_traceback(None)
    return BodyNotReplayable(
        f"A redirect answered, and the request's body could not be read to its end ({type(failure).__name__}). Without "
        "it a repeat of this purchase could not be told from another. Nothing was paid."
    )


def _nothing() -> None:
    return None
