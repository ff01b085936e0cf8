"""A search for sellers in the lists of facilitators. It never pays, and what it finds is a stranger's word.

    for listing in discover("weather", max_price="0.05", buyer=buyer):
        print(listing.url, listing.price, listing.reasons)

Prices, recipients and descriptions are as a facilitator wrote them down. Only the seller's own 402 decides what is
paid.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .listing import Listing
    from .search import FACILITATORS, AsyncListings, Listings, adiscover, discover

__all__ = [  # noqa: RUF022 - sorted as Python sorts
    "AsyncListings",
    "FACILITATORS",
    "Listing",
    "Listings",
    "adiscover",
    "discover",
]

#: The module of each name. It is loaded when the name is asked for.
_HOMES = {
    "AsyncListings": "search", "FACILITATORS": "search", "Listing": "listing", "Listings": "search",
    "adiscover": "search", "discover": "search",
}  # fmt: skip

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
