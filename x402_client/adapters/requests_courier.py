"""A courier for requests: it looks into a 402, sends a clone that pays, and hands the answer over."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import requests
import urllib3.exceptions
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.exceptions import ChunkedEncodingError, ContentDecodingError, ProxyError, SSLError
from requests.utils import select_proxy
from urllib3.util import Timeout

from ..core.asks import Failure, Reply
from ..core.call import HttpRequest
from ..core.delivery import Delivery
from ..core.digests import BodyDigest
from ..errors import MalformedQuote
from ..guards.deadlines import Deadline
from ..model.counts import counted
from ..model.hosts import Origin
from ..wire.content_encoding import decoded
from .cookies import cookie_header
from .failures import links, timed_out
from .own_errors import OwnErrors
from .requests_bodies import Body, consumed, in_memory, read, rejoined, replace_body, text, watch_or_deliver, with_body
from .sockets import requests_cut, requests_leads_here

if TYPE_CHECKING:
    from ..buyer.buyer import Buyer


#: Errors that urllib3 raises before a byte of the request left: no connection, an untrusted certificate, a refusing
#: proxy, a pool that is closed.
_NOT_SENT = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.ProxyError,
    urllib3.exceptions.ClosedPoolError,
    ssl.SSLCertVerificationError,
)
OWN_ERRORS = OwnErrors(
    "x402_client.requests",
    [
        requests.RequestException, requests.ConnectionError, requests.Timeout, requests.ReadTimeout,
        requests.ConnectTimeout, SSLError, ProxyError, ChunkedEncodingError, ContentDecodingError,
    ],
    [requests.ConnectionError, requests.ConnectTimeout, SSLError, ProxyError],
)  # fmt: skip


def name_request(failure: BaseException, request: requests.PreparedRequest) -> None:
    """Make an exception name the request as the caller made it: not our clone, and not the payment."""
    if isinstance(failure, requests.RequestException):
        failure.request = request
        if isinstance(failure.response, requests.Response):
            failure.response.request = request


class Courier:
    """A courier for one request of a session: it sends, peeks and hands over."""

    def __init__(
        self,
        buyer: Buyer,
        inner: BaseAdapter,
        native: requests.PreparedRequest,
        body: Body,
        arguments: tuple[tuple[Any, ...], dict[str, Any]],
    ) -> None:
        #: Responses that have not been handed over. After an interrupt their connections are given back.
        self._open: list[requests.Response] = []
        self._buyer, self._inner, self._native, self._body = buyer, inner, native, body
        self.request: HttpRequest = facts(native)
        self._arguments = arguments
        self._asked: list[requests.Response] = []
        #: The 402s, of those looked at, that unfold into too much to be read into memory.
        self._large: list[requests.Response] = []

    @property
    def read_timeout(self) -> float | None:
        """Return the read time-out that the caller set: the second of the pair. None: none."""
        timeout = self._argument(1, "timeout")
        if isinstance(timeout, Timeout):
            said = [seconds for seconds in (timeout._read, timeout.total) if isinstance(seconds, (int, float))]
            return min(said, default=None)
        read = timeout[1] if isinstance(timeout, tuple) else timeout
        return read if isinstance(read, (int, float)) else None

    @property
    def reads_whole(self) -> bool:
        """Return True if the session reads the whole body before its caller gets anything."""
        return not self._argument(0, "stream")

    def _argument(self, place: int, name: str) -> Any:
        """Return an argument of the session's ``send``, passed by position or by name."""
        args, kwargs = self._arguments
        return args[place] if len(args) > place else kwargs.get(name)

    def reply(self, response: requests.Response) -> Reply:
        """Return a response as the flow sees it."""
        self._open.append(response)
        if response.status_code == 402:
            self._asked.append(response)
        return Reply(response.status_code, response.headers.get, response, ends_here=partial(self._ends_here, response))

    def _ends_here(self, response: requests.Response, port: int) -> bool:
        """Return True if an answer came from this machine. A seller may have closed the connection already."""
        straight = type(self._inner) is HTTPAdapter and not self._through_proxy
        return requests_leads_here(response, self.request.origin, straight)

    @property
    def _through_proxy(self) -> bool:
        args, kwargs = self._arguments
        proxies = args[4] if len(args) > 4 else kwargs.get("proxies")
        return bool(proxies) and select_proxy(self._native.url or "", proxies) is not None

    def failed(self, failure: Exception) -> Failure:
        """Say what kind of failure this is, by its class and by those of what it wraps."""
        if self._tries_once and any(isinstance(seen, _NOT_SENT) for seen in links(failure)):
            return "not_sent"
        late = (requests.Timeout, urllib3.exceptions.TimeoutError)
        return "timeout" if any(isinstance(seen, late) or timed_out(seen) for seen in links(failure)) else "lost"

    @property
    def _tries_once(self) -> bool:
        """Return True if requests' own adapter sends, and repeats nothing but connecting."""
        retries = self._inner.max_retries if type(self._inner) is HTTPAdapter else None
        if retries is None:
            return False
        # None is no number of its own: then the total counts.
        return retries.total in (0, False) or all(
            n in (0, False) for n in (retries.read, retries.status, retries.other)
        )

    def peek(self, reply: Reply) -> bytes | None:
        """Return the body of a 402 if it is within bounds, else None.

        A connection that was read to the body's end goes back to the pool.
        """
        response: requests.Response = reply.native
        limit = self._buyer.bounds.terms_body
        if consumed(response):
            content = response.content or b""
            return content if len(content) <= limit else None
        body: bytes | None = None
        with Deadline(self._buyer.bounds.terms_time, requests_cut(response)) as deadline:
            try:
                body = self._read(response, limit, deadline)
            except Exception:
                if not deadline.passed:
                    raise
            if not deadline.passed:  # else the end that was read may be our own cut, not the server's end
                return body
        response.raw.close()
        raise self._too_slow()

    def _read(self, response: requests.Response, limit: int, deadline: Deadline) -> bytes | None:
        chunks: list[bytes] = []
        size = 0
        while size <= limit:
            chunk = read(response.raw)
            if not chunk:
                response.raw = rejoined(response, chunks, None)
                encodings = response.headers.get("Content-Encoding") or ""
                body = decoded(b"".join(chunks), encodings, limit)
                self._large += [response] if body is None else []
                return body
            chunks.append(chunk)
            size += len(chunk)
            if deadline.passed:
                raise self._too_slow()
        response.raw = rejoined(response, chunks, response.raw)
        return None

    def digest(self) -> BodyDigest:
        """Return the digest of the request's body."""
        return self._body.digest()

    def send(self, header: tuple[str, str] | None) -> Reply:
        """Send the request once more, with a payment or without."""
        args, kwargs = self._arguments
        if header is not None:
            args, kwargs = _wait_for_settlement(args, kwargs, self._buyer.settle_timeout)
        try:
            clone = self._clone(header, self._body.again())
        finally:
            header = None  # tools that print the variables of a traceback must find none
        self.let_go()
        try:
            response = self._inner.send(clone, *args, **kwargs)
        except BaseException as failure:
            name_request(failure, self._native)
            raise
        response.request = self._native
        return self.reply(response)

    def hand_over(self, reply: Reply, delivery: Delivery | None) -> requests.Response:
        """Return the library's own response, with the outcome on it and its body watched."""
        response: requests.Response = reply.native
        self._open = [other for other in self._open if other is not response]
        if reply.refusal is not None:
            response.x402_refusal = reply.refusal  # type: ignore[attr-defined]
            replace_body(response, reply.body or b"")
        if reply.outcome is not None:
            response.x402 = reply.outcome  # type: ignore[attr-defined]
            # Sessions read the cookies of every response in the history. So the 402's cookies reach the jar.
            response.history = [*self._asked, *response.history]
        if delivery is not None:
            watch_or_deliver(response, delivery)
        return response

    def let_go(self, kept: Any = None) -> None:
        """Give connections back. The response that an error speaks of, ``kept``, stays readable."""
        if kept is not None:
            kept.request = self._native
            if in_memory(kept) and not any(kept is large for large in self._large):
                with suppress(ContentDecodingError):  # a wrong content-encoding is not the error to report
                    _ = kept.content
        for response in self._open:
            if not (consumed(response) or in_memory(response)):
                response.close()

    def _clone(self, header: tuple[str, str] | None, body: Any) -> requests.PreparedRequest:
        clone = with_body(self._native, body)
        self._carry_cookies(clone)
        if header is not None:
            clone.headers[header[0]] = header[1]
        return clone

    def _carry_cookies(self, clone: requests.PreparedRequest) -> None:
        lines = [line for response in self._asked for line in _set_cookies(response)]
        cookie = cookie_header(clone.url or "", text(clone.headers.get("Cookie")), lines) if lines else None
        if cookie:
            clone.headers["Cookie"] = cookie

    def _too_slow(self) -> MalformedQuote:
        return MalformedQuote(
            f"The body of the 402 of {self.request.shown} did not end within "
            f"{counted(self._buyer.bounds.terms_time, 'second')}. Nothing was paid."
        )


def facts(native: requests.PreparedRequest) -> HttpRequest:
    """Return the facts of a request that the exchange needs."""
    headers = cast("Mapping[str, str]", native.headers)
    return HttpRequest(native.method or "GET", origin_of(native.url or ""), native.path_url, headers)


def origin_of(url: str) -> Origin:
    """Return the origin that the library will connect to."""
    parts = urlsplit(url)
    return Origin.of(parts.scheme, parts.hostname or "", parts.port)


def _set_cookies(response: requests.Response) -> list[str]:
    headers = getattr(response.raw, "headers", None)
    getlist = getattr(headers, "getlist", None)
    if getlist is not None:
        return list(getlist("Set-Cookie"))
    line = response.headers.get("Set-Cookie")
    return [line] if line else []


def _wait_for_settlement(args: tuple[Any, ...], kwargs: dict[str, Any], settle: float | None) -> tuple[Any, Any]:
    """Set a read time-out that is long enough for settlement. None, which waits for ever, stays None."""
    if settle is None:
        return args, kwargs
    if len(args) > 1:  # send(request, stream, timeout, ...): a caller may pass it by position
        return (args[0], _longer(args[1], settle), *args[2:]), kwargs
    return args, {**kwargs, "timeout": _longer(kwargs.get("timeout"), settle)}


def _longer(timeout: Any, settle: float) -> Any:
    if timeout is None:
        return None  # some inner adapters have a default of their own for None
    if isinstance(timeout, Timeout):
        longer = timeout.clone()
        longer._read, longer.total = _longest(timeout._read, settle), _longest(timeout.total, settle)
        return longer
    connect, read = timeout if isinstance(timeout, tuple) else (timeout, timeout)
    return (connect, _longest(read, settle))


def _longest(read: Any, settle: float) -> Any:
    return max(read, settle) if isinstance(read, (int, float)) else read
