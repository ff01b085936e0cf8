"""The buyer's side of x402 for requests: wrap a session, or mount a payment adapter.

session = wrap(requests.Session(), buyer)
session.mount("https://api.example.com", PaymentAdapter(buyer))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests

from .adapters.quoting import finished_quote, quote_despite, quote_request
from .adapters.requests_adapter import PayingAdapters, PaymentAdapter
from .adapters.requests_courier import OWN_ERRORS
from .adapters.wrap_arguments import Wrapped
from .core.call import HttpRequest
from .model.offers import Quote
from .receipts import outcome, receipt

if TYPE_CHECKING:
    from .buyer.payers import Payer

__all__ = ["PaymentAdapter", "outcome", "quote", "receipt", "wrap"]

globals().update(OWN_ERRORS.named)
_WRAPPED = Wrapped(
    "requests",
    "a requests.Session",
    "requests.Session()",
    lambda given: isinstance(given, requests.Session),
)


@_WRAPPED.checked
def wrap(session: requests.Session, buyer: Payer) -> requests.Session:
    """Make a session pay, in place, and return it.

    Its own adapters stay underneath. Adapters that are mounted later pay as well.

    Args:
        session: A ``requests.Session``.
        buyer: The buyer that pays, or an allowance of one. Several sessions may share one.
    """
    session.adapters = PayingAdapters((buyer,), session.adapters)
    return session


@_WRAPPED.quoting
def quote(session: requests.Session, method: str, url: str, **request: Any) -> Quote:
    """Return what a request would cost, without paying: offers, prices, the choice, reasons against others.

    Args:
        session: A wrapped session.
        method: The request's method.
        url: The request's URL.
        request: Further keywords of ``session.request``.
    """
    with quote_request() as pending:
        try:
            response = session.request(method, url, **request)
        except Exception as failure:
            found = quote_despite(pending, failure)
            failure.response.close()  # type: ignore[attr-defined]  # requests leaves it open where a hook raises
            return found
    return finished_quote(pending, HttpRequest.of(method, response.url).shown, response.status_code)
