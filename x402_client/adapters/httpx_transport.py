"""The transports of httpx and httpx2: the two libraries are one design under two names.

A transport sends as it is and hands back what is not a 402. A request is cloned, never rebuilt and never changed. The
one exception is a private mark in its extensions: it survives the building of a redirect and ties the hops of a call
together.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from ..buyer.scopes import mandate_around
from ..core.delivery import Delivery
from ..errors import ConfigurationError
from ..guards.hpack_log import hide_payments
from ..guards.tracebacks import shorten
from ..model.offers import Quote
from ..policy.choice import Mandate
from .exchange import Exchange
from .hops import REDIRECTS, Hops
from .httpx_bodies import Library, ReplayedBody, collect_dropped
from .httpx_courier import AsyncCourier, Courier
from .httpx_facts import facts, origin_of
from .httpx_terms import terms_of
from .official_sdk import refuse_official
from .open_answers import OpenAnswers
from .quoting import finished_quote, quote_despite, quote_request
from .session_calls import payment_below
from .unseen_hops import UnseenHops, httpx_follows

if TYPE_CHECKING:
    from ..buyer.buyer import Buyer
    from ..buyer.payers import Payer


class _Paying:
    """The common part of the sync and the async transport."""

    _library: ClassVar[Library]
    _buyer: Buyer
    _inner: Any

    def __init__(self, buyer: Payer, inner: Any, *, is_async: bool) -> None:
        self._exchange = Exchange(buyer, is_async=is_async, own_errors=self._library.own_errors)
        self._buyer = self._exchange.buyer
        self._unseen_hops = UnseenHops(self._buyer, httpx_follows(self._library.name))
        if isinstance(inner, _Paying):
            # The same buyer under itself pays once. Two buyers would both claim the request.
            self._exchange.pays_too(inner._exchange.payers, "client")
            inner = inner._inner
        refuse_official(inner)
        self._inner = inner
        #: Kept here, so that it lives as long as this transport.
        self._open_answers = OpenAnswers.of(inner)
        hide_payments()

    def _mandate(self, request: Any) -> Mandate:
        """Read the caller's terms for this request: from its extensions, and from the scopes around it."""
        return terms_of(request.extensions, mandate_around(self._buyer))

    def _ahead(self, request: Any, hops: Hops, mandated: Mandate, body: ReplayedBody) -> Any:
        """Return the flow that pays in the first request, if this call may."""
        if self._exchange.memory is None or body.once:
            return None
        return self._exchange.pay_ahead(facts(request), hops, mandated)

    def _first_leg(self, request: Any, body: ReplayedBody) -> Any:
        if body.stream is request.stream:
            return request
        return self._library.request(
            request.method, request.url, headers=request.headers.raw, stream=body.stream, extensions=request.extensions
        )


class SyncPaying(_Paying):
    """A transport that sends, and pays if the seller asks."""

    def __init__(self, buyer: Payer, inner: Any) -> None:
        super().__init__(buyer, inner, is_async=False)
        if not hasattr(self._inner, "handle_request"):
            kind = type(self._inner).__name__
            cure = "an AsyncClient takes AsyncPaymentTransport(buyer)"
            cure = "wrap(client, buyer) takes a client" if hasattr(self._inner, "request") else cure
            raise ConfigurationError(f"{kind} is no sync transport; {cure}.")

    def _send(self, request: Any) -> Any:
        marks = request.extensions
        hops = Hops.of(marks, request)
        try:
            body = self._library.body(request, self._library.kept, self._buyer.bounds.kept_body)
            response = self._paid(request, hops, body)
        except BaseException as failure:
            hops.failed(failure)
            shorten(failure)
            hops.end(marks)
            raise
        if response.status_code not in REDIRECTS or not response.has_redirect_location:
            hops.end(marks)
            delivery = hops.take_delivery()
            if delivery is not None and 200 <= response.status_code < 300:
                self._arrive(response, delivery)
        elif hops.asks_for_digest:
            self._redirected(request, hops, body, response)
        return response

    def _paid(self, request: Any, hops: Hops, body: ReplayedBody) -> Any:
        exchange, mandated = self._exchange, self._mandate(request)
        ahead = self._ahead(request, hops, mandated, body)
        if ahead is not None:
            paid = exchange.run(ahead, self._courier(request, body))
            if paid is not None:
                return paid
            body.again()  # a file was read for its digest
        response = self._inner.handle_request(self._first_leg(request, body))
        if not exchange.asks_to_pay(response.status_code, request.method, request.headers):
            return response
        collect_dropped(request)
        courier = self._courier(request, body)
        if hops.first is None and hops.paid is None:
            self._unseen_hops.look(courier.request)
        flow = exchange.pay(courier.request, hops, mandated, courier.reply(response))
        return exchange.run(flow, courier)

    def _courier(self, request: Any, body: ReplayedBody) -> Courier:
        return Courier(self._buyer, self._library, self._inner, request, body)

    def _redirected(self, request: Any, hops: Hops, body: ReplayedBody, response: Any) -> None:
        """Note the first request of a call that is led on."""
        try:
            courier = self._courier(request, body)
            self._exchange.redirected(hops, courier, response.status_code, unread=body.unread)
        except BaseException:
            response.stream.close()
            raise

    def _arrive(self, response: Any, delivery: Delivery) -> None:
        """Watch the content that an earlier hop paid for."""
        if response.is_closed:
            delivery.done()
            return
        response.stream = watched = self._library.watched(response.stream, delivery, response)
        self._open_answers.add(watched)
        try:
            delivery.arrived()
        except BaseException:
            response.stream.close()
            raise

    async def handle_async_request(self, request: Any) -> Any:
        """Refuse an async client.

        Args:
            request: Its request.
        """
        raise ConfigurationError("PaymentTransport is for sync clients; give this one AsyncPaymentTransport(buyer).")

    async def __aenter__(self) -> Self:
        raise ConfigurationError("PaymentTransport is for sync clients; give this one AsyncPaymentTransport(buyer).")

    def __enter__(self) -> Self:
        self._inner.__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        with self._open_answers.closing():
            self._inner.__exit__(exc_type, exc_value, traceback)

    def close(self) -> None:
        """Close the transport underneath. The buyer stays open: other clients may share it."""
        with self._open_answers.closing():
            self._inner.close()


class AsyncPaying(_Paying):
    """Async twin of ``SyncPaying``."""

    def __init__(self, buyer: Payer, inner: Any) -> None:
        super().__init__(buyer, inner, is_async=True)
        if not hasattr(self._inner, "handle_async_request"):
            raise ConfigurationError(
                f"{type(self._inner).__name__} is a sync transport, and this client is async; pass an async one, like "
                "AsyncHTTPTransport, or none."
            )

    async def _send(self, request: Any) -> Any:
        marks = request.extensions
        hops = Hops.of(marks, request)
        try:
            body = self._library.body(request, self._library.akept, self._buyer.bounds.kept_body)
            response = await self._paid(request, hops, body)
        except BaseException as failure:
            hops.failed(failure)
            shorten(failure)
            hops.end(marks)
            told = self._told_above(request, hops, failure) if isinstance(failure, Exception) else None
            if told is None:
                raise
            return told
        if hops.below is not None and (refusal := response.extensions.get("x402_refusal")) is not None:
            response = self._told_above(request, hops, refusal) or response
        if response.status_code not in REDIRECTS or not response.has_redirect_location:
            hops.end(marks)
            delivery = hops.take_delivery()
            if delivery is not None and 200 <= response.status_code < 300:
                await self._arrive(response, delivery)
        elif hops.asks_for_digest:
            await self._redirected(request, hops, body, response)
        return response

    async def _paid(self, request: Any, hops: Hops, body: ReplayedBody) -> Any:
        exchange = self._exchange
        if exchange.memory is not None and not body.once:
            paid = await self._paid_ahead(request, hops, body)
            if paid is not None:
                return paid
        mandated = self._mandate(request)
        response = await self._inner.handle_async_request(self._first_leg(request, body))
        if not exchange.asks_to_pay(response.status_code, request.method, request.headers):
            return response
        collect_dropped(request)
        courier = self._courier(request, body)
        if hops.first is None and hops.paid is None:
            self._unseen_hops.look(courier.request)
        first = courier.reply(response)
        below = hops.below = courier.below = hops.below or await payment_below(courier)
        if below is None:
            return await exchange.arun(exchange.pay(courier.request, hops, mandated, first), courier)
        if below.may_pay():
            with below.under_way():
                flow = exchange.pay(courier.request, hops, self._mandate(request), first)
                return await exchange.arun(flow, courier)
        try:
            told = await below.unpaid_answer(courier, first, request.headers.get("accept", ""))
        finally:
            await courier.let_go()
        return self._answer(request, told)

    async def _paid_ahead(self, request: Any, hops: Hops, body: ReplayedBody) -> Any:
        """Return the answer to a first request that paid, if it did."""
        courier = self._courier(request, body)
        below = hops.below = courier.below = await payment_below(courier)
        ahead = paid = None
        if below is None:
            ahead = self._ahead(request, hops, self._mandate(request), body)
            paid = None if ahead is None else await self._exchange.arun(ahead, courier)
        elif below.may_pay():
            with below.under_way() as scope:
                ahead = self._ahead(request, hops, self._mandate(request), body)
                paid = None if ahead is None else await self._exchange.arun(ahead, courier)
            if scope.cancelled_caught:
                return self._answer(request, b"")
        else:
            return None
        if paid is None and ahead is not None:
            body.again()  # a file was read for its digest
        return paid

    def _told_above(self, request: Any, hops: Hops, failure: object) -> Any:
        """Return an answer to a tool call that was refused, if a session of MCP raises the refusal itself, or None."""
        if hops.below is None:
            return None
        body = hops.below.refused_answer(failure, request.headers.get("accept", ""))
        return None if body is None else self._answer(request, body)

    def _answer(self, request: Any, body: bytes) -> Any:
        """Return an answer for the transport of a session of MCP."""
        kind = {"Content-Type": "application/json"}
        return self._library.response(200 if body else 202, headers=kind, content=body, request=request)

    def _courier(self, request: Any, body: ReplayedBody) -> AsyncCourier:
        return AsyncCourier(self._buyer, self._library, self._inner, request, body)

    async def _redirected(self, request: Any, hops: Hops, body: ReplayedBody, response: Any) -> None:
        """Note the first request of a call that is led on."""
        try:
            courier = self._courier(request, body)
            await self._exchange.aredirected(hops, courier, response.status_code, unread=body.unread, once=body.once)
        except BaseException:
            await _closed(response)
            raise

    async def _arrive(self, response: Any, delivery: Delivery) -> None:
        """Watch the content that an earlier hop paid for."""
        if response.is_closed:
            delivery.done()
            return
        response.stream = watched = self._library.awatched(response.stream, delivery, response)
        self._open_answers.add(watched)
        try:
            await delivery.aarrived()
        except BaseException:
            await _closed(response)
            raise

    def handle_request(self, request: Any) -> Any:
        """Refuse a sync client.

        Args:
            request: Its request.
        """
        raise ConfigurationError("AsyncPaymentTransport is for async clients; give this one PaymentTransport(buyer).")

    def __enter__(self) -> Self:
        raise ConfigurationError("AsyncPaymentTransport is for async clients; give this one PaymentTransport(buyer).")

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        with self._open_answers.closing():
            await self._inner.__aexit__(exc_type, exc_value, traceback)

    async def aclose(self) -> None:
        """Close the transport underneath. The buyer stays open: other clients may share it."""
        with self._open_answers.closing():
            await self._inner.aclose()


async def _closed(response: Any) -> None:
    """Give a connection back, also while the task is being cancelled."""
    import anyio

    with anyio.CancelScope(shield=True):
        await response.stream.aclose()


def put_under(client: Any, paying: Callable[[Any], Any]) -> None:
    """Wrap a client's transports in place: its own one, and that of every mount and proxy."""
    try:
        own, below = client._transport, client._mounts.items()
    except AttributeError:
        raise ConfigurationError(
            f"This {type(client).__name__} keeps its transports where we do not find them; pass "
            "transport=PaymentTransport(buyer) to it instead."
        ) from None
    for hooks in client.event_hooks.values():
        for hook in hooks:
            refuse_official(hook)
    transport = paying(own)
    client._transport, client._mounts = transport, {pattern: inner and paying(inner) for pattern, inner in below}


def quote_with(client: Any, method: str, url: Any, request: dict[str, Any]) -> Quote:
    """Return the quote that a sync client's request gets."""
    with quote_request() as pending:
        try:
            response = client.request(method, url, **request)
        except Exception as failure:
            return quote_despite(pending, failure)
    return finished_quote(pending, _without_query(response.url), response.status_code)


async def aquote_with(client: Any, method: str, url: Any, request: dict[str, Any]) -> Quote:
    """Async twin of ``quote_with``."""
    with quote_request() as pending:
        try:
            response = await client.request(method, url, **request)
        except Exception as failure:
            return quote_despite(pending, failure)
    return finished_quote(pending, _without_query(response.url), response.status_code)


def _without_query(url: Any) -> str:
    return f"{origin_of(url)}{url.raw_path.decode('ascii', 'replace').partition('?')[0]}"
