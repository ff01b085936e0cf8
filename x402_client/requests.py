"""The buyer's side of x402 for requests: wrap a session, or mount a payment adapter.

session = wrap(requests.Session(), buyer)
session.mount("https://api.example.com", PaymentAdapter(buyer))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests

from .adapters.exchange import refuse_client
from .adapters.quoting import answered, conclusion, inquiry
from .adapters.requests_adapter import PayingAdapters, PaymentAdapter
from .core.call import HttpRequest
from .model.offers import Quote
from .receipts import receipt

if TYPE_CHECKING:
    from .buyer.buyer import Buyer

__all__ = ["PaymentAdapter", "quote", "receipt", "wrap"]


def wrap(session: requests.Session, buyer: Buyer) -> requests.Session:
    """Make a session pay, in place: its own adapters stay underneath. Returns the same session.

    Adapters that are mounted later pay as well.
    """
    if not isinstance(session, requests.Session):
        raise refuse_client(session, "a requests.Session", "requests")
    session.adapters = PayingAdapters(buyer, session.adapters)
    return session


def quote(session: requests.Session, method: str, url: str, **request: Any) -> Quote:
    """Return what a request would cost: every offer, its price, the choice, the reasons against the others. Never pays.

    Further keywords go to ``session.request``.
    """
    with inquiry() as asked:
        try:
            response = session.request(method, url, **request)
        except Exception as failure:
            found = answered(asked, failure)
            failure.response.close()  # type: ignore[attr-defined]  # requests leaves it open where a hook raises
            return found
    return conclusion(asked, HttpRequest.of(method, response.url).shown, response.status_code)
