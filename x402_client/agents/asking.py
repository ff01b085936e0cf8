"""Sends a model's request through a client, each library in its own way, and reads a bounded part of the answer.

The library's own time-outs, proxies and pools hold. A redirect is followed only after its place was checked, by the
library's own next request, so that a purchase keeps the name of the call that began it.

A paid body that was read to its end is delivered, and the same call pays anew. So what else a tool tells of a payment
is asked between the headers and the body, and from the body's end on nothing waits.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..adapters.httpx_facts import facts
from ..core.call import HttpRequest
from ..core.delivery import tell_of_the_money
from ..errors import X402Error
from ..model.holds import Outcome
from ..model.hosts import Origin
from ..receipts import outcome
from .bodies import CHUNK, Start, astart_of, encodings_of, start_of
from .hosts import AllowedHosts, NotFetched

_REDIRECTS = 5
#: What is unfolded here, within bounds.
_ENCODINGS = {"Accept-Encoding": "gzip, deflate"}
#: requests waits for ever unless it is told: seconds to connect, and to read.
_REQUESTS_TIMEOUT = (10, 60)


@dataclass(frozen=True, slots=True)
class Request:
    """A request of a model. It has no say about headers, other than the content type."""

    method: str
    url: str
    content: bytes | None = None
    content_type: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers that go along with it."""
        return {**_ENCODINGS, "Content-Type": self.content_type} if self.content_type else dict(_ENCODINGS)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, read as far as was wanted.

    Attributes:
        status: Its status.
        url: The URL that gave it, without its query.
        content_type: Its content type.
        body: The beginning of its body.
        truncated: True if the body went on.
        encoding: The encodings that are still on the body: others, several, or one that is not what it says. "": none.
        outcome: What was paid. None: nothing.
        refusal: Our reason not to pay the 402 that it is. None: there is none.
        is_incomplete: True if its sender ended the body in the middle of its encoding.
        left: What is left of the budgets, in words. None: nothing limits it, nothing was paid, or it was not asked.
    """

    status: int
    url: str
    content_type: str = ""
    body: bytes = b""
    truncated: bool = False
    outcome: Outcome | None = None
    refusal: X402Error | None = None
    encoding: str = ""
    is_incomplete: bool = False
    left: str | None = None


#: Says what is left of the budgets after a payment for what is at a URL. It may wait for the ledger, and never raises.
Left = Callable[[str, Outcome], str | None]
AsyncLeft = Callable[[str, Outcome], Awaitable[str | None]]
Ask = Callable[[Request, int], Answer]
AsyncAsk = Callable[[Request, int], Awaitable[Answer]]


class HttpxAsker:
    """Asks by a sync client of httpx or httpx2."""

    def __init__(self, client: Any, hosts: AllowedHosts, left: Left) -> None:
        self._client, self._hosts, self._left = client, hosts, left

    def as_sent(self, asked: Request) -> HttpRequest:
        """Return the facts of a request as the client would send it: some add parameters and headers of their own."""
        return _built(self._client, asked)

    def ask(self, asked: Request, most: int) -> Answer:
        """Return the answer to a request, with the beginning of its body."""
        _check_open(self._client.is_closed)
        with _before_sending():
            request = self._client.build_request(asked.method, asked.url, content=asked.content, headers=asked.headers)
        paid, own = None, dict[str, Any]()
        for _ in range(_REDIRECTS + 1):
            with telling(paid):
                self._hosts.check(str(request.url))
                response = self._client.send(request, stream=True, follow_redirects=False, **own)
            paid = outcome(response) or paid
            try:
                if response.next_request is None:
                    with telling(paid):
                        if response.is_stream_consumed:  # a hook read it
                            start, left = start_of(response.iter_bytes(CHUNK), "", most), None
                        else:
                            left = self._left(_shown(response), paid) if paid and response.is_success else None
                            start = start_of(response.iter_raw(CHUNK), encodings_of(response), most)
                        return _answer(response, response.status_code, start, paid, left)
            finally:
                response.close()
            request, own = response.next_request, {"auth": None}  # the first request's is not for another place
        raise _too_many(paid)


class AsyncHttpxAsker:
    """Async twin of ``HttpxAsker``."""

    def __init__(self, client: Any, hosts: AllowedHosts, left: AsyncLeft) -> None:
        self._client, self._hosts, self._left = client, hosts, left

    def as_sent(self, asked: Request) -> HttpRequest:
        """Return the facts of a request as the client would send it."""
        return _built(self._client, asked)

    async def ask(self, asked: Request, most: int) -> Answer:
        """Return the answer to a request, with the beginning of its body."""
        _check_open(self._client.is_closed)
        with _before_sending():
            request = self._client.build_request(asked.method, asked.url, content=asked.content, headers=asked.headers)
        paid, own = None, dict[str, Any]()
        for _ in range(_REDIRECTS + 1):
            with telling(paid):
                await self._hosts.acheck(str(request.url))
                response = await self._client.send(request, stream=True, follow_redirects=False, **own)
            paid = outcome(response) or paid
            try:
                if response.next_request is None:
                    with telling(paid):
                        if response.is_stream_consumed:
                            start, left = await astart_of(response.aiter_bytes(CHUNK), "", most), None
                        else:
                            left = await self._left(_shown(response), paid) if paid and response.is_success else None
                            start = await astart_of(response.aiter_raw(CHUNK), encodings_of(response), most)
                        return _answer(response, response.status_code, start, paid, left)
            finally:
                with telling(paid):
                    await response.aclose()
            request, own = response.next_request, {"auth": None}
        raise _too_many(paid)


class RequestsAsker:
    """Asks by a session of requests."""

    def __init__(self, session: Any, hosts: AllowedHosts, left: Left) -> None:
        self._session, self._hosts, self._left = session, hosts, left

    def as_sent(self, asked: Request) -> HttpRequest:
        """Return the facts of a request as the session would send it."""
        import requests

        from ..adapters.requests_courier import facts

        native = requests.Request(asked.method, asked.url, data=asked.content, headers=asked.headers)
        return facts(self._session.prepare_request(native))

    def ask(self, asked: Request, most: int) -> Answer:
        """Return the answer to a request, with the beginning of its body."""
        from ..adapters.requests_bodies import consumed, read

        self._hosts.check(asked.url)
        response = self._session.request(
            asked.method, asked.url, data=asked.content, headers=asked.headers, allow_redirects=False, stream=True,
            timeout=_REQUESTS_TIMEOUT,
        )  # fmt: skip
        paid = None
        for hops in reversed(range(_REDIRECTS + 1)):
            paid = outcome(response) or paid
            try:
                if response.next is None:
                    with telling(paid):
                        if consumed(response):
                            start, left = start_of(response.iter_content(CHUNK), "", most), None
                        else:
                            left = self._left(_shown(response), paid) if paid and response.ok else None
                            start = start_of(iter(partial(read, response.raw), b""), encodings_of(response), most)
                        return _answer(response, response.status_code, start, paid, left)
            finally:
                response.close()
            if hops:  # no request is sent whose answer would not be read: it may be paid for
                response = self._led_on(response.next, paid)
        raise _too_many(paid)

    def _led_on(self, request: Any, paid: Outcome | None) -> Any:
        """Return the answer of the place that a redirect leads to."""
        with telling(paid):
            self._hosts.check(request.url)
            settings = self._session.merge_environment_settings(request.url, {}, True, None, None)
            return self._session.send(request, allow_redirects=False, timeout=_REQUESTS_TIMEOUT, **settings)


class AiohttpAsker:
    """Asks by a session of aiohttp. A middleware checks each place, as the session follows redirects itself."""

    def __init__(self, session: Any, hosts: AllowedHosts, left: AsyncLeft) -> None:
        self._session, self._hosts, self._left = session, hosts, left

    def as_sent(self, asked: Request) -> HttpRequest:
        """Return the facts of a request as the session would send it."""
        from yarl import URL

        url, headers = URL(asked.url), self._session._prepare_headers(asked.headers)
        return HttpRequest(asked.method, Origin.of(url.scheme, url.raw_host or "", url.port), url.raw_path_qs, headers)

    async def ask(self, asked: Request, most: int) -> Answer:
        """Return the answer to a request, with the beginning of its body."""
        from aiohttp import TooManyRedirects

        _check_open(self._session.closed)
        checked = _Checked(self._hosts)
        try:
            async with _as_sent(self._session) as session, session.request(
                asked.method, asked.url, data=asked.content, headers=asked.headers, max_redirects=_REDIRECTS + 1,
                middlewares=(checked, *session._middlewares),
            ) as response:  # fmt: skip
                # Code of others that stands on the session may ask by that one, which undoes most encodings.
                # The stream of an answer without a body has no such count.
                undone = getattr(response.content, "total_compressed_bytes", 0) is not None
                encodings = "" if undone else encodings_of(response)
                paid, is_over = outcome(response) or checked.paid, response.content.at_eof()
                left = await self._left(_shown(response), paid) if paid and response.ok and not is_over else None
                start = await astart_of(response.content.iter_chunked(CHUNK), encodings, most)
                return _answer(response, response.status, start, paid, left)
        except TooManyRedirects:
            raise _too_many(checked.paid) from None
        except BaseException as failure:  # a Location that leads nowhere: the hop that was paid had answered before
            if checked.paid is not None and outcome(failure) is None:
                tell_of_the_money(failure, checked.paid)
            raise


@asynccontextmanager
async def _as_sent(session: Any) -> AsyncIterator[Any]:
    """Give a session that hands over bodies as they were sent: aiohttp takes half a compressed body for a whole one."""
    own = copy(session)
    own._auto_decompress = False
    try:
        yield own
    finally:
        own.detach()  # the connections are those of the caller's session, and stay open


class _Checked:
    """A middleware of one call that checks where each of its hops leads."""

    def __init__(self, hosts: AllowedHosts) -> None:
        self._hosts = hosts
        self.paid: Outcome | None = None

    async def __call__(self, request: Any, handler: Any) -> Any:
        with telling(self.paid):
            await self._hosts.acheck(str(request.url))
        response = await handler(request)
        self.paid = outcome(response) or self.paid  # a look at its history, which aiohttp remembers as empty from here
        return response


def _check_open(is_closed: bool) -> None:
    """Refuse to ask by a closed client. Its library's own error does not tell that nothing was sent."""
    if is_closed:
        raise NotFetched("The client of this tool is closed, so nothing was sent and nothing was paid. Tell the user.")


def _built(client: Any, asked: Request) -> HttpRequest:
    """Return the facts of the request that a client of httpx makes."""
    return facts(client.build_request(asked.method, asked.url, content=asked.content, headers=asked.headers))


@contextmanager
def telling(paid: Outcome | None) -> Iterator[None]:
    """Let what ends a call in its middle tell what was paid before, if it does not say so itself: also a cancellation.

    ``paid`` is what this call paid. None: nothing.
    """
    try:
        yield
    except BaseException as failure:
        if paid is not None and outcome(failure) is None:
            with suppress(AttributeError, TypeError):  # an exception may have slots
                failure.outcome = paid  # type: ignore[attr-defined]
        raise


@contextmanager
def _before_sending() -> Iterator[None]:
    """Make any failure a refusal: a library that cannot make a request of a URL sends nothing."""
    try:
        yield
    except Exception as failure:
        raise NotFetched(
            f"url is not one that this client can ask ({type(failure).__name__}). Nothing was paid."
        ) from None


def _too_many(paid: Outcome | None) -> NotFetched:
    refused = NotFetched(f"It redirects more than {_REDIRECTS} times.")
    refused.outcome = paid
    return refused


def _shown(response: Any) -> str:
    """Return the URL that gave an answer, without its query."""
    return HttpRequest.of("GET", str(response.url)).shown


def _answer(response: Any, status: int, start: Start, paid: Outcome | None, left: str | None) -> Answer:
    kind, refusal = response.headers.get("content-type") or "", _refusal(response)
    body, truncated, encoding, is_incomplete = start
    return Answer(status, _shown(response), kind, body, truncated, paid, refusal, encoding, is_incomplete, left)


def _refusal(response: Any) -> X402Error | None:
    """Return the refusal that ``Buyer(on_refusal="return")`` hung on a 402."""
    extensions = getattr(response, "extensions", None)
    found = extensions.get("x402_refusal") if isinstance(extensions, dict) else getattr(response, "x402_refusal", None)
    return found if isinstance(found, X402Error) else None
