"""Adapters over httpx that are broken on purpose, each in one way, for ``test_conformance_notices``.

Each stands around a sound ``PaymentTransport``, or between it and the network: what breaks is what an author of an
adapter gets wrong, and not what the package does.
"""

from __future__ import annotations

import contextvars
import logging
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anyio
import anyio.lowlevel
import httpx

from x402_client import Buyer
from x402_client.errors import X402Error
from x402_client.httpx import AsyncPaymentTransport, PaymentTransport

from .libraries import AsyncHttpxConformance, HttpxConformance

#: What carries a payment.
HEADER = "PAYMENT-SIGNATURE"


class Layer(httpx.BaseTransport):
    """A transport over another one, which changes nothing."""

    def __init__(self, below: Any, buyer: Buyer) -> None:
        self.below, self.buyer = below, buyer

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response: httpx.Response = self.below.handle_request(request)
        return response

    def close(self) -> None:
        self.below.close()


class Sound(HttpxConformance):
    """Breaks nothing: what fails here is a mistake of these adapters and not a find."""

    above: Any = Layer
    under: Any = Layer

    @contextmanager
    def client(self, buyer: Buyer | None, connections: int | None = None) -> Iterator[Any]:
        options = self.options(connections)
        network = httpx.HTTPTransport(verify=options["verify"], limits=options["limits"], trust_env=False)
        transport: httpx.BaseTransport = network
        if buyer is not None:
            transport = self.above(PaymentTransport(buyer, self.under(network, buyer)), buyer)
        with self.make(transport, options["timeout"]) as client:
            yield client

    def make(self, transport: httpx.BaseTransport, timeout: Any) -> httpx.Client:
        return httpx.Client(transport=transport, timeout=timeout, trust_env=False)


# --- what is sent


class _Rebuilding(Layer):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if HEADER in request.headers:
            payment = {HEADER: request.headers[HEADER]}
            request = httpx.Request(request.method, request.url, headers=payment, content=request.read())
        return super().handle_request(request)


class RebuildsTheRequest(Sound):
    """Makes a new request for the payment, from method, address and body."""

    under = _Rebuilding


class _Bodiless(Layer):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if HEADER in request.headers:
            lines = [line for line in request.headers.raw if line[0].lower() != b"content-length"]
            stream = httpx.ByteStream(b"")
            request = httpx.Request(
                request.method, request.url, headers=lines, stream=stream, extensions=request.extensions
            )
        return super().handle_request(request)


class ForgetsTheBody(Sound):
    """Sends the payment without the body, which was read with the question."""

    under = _Bodiless


class _Impatient(Layer):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if HEADER in request.headers:
            request.extensions["timeout"] = request.extensions["timeout"] | {"read": 0.5}
        return super().handle_request(request)


class GivesThePaymentNoTime(Sound):
    """Waits for the answer to a payment no longer than for any other."""

    under = _Impatient


class _Patient(Layer):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if HEADER in request.headers:
            del request.extensions["timeout"]
        return super().handle_request(request)


class ForgetsTheTimeOut(Sound):
    """Waits for the answer to a payment for ever."""

    under = _Patient


class _Marking(Layer):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions["x402_client.seen"] = True
        return super().handle_request(request)


class LeavesAMark(Sound):
    """Marks every request, and leaves the mark there."""

    above = _Marking


class _Introducing(Layer):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.headers["X-402-Client"] = "yes"
        return super().handle_request(request)


class IntroducesItself(Sound):
    """Sends a header of its own with every request."""

    above = _Introducing


class _Probing(Layer):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        super().handle_request(httpx.Request("HEAD", request.url, extensions=request.extensions)).close()
        return super().handle_request(request)


class AsksFirst(Sound):
    """Asks with HEAD whether it will cost anything, also where it does not."""

    above = _Probing


# --- what the caller said


class _Contextless(Layer):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return contextvars.Context().run(super().handle_request, request)


class ForgetsScopes(Sound):
    """Pays where the caller's scopes are not seen, as in a thread of its own."""

    above = _Contextless


class _Anew(Layer):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        with self.buyer.purchase(key=uuid.uuid4().hex):
            return super().handle_request(request)


class SignsAnew(Sound):
    """Takes every call for a new purchase, also the repeat of one that brought nothing."""

    above = _Anew


class _AsyncAnew(httpx.AsyncBaseTransport):
    def __init__(self, buyer: Buyer, limits: Any) -> None:
        self.buyer = buyer
        self.below = AsyncPaymentTransport(buyer, httpx.AsyncHTTPTransport(limits=limits, trust_env=False))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        with self.buyer.purchase(key=uuid.uuid4().hex):
            response = await self.below.handle_async_request(request)
        for _ in range(10):  # the n-th pause of a call is another one each time, and these are not passed over
            await anyio.lowlevel.checkpoint()
        return response

    async def aclose(self) -> None:
        await self.below.aclose()


class SignsAnewWhenCancelled(AsyncHttpxConformance):
    """Does the same for an async client."""

    @asynccontextmanager
    async def client(self, buyer: Buyer | None, connections: int | None = None) -> AsyncIterator[Any]:
        assert buyer is not None
        transport = _AsyncAnew(buyer, self.options(connections)["limits"])
        async with httpx.AsyncClient(transport=transport, trust_env=False) as client:
            yield client


# --- what shows


class _Spying(Layer):
    """Notes the request that paid."""

    last: httpx.Request | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if HEADER in request.headers:
            _Spying.last = request
        return super().handle_request(request)


class _Mutating(Layer):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        _Spying.last = None
        response = super().handle_request(request)
        if _Spying.last is not None:
            request.headers[HEADER] = _Spying.last.headers[HEADER]
        return response


class PaysOnTheCallersRequest(Sound):
    """Puts the payment on the request of the caller, from where a redirect copies it."""

    above, under = _Mutating, _Spying


class _ShowingClient(httpx.Client):
    def send(self, *args: Any, **kwargs: Any) -> httpx.Response:
        response = super().send(*args, **kwargs)
        if _Spying.last is not None:
            response.request = _Spying.last
        return response


class ShowsThePaidRequest(Sound):
    """Leaves the request that paid on the response."""

    under = _Spying

    def make(self, transport: httpx.BaseTransport, timeout: Any) -> httpx.Client:
        _Spying.last = None
        return _ShowingClient(transport=transport, timeout=timeout, trust_env=False)


class _Chatting(Layer):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        logging.getLogger("chatty").debug("sending %s", request.headers.raw)
        return super().handle_request(request)


class LogsThePayment(Sound):
    """Writes what it sends to its log."""

    under = _Chatting


class _Telling(Layer):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return super().handle_request(request)
        except httpx.HTTPError as failure:
            raise httpx.ReadError(f"Sending {dict(request.headers)} failed.") from failure


class TellsThePayment(Sound):
    """Says in its errors what was sent."""

    under = _Telling


class _Blaming(Layer):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return super().handle_request(request)
        except X402Error as failure:
            if isinstance(failure.__cause__, httpx.HTTPError) and _Spying.last is not None:
                failure.__cause__.request = _Spying.last
            raise


class ShowsThePaidRequestInErrors(Sound):
    """Leaves the request that paid on the library's error."""

    above, under = _Blaming, _Spying


class _Remembering(Layer):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return super().handle_request(request)
        except X402Error:
            payment = _Spying.last and _Spying.last.headers[HEADER]
            assert payment is not None
            raise


class KeepsThePaymentInAFrame(Sound):
    """Has the payment in a variable, where tools that print tracebacks find it."""

    above, under = _Remembering, _Spying
