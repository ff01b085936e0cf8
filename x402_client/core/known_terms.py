"""The terms of the last delivery, for those who pay ahead. Bounded."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from ..model.offers import Offer, Quote

_PLACES = 1_000
#: A place whose remembered terms were refused so often asks for others each time; it is not remembered any more.
_STRIKES = 2
#: What sellers fill in anew for each payment.
_ONCE = ("memo", "recentBlockhash", "nonce")
_LASTING_EXTENSIONS = {"payment-identifier", "bazaar"}


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms under which a place last delivered: the offer, and what a payment echoes beside it."""

    quote: Quote = field(repr=False)
    offer: Offer


class Memory:
    """The terms of each place, and how often they were refused. Bounded: the places unused for longest go first."""

    __slots__ = ("_strikes", "_terms")

    def __init__(self) -> None:
        self._terms: dict[str, Terms] = {}
        self._strikes: dict[str, int] = {}

    def recall(self, place: str) -> Terms | None:
        """Return the terms that a place is paid under, if they are known."""
        return self._terms.get(place)

    def learn(self, place: str, terms: Terms | None) -> None:
        """Note that a place delivered: under these terms, or (None) under none that can be told beforehand."""
        self._terms.pop(place, None)
        if terms is not None and self._strikes.get(place, 0) < _STRIKES:
            _put(self._terms, place, terms)

    def refused(self, place: str, origin: str) -> None:
        """Forget all terms of a seller. A payment under one of them brought no content: all may have changed."""
        for other in list(self._terms):
            if other.partition(" ")[2].startswith(f"{origin}/") or other == place:
                self._terms.pop(other, None)
        _put(self._strikes, place, self._strikes.pop(place, 0) + 1)


def _put(into: dict[str, Any], place: str, value: Any) -> None:
    into[place] = value
    for oldest in list(into)[: max(0, len(into) - _PLACES)]:
        into.pop(oldest, None)  # another thread may have been quicker


def lasting(quote: Quote, offer: Offer) -> Terms | None:
    """Return terms that can be paid a second time, and nothing else of them. None: they were made for one payment."""
    if any(name in offer.extra for name in _ONCE) or not _LASTING_EXTENSIONS.issuperset(quote.extensions):
        return None
    return Terms(replace(quote, offers=(), faults=(), choice=None), offer)
