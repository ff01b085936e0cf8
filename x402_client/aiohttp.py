"""The buyer's side of x402 for aiohttp: wrap a session.

session = wrap(aiohttp.ClientSession(), buyer)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

try:
    from aiohttp import ClientSession
    from yarl import URL
except ModuleNotFoundError as _missing:
    text = (
        "x402_client.aiohttp needs aiohttp, which is not installed: "
        'pip install "x402-buyer[aiohttp]" (in a clone: pip install ".[aiohttp]").'
    )
    raise ModuleNotFoundError(text, name=_missing.name) from None

from .adapters.aiohttp_courier import OWN_ERRORS
from .adapters.aiohttp_middleware import put_in
from .adapters.quoting import finished_quote, quote_despite, quote_request
from .adapters.wrap_arguments import Wrapped
from .core.call import HttpRequest
from .model.offers import Quote
from .receipts import outcome, receipt

if TYPE_CHECKING:
    from .buyer.payers import Payer

__all__ = ["outcome", "quote", "receipt", "wrap"]

globals().update(OWN_ERRORS.named)
_WRAPPED = Wrapped(
    "aiohttp",
    "an aiohttp.ClientSession",
    "aiohttp.ClientSession()",
    lambda given: isinstance(given, ClientSession),
)


@_WRAPPED.checked
def wrap(session: ClientSession, buyer: Payer) -> ClientSession:
    """Make a session pay, in place, by a middleware of its own below yours. Returns the same session.

    ``middlewares=`` of a single request stands for all of the session's: ``()`` goes round this one, and nothing is
    paid. ``total=`` covers the payment too. A websocket is never paid for.

    Args:
        session: An ``aiohttp.ClientSession``.
        buyer: The buyer that pays, or an allowance of one. Several sessions may share one.
    """
    put_in(session, buyer)
    return session


@_WRAPPED.quoting
async def quote(session: ClientSession, method: str, url: URL | str, **request: Any) -> Quote:
    """Return what a request would cost, without paying: offers, prices, the choice, reasons against others.

    Args:
        session: A wrapped session.
        method: The request's method.
        url: The request's URL.
        request: Further keywords of ``session.request``.
    """
    with quote_request() as asked:
        try:
            async with session.request(method, url, **request) as response:
                shown = HttpRequest.of(method, str(response.url)).shown
                return finished_quote(asked, shown, response.status)
        except Exception as failure:
            return quote_despite(asked, failure)
