"""The buyer's side of x402 for httpx: wrap a client, or put a payment transport around any other.

client = wrap(httpx.Client(), buyer)
client = httpx.Client(transport=PaymentTransport(buyer))
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar, overload

import httpx

from .adapters.httpx_bodies import Library
from .adapters.httpx_transport import AsyncPaying, SyncPaying, aquote_with, put_under, quote_with
from .adapters.wrap_arguments import Wrapped
from .model.offers import Quote
from .receipts import outcome, receipt

if TYPE_CHECKING:
    from .buyer.payers import Payer

__all__ = ["AsyncPaymentTransport", "PaymentTransport", "outcome", "quote", "receipt", "wrap"]

_LIBRARY = Library(httpx, __name__)
globals().update(_LIBRARY.own_errors.named)
_WRAPPED = Wrapped(
    "httpx",
    "an httpx.Client or httpx.AsyncClient",
    "httpx.Client()",
    lambda given: isinstance(given, (httpx.Client, httpx.AsyncClient)),
)
_Client = TypeVar("_Client", bound=httpx.Client | httpx.AsyncClient)


class PaymentTransport(SyncPaying, httpx.BaseTransport):
    """A transport that pays when a server answers 402, over any inner transport.

    Args:
        buyer: The buyer that pays, or an allowance of one.
        inner: Any transport of httpx, which does the sending. Default: httpx's own.
    """

    _library = _LIBRARY

    def __init__(self, buyer: Payer, inner: httpx.BaseTransport | None = None) -> None:
        super().__init__(buyer, httpx.HTTPTransport() if inner is None else inner)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and pay where it is asked for.

        Args:
            request: The request.
        """
        response: httpx.Response = self._send(request)
        return response


class AsyncPaymentTransport(AsyncPaying, httpx.AsyncBaseTransport):
    """Async twin of ``PaymentTransport``, for ``httpx.AsyncClient``.

    Args:
        buyer: The buyer that pays, or an allowance of one.
        inner: Any async transport of httpx, which does the sending. Default: httpx's own.
    """

    _library = _LIBRARY

    def __init__(self, buyer: Payer, inner: httpx.AsyncBaseTransport | None = None) -> None:
        super().__init__(buyer, httpx.AsyncHTTPTransport() if inner is None else inner)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and pay where it is asked for.

        Args:
            request: The request.
        """
        response: httpx.Response = await self._send(request)
        return response


@_WRAPPED.checked
def wrap(client: _Client, buyer: Payer) -> _Client:
    """Make a client pay, in place, and return it.

    Its own transport, mounts and proxies stay underneath.

    Args:
        client: An ``httpx.Client`` or ``httpx.AsyncClient``.
        buyer: The buyer that pays, or an allowance of one. Several clients may share one.
    """
    if isinstance(client, httpx.AsyncClient):
        put_under(client, lambda inner: AsyncPaymentTransport(buyer, inner))
    else:
        put_under(client, lambda inner: PaymentTransport(buyer, inner))
    return client


@overload
def quote(client: httpx.Client, method: str, url: httpx.URL | str, **request: Any) -> Quote: ...
@overload
def quote(
    client: httpx.AsyncClient, method: str, url: httpx.URL | str, **request: Any
) -> Coroutine[Any, Any, Quote]: ...
@_WRAPPED.quoting
def quote(
    client: httpx.Client | httpx.AsyncClient, method: str, url: httpx.URL | str, **request: Any
) -> Quote | Coroutine[Any, Any, Quote]:
    """Return what a request would cost, without paying: offers, prices, the choice, reasons against others.

    Args:
        client: A wrapped client. For an ``AsyncClient`` the result is awaited.
        method: The request's method.
        url: The request's URL.
        request: Further keywords of ``client.request``.
    """
    if isinstance(client, httpx.AsyncClient):
        return aquote_with(client, method, url, request)
    return quote_with(client, method, url, request)
