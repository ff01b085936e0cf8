"""The terms of the last delivery, for those who pay ahead. Bounded."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from ..model.offers import Offer, Quote

_PLACES = 1_000
#: The most products of one place. Those that differ in each request would fill the memory.
_PRODUCTS = 64
#: A product whose remembered terms were refused so often asks for others each time; it is not remembered any more.
_STRIKES = 2
#: What sellers fill in anew for each payment.
_ONCE = ("memo", "recentBlockhash", "nonce")
_LASTING_EXTENSIONS = {"payment-identifier", "bazaar"}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Terms:
    """The terms under which a place last delivered: the offer, and what a payment echoes beside it."""

    quote: Quote = field(repr=False)
    offer: Offer


class Memory:
    """The terms of each product of each place, and how often they were refused.

    A place is a method and an address, a product is what a body buys there: ``BodyDigest.product``. Bounded: what was
    unused for longest goes first.
    """

    __slots__ = ("_strikes", "_terms")

    def __init__(self) -> None:
        self._terms: dict[str, dict[str | bytes, Terms]] = {}
        self._strikes: dict[tuple[str, str | bytes | None], int] = {}

    def knows(self, place: str) -> bool:
        """Return True if the terms of any product of a place are known."""
        return bool(self._terms.get(place))

    def recall(self, place: str, product: str | bytes | None) -> Terms | None:
        """Return the terms that a product is paid under, if they are known."""
        known = self._terms.get(place)
        return None if known is None or product is None else known.get(product)

    def learn(self, place: str, product: str | bytes | None, terms: Terms | None) -> None:
        """Note a delivery: under these terms, or (None) under none that can be told beforehand."""
        if product is None:
            return
        known = self._terms.get(place, {})
        known.pop(product, None)
        if terms is not None and self._strikes.get((place, product), 0) < _STRIKES:
            _put(known, product, terms, _PRODUCTS)
            self._terms.pop(place, None)
            _put(self._terms, place, known, _PLACES)

    def refused(self, place: str, product: str | bytes | None, origin: str) -> None:
        """Forget all terms of a seller. A payment under one of them brought no content: all may have changed."""
        for other in list(self._terms):
            if other.partition(" ")[2].startswith(f"{origin}/") or other == place:
                self._terms.pop(other, None)
        _put(self._strikes, (place, product), self._strikes.pop((place, product), 0) + 1, _PLACES)


def _put(into: dict[Any, Any], key: Any, value: Any, most: int) -> None:
    into[key] = value
    if len(into) > most:
        for oldest in list(into)[: len(into) - most]:
            into.pop(oldest, None)  # another thread may have been quicker


def lasting(quote: Quote, offer: Offer) -> Terms | None:
    """Return terms that can be paid a second time, and nothing else of them. None: they were made for one payment."""
    if any(name in offer.extra for name in _ONCE) or not _LASTING_EXTENSIONS.issuperset(quote.extensions):
        return None
    return Terms(replace(quote, offers=(), faults=(), choice=None), offer)
