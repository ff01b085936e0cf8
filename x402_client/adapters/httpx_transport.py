"""What the shells for httpx and httpx2 share: the two libraries are one design under two names.

A shell sends as it is and hands back whatever is not a 402. A request is cloned, never rebuilt and never changed,
but for one private mark in its extensions, which survives the building of a redirect and ties the hops of a call
together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from ..buyer.answers import Answers, AsyncAnswers
from ..buyer.scopes import mandate, mandate_around
from ..core.call import Call
from ..core.delivery import NO_COURIER, Delivery
from ..core.drive import arun, run
from ..core.flow import inspect, pay
from ..core.known_terms import Memory, Terms
from ..core.pay_ahead import pay_ahead
from ..errors import ConfigurationError, X402Error
from ..guards.hpack_log import hide_payments
from ..model.hosts import Origin
from ..model.offers import Quote
from ..policy.choice import Mandate
from .exchange import check_buyer
from .hops import _REDIRECTS, _UNPAID_METHODS, Journey, _journey
from .httpx_bodies import Library, ReplayedBody
from .httpx_courier import AsyncCourier, Courier
from .quoting import answered, conclusion, inquiring, inquiry
from .sockets import httpx_leads_here

if TYPE_CHECKING:
    from ..buyer.buyer import Buyer


class _Paying:
    """What the sync and the async transport have in common."""

    _library: ClassVar[Library]
    _buyer: Buyer
    _inner: Any

    def __init__(self, buyer: Buyer, inner: Any) -> None:
        check_buyer(buyer)
        if isinstance(inner, _Paying):
            # The same buyer under itself pays once; two buyers would both think the request theirs.
            if inner._buyer is not buyer:
                raise ConfigurationError("This client pays with another buyer already; a client has one buyer.")
            inner = inner._inner
        self._buyer, self._inner = buyer, inner
        self._memory = Memory() if buyer.policy.pay_ahead else None
        hide_payments()

    def _first_leg(self, request: Any, body: ReplayedBody) -> Any:
        if body.stream is request.stream:
            return request
        return self._library.request(
            request.method, request.url, headers=request.headers.raw, stream=body.stream, extensions=request.extensions
        )

    def _ahead(
        self, request: Any, journey: Journey, mandated: Mandate, body: ReplayedBody
    ) -> tuple[Call, Terms] | None:
        """A call that may pay at once, and under which terms."""
        if (
            request.method in _UNPAID_METHODS
            or inquiring() is not None
            or journey.url is not request.url
            or journey.paid is not None
            or mandated.per_request is not None
            or mandated.quote is not None
            or body.once
            or _pays(request.headers)
        ):
            return None
        call = self._call(request, None, journey, mandated)
        assert self._memory is not None
        terms = self._memory.recall(call.place)
        return None if terms is None else (call, terms)

    def _call(self, request: Any, response: Any, journey: Journey, mandated: Mandate) -> Call:
        origin = _origin(request.url) if response is None else self._origin(request, response)
        place, path = str(origin), request.url.raw_path.decode("ascii", "replace")
        parts = (request.method, place, path, request.headers.get("range", ""))
        return Call(
            method=request.method,
            origin=origin,
            url=place + path.partition("?")[0],
            identity="\n".join(parts),
            mandate=mandated,
            came_from=None if journey.url is request.url else _origin(journey.url),
            paid=journey.paid,
            memory=self._memory,
        )

    def _origin(self, request: Any, response: Any) -> Origin:
        """Where plain http is paid for being this machine, the connection itself has to show that it is."""
        origin = _origin(request.url)
        if origin.scheme == "https" or not origin.loopback or isinstance(self._inner, self._library.in_process):
            return origin
        return origin if httpx_leads_here(response, origin.port) else replace(origin, elsewhere=True)


class SyncPaying(_Paying):
    """Sends, and pays where it is asked for."""

    def __init__(self, buyer: Buyer, inner: Any) -> None:
        super().__init__(buyer, inner)
        buyer.check_sync()

    def _send(self, request: Any) -> Any:
        journey = _journey(request)
        try:
            response = self._exchange(request, journey)
        except BaseException:
            journey.end(request)
            raise
        if response.status_code not in _REDIRECTS or not response.has_redirect_location:
            journey.end(request)
            if journey.led is not None and 200 <= response.status_code < 300:
                self._arrive(response, journey.led)
        return response

    def _arrive(self, response: Any, delivery: Delivery) -> None:
        """What an earlier hop paid for is here."""
        answers = Answers(delivery.buyer.services, NO_COURIER)
        if response.is_closed:
            run(delivery.done(), answers)
            return
        response.stream = self._library.watched(response.stream, delivery)
        try:
            run(delivery.led_here(), answers)
        except BaseException:
            response.stream.close()
            raise

    def _exchange(self, request: Any, journey: Journey) -> Any:
        mandated = _mandate(self._buyer, request)
        body = self._library.body(request, self._library.kept, self._buyer.bounds.kept_body)
        ahead = None if self._memory is None else self._ahead(request, journey, mandated, body)
        if ahead is not None:
            paid = self._pay_ahead(request, journey, body, *ahead)
            if paid is not None:
                return paid
            body.again()  # a file was read for its digest
        response = self._inner.handle_request(self._first_leg(request, body))
        if not _asks_to_pay(request, response):
            return response
        call = self._call(request, response, journey, mandated)
        courier = Courier(self._buyer, self._library, self._inner, request, body, call)
        first, answers = courier.reply(response), Answers(self._buyer.services, courier)
        try:
            asked = inquiring()
            if asked is not None:
                asked.quote = run(inspect(call, first, self._buyer.rules), answers)
                return courier.hand_over(first)
            return courier.hand_over(run(pay(call, first, self._buyer.rules), answers))
        except X402Error as error:
            courier.explain(error, first)
            raise
        except BaseException:
            call.attempt.end()
            courier.let_go()
            raise
        finally:
            journey.paid, journey.led = call.paid, courier.led

    def _pay_ahead(self, request: Any, journey: Journey, body: ReplayedBody, call: Call, terms: Terms) -> Any:
        courier = Courier(self._buyer, self._library, self._inner, request, body, call)
        try:
            reply = run(pay_ahead(call, terms, self._buyer.rules), Answers(self._buyer.services, courier))
            return None if reply is None else courier.hand_over(reply)
        except X402Error as error:
            courier.explain(error, None)
            raise
        except BaseException:
            call.attempt.end()
            courier.let_go()
            raise
        finally:
            journey.paid, journey.led = call.paid, courier.led

    def __enter__(self) -> Self:
        self._inner.__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self._inner.__exit__(exc_type, exc_value, traceback)

    def close(self) -> None:
        """Close the transport underneath. The buyer stays open: other clients may share it."""
        self._inner.close()


class AsyncPaying(_Paying):
    """The same, async."""

    async def _send(self, request: Any) -> Any:
        journey = _journey(request)
        try:
            response = await self._exchange(request, journey)
        except BaseException:
            journey.end(request)
            raise
        if response.status_code not in _REDIRECTS or not response.has_redirect_location:
            journey.end(request)
            if journey.led is not None and 200 <= response.status_code < 300:
                await self._arrive(response, journey.led)
        return response

    async def _arrive(self, response: Any, delivery: Delivery) -> None:
        """What an earlier hop paid for is here."""
        answers = AsyncAnswers(delivery.buyer.services, NO_COURIER)
        if response.is_closed:
            await arun(delivery.done(), answers)
            return
        response.stream = self._library.awatched(response.stream, delivery)
        try:
            await arun(delivery.led_here(), answers)
        except BaseException:
            import anyio

            with anyio.CancelScope(shield=True):
                await response.stream.aclose()
            raise

    async def _exchange(self, request: Any, journey: Journey) -> Any:
        mandated = _mandate(self._buyer, request)
        body = self._library.body(request, self._library.akept, self._buyer.bounds.kept_body)
        ahead = None if self._memory is None else self._ahead(request, journey, mandated, body)
        if ahead is not None:
            paid = await self._pay_ahead(request, journey, body, *ahead)
            if paid is not None:
                return paid
            body.again()  # a file was read for its digest
        response = await self._inner.handle_async_request(self._first_leg(request, body))
        if not _asks_to_pay(request, response):
            return response
        call = self._call(request, response, journey, mandated)
        courier = AsyncCourier(self._buyer, self._library, self._inner, request, body, call)
        first, answers = courier.reply(response), AsyncAnswers(self._buyer.services, courier)
        try:
            asked = inquiring()
            if asked is not None:
                asked.quote = await arun(inspect(call, first, self._buyer.rules), answers)
                return await courier.hand_over(first)
            return await courier.hand_over(await arun(pay(call, first, self._buyer.rules), answers))
        except X402Error as error:
            await courier.explain(error, first)
            raise
        except BaseException:
            call.attempt.end()
            await courier.let_go()
            raise
        finally:
            journey.paid, journey.led = call.paid, courier.led

    async def _pay_ahead(self, request: Any, journey: Journey, body: ReplayedBody, call: Call, terms: Terms) -> Any:
        courier = AsyncCourier(self._buyer, self._library, self._inner, request, body, call)
        try:
            reply = await arun(pay_ahead(call, terms, self._buyer.rules), AsyncAnswers(self._buyer.services, courier))
            return None if reply is None else await courier.hand_over(reply)
        except X402Error as error:
            await courier.explain(error, None)
            raise
        except BaseException:
            call.attempt.end()
            await courier.let_go()
            raise
        finally:
            journey.paid, journey.led = call.paid, courier.led

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self._inner.__aexit__(exc_type, exc_value, traceback)

    async def aclose(self) -> None:
        """Close the transport underneath. The buyer stays open: other clients may share it."""
        await self._inner.aclose()


def put_under(client: Any, paying: Callable[[Any], Any]) -> None:
    """Wrap a client's transports in place: its own one, and that of every mount and proxy."""
    try:
        own, below = client._transport, client._mounts.items()
    except AttributeError:
        raise ConfigurationError(
            f"This {type(client).__name__} keeps its transports where we do not find them; pass "
            "transport=PaymentTransport(buyer) to it instead."
        ) from None
    transport = paying(own)
    client._transport, client._mounts = transport, {pattern: inner and paying(inner) for pattern, inner in below}


def ask(client: Any, method: str, url: Any, request: dict[str, Any]) -> Quote:
    """``quote`` for a sync client."""
    with inquiry() as asked:
        try:
            response = client.request(method, url, **request)
        except Exception as failure:
            return answered(asked, failure)
    return conclusion(asked, _without_query(response.url), response.status_code)


async def aask(client: Any, method: str, url: Any, request: dict[str, Any]) -> Quote:
    """``quote`` for an async client."""
    with inquiry() as asked:
        try:
            response = await client.request(method, url, **request)
        except Exception as failure:
            return answered(asked, failure)
    return conclusion(asked, _without_query(response.url), response.status_code)


def _without_query(url: Any) -> str:
    return f"{_origin(url)}{url.raw_path.decode('ascii', 'replace').partition('?')[0]}"


def _origin(url: Any) -> Origin:
    return Origin.of(url.scheme, url.raw_host.decode("ascii", "replace"), url.port)


def _asks_to_pay(request: Any, response: Any) -> bool:
    """Whether this answer is one for the flow. A question about terms is one whatever the method."""
    asked = inquiring()
    if asked is not None:
        asked.reached = True
    if response.status_code != 402:
        return False
    return asked is not None or not (request.method in _UNPAID_METHODS or _pays(request.headers))


def _pays(headers: Any) -> bool:
    """Whether the caller pays by hand."""
    return "payment-signature" in headers or "x-payment" in headers


def _mandate(buyer: Buyer, request: Any) -> Mandate:
    own = request.extensions.get("x402")
    around = mandate_around(buyer)
    if own is None:
        return around
    if not isinstance(own, Mapping) or not own.keys() <= {"key", "per_request", "quote"}:
        raise ConfigurationError('extensions={"x402": {...}} takes "key", "per_request" and "quote".')
    return mandate(
        own.get("key", around.key), own.get("per_request", around.per_request), own.get("quote", around.quote)
    )
