"""The buyer's side of x402 for requests: wrap a session, or mount a payment adapter.

session = wrap(requests.Session(), buyer)
session.mount("https://api.example.com", PaymentAdapter(buyer))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests

from .adapters.quoting import answered, conclusion, inquiry
from .adapters.requests_adapter import (
    PaymentAdapter,
    shown_url,
)
from .errors import ConfigurationError
from .model.offers import Quote
from .receipts import receipt

if TYPE_CHECKING:
    from .buyer.buyer import Buyer

__all__ = ["PaymentAdapter", "quote", "receipt", "wrap"]


def wrap(session: requests.Session, buyer: Buyer) -> requests.Session:
    """Make a session pay, in place: its own adapters stay underneath. Returns the same session."""
    if not isinstance(session, requests.Session):
        raise ConfigurationError(f"wrap takes a requests.Session, not {type(session)!r}.")
    wrapped = {prefix: PaymentAdapter(buyer, adapter) for prefix, adapter in session.adapters.items()}
    session.adapters.update(wrapped)
    return session


def quote(session: requests.Session, method: str, url: str, **request: Any) -> Quote:
    """What a request would cost: every offer, its price, the choice, the reason against each other. Never pays.

    Further keywords go to ``session.request``.
    """
    with inquiry() as asked:
        try:
            response = session.request(method, url, **request)
        except Exception as failure:
            found = answered(asked, failure)
            failure.response.close()  # type: ignore[attr-defined]  # requests leaves it open where a hook raises
            return found
    return conclusion(asked, shown_url(response.url), response.status_code)
