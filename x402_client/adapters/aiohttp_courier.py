"""A courier for aiohttp: it looks into a 402, sends a clone that pays, and hands the answer over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from aiohttp import (
    ClientConnectionError,
    ClientError,
    ClientPayloadError,
    ClientRequest,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ConnectionTimeoutError,
    ServerTimeoutError,
    SocketTimeoutError,
)

from ..core.asks import Failure, Reply
from ..core.call import HttpRequest
from ..core.delivery import Delivery
from ..core.digests import BodyDigest
from ..errors import MalformedQuote
from ..guards.patience import Patience
from ..model.counts import counted
from ..model.hosts import Origin
from ..wire.leaks import repeats
from .aiohttp_bodies import Body
from .aiohttp_content import Watched, paid_class, part_from_connection, peek, replace_content, watch
from .failures import links, timed_out
from .open_answers import OpenAnswers
from .own_errors import OwnErrors
from .sockets import aiohttp_leads_here

if TYPE_CHECKING:
    from ..buyer.buyer import Buyer

T = TypeVar("T")
#: None of them is a ClientOSError or a ServerDisconnectedError. aiohttp repeats a request after those by itself, and
#: would present a payment again that was presented often enough.
OWN_ERRORS = OwnErrors(
    "x402_client.aiohttp",
    [ClientError, ClientConnectionError, ClientPayloadError, ServerTimeoutError, SocketTimeoutError, TimeoutError],
    [ClientError, ClientConnectionError, ServerTimeoutError, ConnectionTimeoutError, TimeoutError],
)
#: aiohttp's own part of a call: connect, send, and read the answer's head.
Handler = Callable[[ClientRequest], Awaitable[ClientResponse]]
#: Attributes of one sending of a request. They are not copied.
_OF_ONE_SENDING = ("send", "response", "_ClientRequest__writer")


class Leg:
    """A record of one sending. It replaces ``send`` of one request object, which aiohttp calls once connected.

    ``patience``: the least read time-out of the answer, in seconds.
    """

    __slots__ = ("_inner", "_patience", "_request", "peer", "sent")

    def __init__(self, request: ClientRequest, patience: float | None = None) -> None:
        #: The other end of the connection.
        self.peer: Any = None
        #: True once something may have left this machine.
        self.sent: bool = False
        self._request, self._patience = request, patience
        self._inner = request.send
        request.send = self._send  # type: ignore[method-assign,assignment]

    async def _send(self, connection: Any) -> ClientResponse:
        transport, protocol = connection.transport, connection.protocol
        if transport is not None:
            self.peer = transport.get_extra_info("peername")
        if self._patience is not None and protocol.read_timeout:
            protocol.read_timeout = max(protocol.read_timeout, self._patience)
        self.sent = True
        return await self._inner(connection)

    def over(self) -> None:
        """Give the request its own ``send`` back."""
        self._request.__dict__.pop("send", None)


class AsyncCourier:
    """A courier for one request of a session: it sends, peeks and hands over."""

    def __init__(
        self,
        buyer: Buyer,
        native: ClientRequest,
        handler: Handler,
        body: Body,
        proxy_headers: Any,
        leg: Leg | None = None,
    ) -> None:
        self._buyer, self._native, self._handler, self._body = buyer, native, handler, body
        self.request: HttpRequest = facts(native)
        self._proxy_headers = proxy_headers
        #: The latest sending, and the request object that was sent.
        self._leg, self._last = leg, native
        #: Responses that have not been handed over. After a failure their connections are given back.
        self._open: list[ClientResponse] = []
        self._cookies: set[str] = set()

    def reply(self, response: ClientResponse) -> Reply:
        """Return a response as the flow sees it."""
        self._open.append(response)
        ends_here = None
        if self._leg is not None and self.request.origin.scheme != "https":
            ends_here = partial(aiohttp_leads_here, self._leg.peer, self._native.proxy is not None)
        return Reply(response.status, response.headers.get, response, ends_here=ends_here)

    def failed(self, failure: Exception) -> Failure:
        """Return the kind of a failure: a time-out, or nothing was sent yet, or any other."""
        if self._leg is not None and not self._leg.sent:
            return "not_sent"
        return "timeout" if any(map(timed_out, links(failure))) else "lost"

    async def peek(self, reply: Reply) -> bytes | None:
        """Return the body of a 402 if it is within bounds, else None.

        A connection that was read to the body's end goes back to the pool.
        """
        response: ClientResponse = reply.native
        bounds = self._buyer.bounds
        if response.content.is_eof():  # all of it is here
            return await peek(response, bounds.terms_body)
        patience, limit = Patience(bounds.terms_time), asyncio.timeout(None)
        try:
            async with limit:
                with patience.waiting(lambda: limit.reschedule(0)):
                    return await peek(response, bounds.terms_body)
        except TimeoutError:
            if not limit.expired():
                raise  # the call's own ``total``
            response.close()
            raise MalformedQuote(
                f"The body of the 402 of {self.request.shown} did not end within "
                f"{counted(bounds.terms_time, 'second')}. Nothing was paid."
            ) from None

    async def digest(self) -> BodyDigest:
        """Return the digest of the request's body."""
        if not self._body.is_bytes:
            await self._settle()
        return await self._body.digest()

    async def send(self, header: tuple[str, str] | None) -> Reply:
        """Send the request once more, with a payment or without."""
        try:
            self._take_cookies()
            await self._settle()
            await self.let_go()
            clone = self._clone(await self._body.again())
            self._last = clone
            return self.reply(await (self._sent(clone) if header is None else self._paid(clone, *header)))
        finally:
            header = None  # tools that print the variables of a traceback must find none

    async def hand_over(self, reply: Reply, delivery: Delivery | None) -> ClientResponse:
        """Return the library's own response, with the outcome on it and its content watched."""
        response: ClientResponse = reply.native
        self._open = [other for other in self._open if other is not response]
        await self.let_go()
        part_from_connection(response)
        if reply.refusal is not None:
            response.x402_refusal = reply.refusal  # type: ignore[attr-defined]
            replace_content(response, reply.body or b"")
        if reply.outcome is not None:
            response.x402 = reply.outcome  # type: ignore[attr-defined]
        if delivery is not None:
            watch_or_deliver(response, delivery, self._native.session)
        return response

    async def in_time(self, coming: Awaitable[T]) -> T:
        """Await something of ours. If ``total`` runs out meanwhile, raise TimeoutError instead of CancelledError."""
        timer = self._native._timer
        if getattr(timer, "_cancelled", False):  # it ran out and raised before: it cannot be entered again
            return await coming
        with timer:
            return await coming

    async def let_go(self, kept: Any = None) -> None:
        """Give connections back. An answer that was read to its end has done so already, and stays readable."""
        while self._open:
            response = self._open.pop()
            part_from_connection(response)
            if not response.closed:
                response.close()

    async def _settle(self) -> None:
        """Wait until nothing sends any more, and nothing reads the caller's body."""
        if any(not response.closed for response in self._open):
            self._last.terminate()  # the answer is too large to read, and its server may never read the request
        await self._last.close()
        await self._body.settle()

    async def _paid(self, clone: ClientRequest, name: str, value: str) -> ClientResponse:
        """Send with the payment's header, and take it off again.

        ``request_info`` of answers and errors is a view of the headers, so it shows no payment afterwards.
        """
        clone.headers[name] = value
        clone._traces = [_TraceWithoutPayment(trace, name) for trace in self._native._traces]  # type: ignore[misc]
        try:
            return await self._sent(clone, self._buyer.settle_timeout)
        except ClientResponseError as failure:  # its message quotes an answer's head that makes no sense
            if repeats(failure.message, value):
                failure.message, failure.__cause__ = "The answer has no head that can be read.", None
                failure.__context__ = None
            raise
        finally:
            value = ""
            clone.headers.popall(name, None)

    async def _sent(self, clone: ClientRequest, patience: float | None = None) -> ClientResponse:
        leg = self._leg = Leg(clone, patience)
        try:
            # If the call's ``total`` runs out, this raises TimeoutError instead of CancelledError.
            with clone._timer:
                return await self._handler(clone)
        except Exception:  # aiohttp may send it again at once, with the same file
            await clone.close()
            await self._body.stop()
            raise
        finally:
            leg.over()

    def _clone(self, body: Any) -> ClientRequest:
        """Return the request once more: its own header lines in their order, and nothing of an earlier sending."""
        # As copy.copy does it, which takes ten times as long to find that out.
        clone: ClientRequest = object.__new__(type(self._native))
        clone.__dict__.update(self._native.__dict__)
        for name in _OF_ONE_SENDING:
            clone.__dict__.pop(name, None)
        clone.headers = self._native.headers.copy()
        clone.proxy_headers = self._proxy_headers and self._proxy_headers.copy()
        clone._body = body
        if self._native._continue is not None:
            clone._continue = None
            clone.update_expect_continue()
        clone.response_class = paid_class(self._native.response_class)
        if self._cookies:
            sent = self._native.session.cookie_jar.filter_cookies(self._native.url)
            fresh = {name: sent[name] for name in self._cookies if name in sent}
            if fresh:
                clone.update_cookies(fresh)
        return clone

    def _take_cookies(self) -> None:
        """Put the cookies of the 402s into the session's jar. aiohttp takes only those of the answer that it gets."""
        jar = self._native.session.cookie_jar
        for response in self._open:
            if response.status == 402 and response._raw_cookie_headers:
                jar.update_cookies_from_headers(response._raw_cookie_headers, response.url)
                self._cookies.update(response.cookies)


class _TraceWithoutPayment:
    """A trace of the caller's that sees everything but the payment."""

    def __init__(self, trace: Any, hidden: str) -> None:
        self._trace, self._hidden = trace, hidden

    def __getattr__(self, name: str) -> Any:
        return getattr(self._trace, name)

    async def send_request_headers(self, method: str, url: Any, headers: Any) -> None:
        shown = headers.copy()
        shown.popall(self._hidden, None)
        await self._trace.send_request_headers(method, url, shown)


def watch_or_deliver(response: ClientResponse, delivery: Delivery, session: ClientSession) -> None:
    """Watch what the caller does with the content of an answer. One without content is delivered now."""
    if response.content.at_eof():  # all answers without content share one stream in aiohttp
        delivery.done()
        return
    watch(response, delivery)
    connector = session.connector
    if connector is not None:
        OpenAnswers.of(connector).add(cast("Watched", response.content))


def facts(native: ClientRequest) -> HttpRequest:
    """Return the facts of a request that the exchange needs."""
    url = native.url
    origin = Origin.of(url.scheme, url.raw_host or "", url.port)
    return HttpRequest(native.method, origin, url.raw_path_qs, native.headers)
