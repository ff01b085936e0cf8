"""Couriers for httpx and httpx2: they look into a 402, send a clone that pays, and hand the answer over."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from ..core.asks import Failure, Reply
from ..core.call import HttpRequest
from ..core.delivery import Delivery
from ..core.digests import BodyDigest
from ..errors import MalformedQuote
from ..guards.deadlines import Deadline
from ..guards.patience import Patience
from ..model.counts import counted
from ..wire.content_encoding import decoded
from .cookies import cookie_header
from .failures import hide_payment, links, timed_out
from .httpx_bodies import Library, ReplayedBody, next_in_time, next_piece
from .httpx_facts import facts
from .open_answers import OpenAnswers
from .refusals import raw_lines_about_refusal
from .sockets import connects_straight, httpx_cut, httpx_leads_here

if TYPE_CHECKING:
    from ..buyer.buyer import Buyer
    from .session_calls import PaymentBelow


class _Peeked:
    """The part of a 402 that was read. ``rest`` yields the remainder, or is None at the end.

    ``small`` is True if the body is within bounds without its encoding, too.
    """

    __slots__ = ("chunks", "response", "rest", "small")

    def __init__(self, response: Any, chunks: list[bytes], rest: Any, small: bool = False) -> None:
        self.response, self.chunks, self.rest, self.small = response, chunks, rest, small


class BaseCourier:
    """The common part of the sync and the async courier: cloning, and keeping what was read of each 402."""

    buyer: Buyer
    inner: Any
    library: Library
    body: ReplayedBody
    native: Any

    def __init__(self, buyer: Buyer, library: Library, inner: Any, native: Any, body: ReplayedBody) -> None:
        self.library, self.buyer, self.inner = library, buyer, inner
        #: The request as the caller made it.
        self.native, self.body = native, body
        self.request: HttpRequest = facts(native)
        self._open: list[Any] = []
        self._peeked: list[_Peeked] = []
        self._cookies: list[str] = []
        #: The name of the header that presents the payment, once it was sent.
        self._presented: str | None = None

    @property
    def read_timeout(self) -> float | None:
        """Return the read time-out that the caller set. None: none, or only the library's default."""
        read: float | None = (self.native.extensions.get("timeout") or {}).get("read")
        return None if read is self.library.default_read else read

    def reply(self, response: Any) -> Reply:
        """Return a response as the flow sees it."""
        self._open.append(response)
        if response.status_code == 402:
            self._cookies += response.headers.get_list("set-cookie")
        plain = self.request.origin.scheme != "https"
        ends_here = partial(self._ends_here, response) if plain else None
        return Reply(response.status_code, response.headers.get, response, ends_here=ends_here)

    def _ends_here(self, response: Any, port: int) -> bool:
        if isinstance(self.inner, self.library.in_process):
            return True
        return httpx_leads_here(response, self.request.origin, connects_straight(self.inner))

    def failed(self, failure: Exception) -> Failure:
        """Say what kind of failure this is, by its class and by those of what it wraps.

        Only the library's own transport is known to make one try, and to raise these before a byte left.
        """
        if isinstance(failure, self.library.not_sent) and type(self.inner) in self.library.own_transports:
            return "not_sent"
        late = any(isinstance(seen, self.library.timeout) or timed_out(seen) for seen in links(failure))
        return "timeout" if late else "lost"

    def clone(self, header: tuple[str, str] | None, stream: Any) -> Any:
        """Return the request once more: its own header lines in their order, and ``header`` if it pays."""
        headers = self.native.headers.copy()
        if self._cookies:
            headers = type(headers)(self._with_cookies(headers.raw))
        extensions = dict(self.native.extensions)
        if header is not None:
            self._presented = header[0]
            headers[header[0]] = header[1]
            extensions = _wait_for_settlement(extensions, self.buyer.settle_timeout)
        again = self.library.request(
            self.native.method, self.native.url, headers=headers, stream=stream, extensions=extensions
        )
        if hasattr(self.native, "_content"):
            again.read()  # the caller's was read, too; else some inner transports would send it in chunks
        return again

    def _name_request(self, failure: BaseException) -> None:
        """Make a library's exception name the request as the caller made it, without the payment."""
        if hasattr(failure, "_request"):
            failure.request = self.native  # type: ignore[attr-defined]
        response: Any = getattr(failure, "response", None)  # some inner transports raise for a status
        if hasattr(response, "_request"):
            response.request = self.native
        if self._presented is not None:
            hide_payment(failure, self._presented)

    def _with_cookies(self, lines: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        sent = [value.decode("latin-1") for name, value in lines if name.lower() == b"cookie"]
        merged = cookie_header(str(self.native.url), "; ".join(sent), self._cookies)
        if merged is None:
            return lines
        return [
            *(line for line in lines if line[0].lower() != b"cookie"),
            (b"Cookie", merged.encode("latin-1", "replace")),
        ]

    def restore(self, response: Any, rejoined: Any) -> None:
        """Give back the body of a 402 that was looked at, as it came."""
        for peeked in self._peeked:
            if peeked.response is response and peeked.rest is None:
                response.stream = self.library.byte_stream(b"".join(peeked.chunks))
            elif peeked.response is response:
                response.stream = rejoined(peeked.chunks, peeked.rest, response.stream)
        self._peeked = [peeked for peeked in self._peeked if peeked.response is not response]

    def attach(self, reply: Reply) -> None:
        """Put the outcome on the response, and the 402's cookies where the caller's jar looks for them."""
        response = reply.native
        if reply.outcome is not None:
            response.extensions["x402"] = reply.outcome
            if self._cookies:
                ours = [(b"set-cookie", line.encode()) for line in self._cookies]
                response.headers = type(response.headers)([*ours, *response.headers.raw])

    def refused(self, reply: Reply) -> Any:
        """Return the 402 with the body that says why it was not paid, and the refusal for ``errors.find``."""
        response, body = reply.native, reply.body or b""
        return self.library.response(
            response.status_code,
            headers=raw_lines_about_refusal(response.headers.raw, body),
            stream=self.library.byte_stream(body),
            extensions={**response.extensions, "x402_refusal": reply.refusal},
        )

    def _forget(self, response: Any) -> None:
        """Forget a response that needs no closing here, or that the caller closes."""
        self._open = [other for other in self._open if other is not response]

    def whole(self, response: Any, chunks: list[bytes]) -> bytes | None:
        """Return a 402's body without its content encoding, or None if it unfolds into too much."""
        encodings = response.headers.get("content-encoding", "")
        body = decoded(b"".join(chunks), encodings, self.buyer.bounds.terms_body)
        self._peeked.append(_Peeked(response, chunks, None, small=body is not None))
        return body

    def small(self, response: Any) -> bool:
        """Return True if a 402 that was looked at can be read into memory."""
        return any(peeked.small for peeked in self._peeked if peeked.response is response)

    def within_bounds(self, body: bytes) -> bytes | None:
        """Return a body that is in memory already, without its content encoding.

        Return None if it is too large.
        """
        return body if len(body) <= self.buyer.bounds.terms_body else None

    def too_slow(self) -> MalformedQuote:
        """Return the error for a 402 whose body came too slowly."""
        return MalformedQuote(
            f"The body of the 402 of {self.request.shown} did not end within "
            f"{counted(self.buyer.bounds.terms_time, 'second')}. Nothing was paid."
        )


class Courier(BaseCourier):
    """A courier for one call through a sync transport: it sends, peeks and hands over."""

    def peek(self, reply: Reply) -> bytes | None:
        """Return the body of a 402 if it is within bounds, else None.

        A connection that was read to the body's end goes back to the pool.
        """
        response = reply.native
        if response.is_closed:
            return self.within_bounds(response.content)
        with Deadline(self.buyer.bounds.terms_time, httpx_cut(response)) as deadline:
            try:
                body = self._read(response, deadline)
            except Exception:
                if deadline.passed:
                    raise self.too_slow() from None
                raise
        if deadline.passed:  # the end that was read may be our own cut, not the server's end
            raise self.too_slow()
        return body

    def _read(self, response: Any, deadline: Deadline) -> bytes | None:
        chunks: list[bytes] = []
        size = 0
        rest = iter(response.stream)
        for chunk in rest:
            chunks.append(chunk)
            size += len(chunk)
            if size > self.buyer.bounds.terms_body:
                self._peeked.append(_Peeked(response, chunks, rest))
                return None
            if deadline.passed:
                raise self.too_slow()
        response.stream.close()
        self._forget(response)
        return self.whole(response, chunks)

    def digest(self) -> BodyDigest:
        """Return the digest of the request's body."""
        return self.body.digest()

    def send(self, header: tuple[str, str] | None) -> Reply:
        """Send the request once more, with a payment or without."""
        try:
            clone = self.clone(header, self.body.again())
        finally:
            header = None  # tools that print the variables of a traceback must find none
        self.let_go()
        try:
            return self.reply(self.inner.handle_request(clone))
        except BaseException as failure:
            self._name_request(failure)
            raise

    def hand_over(self, reply: Reply, delivery: Delivery | None) -> Any:
        """Return the library's own response, with the outcome on it and its body watched."""
        response = reply.native
        if reply.refusal is not None:
            self.let_go()
            return self.refused(reply)
        self._forget(response)
        self.let_go()
        self.restore(response, self.library.rejoined)
        self.attach(reply)
        if delivery is not None and response.is_closed:
            delivery.done(getattr(response, "_content", b""))
        elif delivery is not None:
            response.stream = self.library.watched(response.stream, delivery, response).of(self.native)
            OpenAnswers.of(self.inner).add(response.stream)
        return response

    def let_go(self, kept: Any = None) -> None:
        """Give connections back. The response that an error speaks of, ``kept``, stays readable."""
        if kept is not None:
            small = self.small(kept)
            self.restore(kept, self.library.rejoined)
            kept.request = self.native
            if small:
                with suppress(self.library.decoding_error):  # a wrong content-encoding is not the error to report
                    kept.read()
        while self._open:
            self._open.pop().stream.close()


class AsyncCourier(BaseCourier):
    """Async twin of ``Courier``."""

    #: The payment for a call of a wrapped session of MCP, which ends with that. None: the request is its caller's own.
    below: PaymentBelow | None = None

    async def peek(self, reply: Reply) -> bytes | None:
        """Async twin of ``Courier.peek``."""
        import anyio

        response = reply.native
        if response.is_closed:
            return self.within_bounds(response.content)
        if type(response.stream) is self.library.byte_stream:  # all of it is here
            return await self._read(response, next_piece)
        patience, pause = Patience(self.buyer.bounds.terms_time), self._longest_pause(response)
        if pause >= patience.left:
            with anyio.CancelScope() as scope, patience.waiting(scope.cancel):
                return await self._read(response, next_piece)
            raise self.too_slow()
        try:
            return await self._read(response, partial(next_in_time, patience, pause))
        except TimeoutError:
            raise self.too_slow() from None

    async def _read(
        self, response: Any, piece: Callable[[AsyncIterator[bytes]], Awaitable[bytes | None]]
    ) -> bytes | None:
        import anyio.lowlevel

        chunks: list[bytes] = []
        size = 0
        rest = aiter(response.stream)
        while (chunk := await piece(rest)) is not None:
            chunks.append(chunk)
            size += len(chunk)
            if size > self.buyer.bounds.terms_body:
                self._peeked.append(_Peeked(response, chunks, rest))
                return None
            # Many small chunks may be here already: without a pause the loop would stand still for all of them. Also, a
            # waiting cancellation shows here. Amid the library's closing it would lose the connection.
            await anyio.lowlevel.checkpoint()
        await response.stream.aclose()
        self._forget(response)
        return self.whole(response, chunks)

    def _longest_pause(self, response: Any) -> float:
        """Return the seconds that the next piece of a body may take before the library itself gives up.

        Only the library's own transport is known to give up. Only in a body of known length does each read of the
        socket give a piece. In chunks and frames, heads can drip between the pieces. A payment has more time.
        """
        headers, facts = response.headers, response.extensions
        plain = facts.get("http_version") == b"HTTP/1.1" and "network_stream" in facts
        if not plain or type(self.inner) is not self.library.async_transport or self._presented is not None:
            return math.inf
        if "transfer-encoding" in headers or "content-length" not in headers:
            return math.inf
        read = (self.native.extensions.get("timeout") or {}).get("read")
        return math.inf if read is None else float(read)

    async def digest(self) -> BodyDigest:
        """Return the digest of the request's body."""
        return await self.body.adigest()

    async def send(self, header: tuple[str, str] | None) -> Reply:
        """Send the request once more, with a payment or without."""
        try:
            clone = self.clone(header, self.body.again())
        finally:
            header = None  # tools that print the variables of a traceback must find none
        await self.let_go()
        try:
            return self.reply(await self.inner.handle_async_request(clone))
        except BaseException as failure:
            self._name_request(failure)
            raise

    async def hand_over(self, reply: Reply, delivery: Delivery | None) -> Any:
        """Return the library's own response, with the outcome on it and its body watched."""
        response = reply.native
        if reply.refusal is not None:
            await self.let_go()
            return self.refused(reply)
        self._forget(response)
        await self.let_go()
        self.restore(response, self.library.arejoined)
        self.attach(reply)
        if delivery is not None and response.is_closed:
            delivery.done(getattr(response, "_content", b""))
        elif delivery is not None:
            response.stream = self.library.awatched(response.stream, delivery, response).of(self.native)
            OpenAnswers.of(self.inner).add(response.stream)
        return response

    async def let_go(self, kept: Any = None) -> None:
        """Give connections back, also while the task is being cancelled.

        The response that an error speaks of, ``kept``, stays readable.
        """
        if kept is not None:
            small = self.small(kept)
            self.restore(kept, self.library.arejoined)
            kept.request = self.native
            if small:
                with suppress(self.library.decoding_error):
                    await kept.aread()
        if not self._open:
            return
        import anyio

        with anyio.CancelScope(shield=True):
            while self._open:
                await self._open.pop().stream.aclose()


def _wait_for_settlement(extensions: dict[str, Any], settle: float | None) -> dict[str, Any]:
    """Set a read time-out that is long enough for settlement. None, which waits for ever, stays None."""
    timeout = extensions.get("timeout")
    if settle is not None and timeout and timeout.get("read") is not None:
        extensions["timeout"] = {**timeout, "read": max(timeout["read"], settle)}
    return extensions
