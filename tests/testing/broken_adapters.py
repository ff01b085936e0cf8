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

import httpx

from x402_client import Buyer
from x402_client.httpx import AsyncPaymentTransport, PaymentTransport

from .hands import AsyncHttpxHands, HttpxHands

_HEADER = "PAYMENT-SIGNATURE"


class Layer(httpx.BaseTransport):
    """A transport over another one, which changes nothing."""

    def __init__(self, below: Any, buyer: Buyer) -> None:
        self.below, self.buyer = below, buyer

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response: httpx.Response = self.below.handle_request(request)
        return response

    def close(self) -> None:
        self.below.close()


class Sound(HttpxHands):
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
        if _HEADER in request.headers:
            payment = {_HEADER: request.headers[_HEADER]}
            request = httpx.Request(request.method, request.url, headers=payment, content=request.read())
        return super().handle_request(request)


class RebuildsTheRequest(Sound):
    """Makes a new request for the payment, from method, address and body."""

    under = _Rebuilding


class _Bodiless(Layer):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if _HEADER in request.headers:
            lines = [line for line in request.headers.raw if line[0].lower() != b"content-length"]
            stream = httpx.ByteStream(b"")
            request = httpx.Request(
                request.method, request.url, headers=lines, stream=stream, extensions=request.extensions
            )
        return super().handle_request(request)


class ForgetsTheBody(Sound):
    """Sends the payment without the body, which was read with the question."""

    under = _Bodiless


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
            return await self.below.handle_async_request(request)

    async def aclose(self) -> None:
        await self.below.aclose()


class SignsAnewWhenCancelled(AsyncHttpxHands):
    """Does the same for an async client."""

    @asynccontextmanager
    async def client(self, buyer: Buyer | None, connections: int | None = None) -> AsyncIterator[Any]:
        assert buyer is not None
        transport = _AsyncAnew(buyer, self.options(connections)["limits"])
        async with httpx.AsyncClient(transport=transport, trust_env=False) as client:
            yield client


# --- what comes back


class _Quiet(httpx.SyncByteStream):
    """A stream that tells of its trouble in a field, and then gives nothing for ever."""

    def __init__(self, source: Any) -> None:
        self.source, self.trouble = source, list[Exception]()

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self.source
        except Exception as failure:
            self.trouble.append(failure)
            while True:
                yield b""

    def close(self) -> None:
        self.source.close()


class _Loud(httpx.SyncByteStream):
    """The stream that the caller reads: it fails, and whoever watches the one below never hears of it."""

    kept: list[Any] = []  # noqa: RUF012 - for ever is the point

    def __init__(self, watched: Any, quiet: _Quiet) -> None:
        self.watched, self.quiet = watched, quiet

    def __iter__(self) -> Iterator[bytes]:
        pieces = iter(self.watched)
        self.kept.append(pieces)
        for piece in pieces:
            if self.quiet.trouble:
                raise self.quiet.trouble[0]
            yield piece

    def close(self) -> None:
        self.quiet.close() if self.quiet.trouble else self.watched.close()


class _Silencing(Layer):
    last: Any = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        if _HEADER in request.headers and response.status_code == 200:
            response.stream = _Silencing.last = _Quiet(response.stream)
        return response


class _Louder(Layer):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        _Silencing.last = None
        response = super().handle_request(request)
        if _Silencing.last is not None:
            response.stream = _Loud(response.stream, _Silencing.last)
        return response


class NeverResolvesABrokenBody(Sound):
    """Ends the attempt where the body was read, and not where it broke: it stays in flight for ever."""

    above, under = _Louder, _Silencing


class _Early(Layer):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        _Emptied.last = None
        response = super().handle_request(request)
        if _Emptied.last is not None:
            for _ in response.stream:  # type: ignore[union-attr]
                pass
            response.stream = _Emptied.last
        return response


class _Emptied(Layer):
    last: Any = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        if _HEADER in request.headers and response.status_code == 200:
            _Emptied.last, response.stream = response.stream, _Nothing()
        return response


class _Nothing(httpx.SyncByteStream):
    def __iter__(self) -> Iterator[bytes]:
        yield b""


class DeliversAtTheHeaders(Sound):
    """Takes a purchase for delivered once the headers of its answer are here."""

    above, under = _Early, _Emptied


class _Tidy(httpx.SyncByteStream):
    def __init__(self, source: Any) -> None:
        self.source = source

    def __iter__(self) -> Iterator[bytes]:
        yield from self.source

    def close(self) -> None:
        self.source.close()

    def __del__(self) -> None:
        self.source.close()


class _Tidying(Layer):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        response.stream = _Tidy(response.stream)
        return response


class ClosesWhatIsDropped(Sound):
    """Closes a response that was forgotten, as if the caller had."""

    above = _Tidying


class _Reading(Layer):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        for _ in response.stream:  # type: ignore[union-attr]
            pass
        response.stream = _Nothing()
        return response


class ReadsTheBodyAway(Sound):
    """Reads each answer to look into it, and hands over an empty one."""

    above = _Reading


class _Buffering(Layer):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        response.read()
        return response


class BuffersTheAnswer(Sound):
    """Reads each answer into memory before the caller gets it."""

    above = _Buffering


class _Jarless(Layer):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        response.headers.pop("set-cookie", None)
        return response


class LosesCookies(Sound):
    """Keeps the cookies of the 402 to itself."""

    above = _Jarless


class _Clinging(Layer):
    clung_to: list[httpx.Response] = []  # noqa: RUF012 - for ever is the point

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        if response.status_code != 402:
            return response
        self.clung_to.append(response)
        return httpx.Response(402, headers=response.headers, content=b"{}", extensions=response.extensions)


class ClingsToTheConnection(Sound):
    """Pays while the connection of the 402 is still taken."""

    under = _Clinging


# --- what shows


class _Spying(Layer):
    """Notes the request that paid."""

    last: httpx.Request | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if _HEADER in request.headers:
            _Spying.last = request
        return super().handle_request(request)


class _Mutating(Layer):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        _Spying.last = None
        response = super().handle_request(request)
        if _Spying.last is not None:
            request.headers[_HEADER] = _Spying.last.headers[_HEADER]
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
