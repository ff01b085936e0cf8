"""What only requests can do for one call: look into a 402, send a clone that pays, hand the answer over."""

from __future__ import annotations

import io
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import requests
import urllib3.exceptions
from requests.adapters import BaseAdapter
from requests.exceptions import ChunkedEncodingError, ConnectionError, ContentDecodingError, SSLError
from urllib3 import HTTPResponse
from urllib3.exceptions import ProtocolError, ReadTimeoutError
from urllib3.util import Timeout

from ._answers import Answers
from ._bodies import Kept, digest, position, rewind
from ._cookies import cookie_header
from .asks import Reply
from .buyer import Buyer
from .delivery import Delivery
from .drive import run
from .errors import MalformedQuote, X402Error
from .flow import Call
from .wire.decode import decoded

_CHUNK = 16 * 1024


class Body:
    """How a prepared request's body can be sent a second time."""

    def __init__(self, request: requests.PreparedRequest, limit: int) -> None:
        self._request = request
        self._body: Any = request.body
        self._plain = self._body is None or isinstance(self._body, (str, bytes, bytearray))
        self._start = None if self._plain else position(self._body)
        self._kept = None if self._plain or self._start is not None else _kept(self._body, limit)

    def first_leg(self) -> requests.PreparedRequest:
        """The request itself; a clone where its body has to be kept on the way."""
        return self._request if self._kept is None else _with_body(self._request, self._kept)

    def again(self) -> Any:
        """The body for another send."""
        if self._kept is not None:
            return io.BytesIO(self._kept.kept.content()) if hasattr(self._body, "read") else [self._kept.kept.content()]
        if self._start is not None:
            rewind(self._body, self._start)
        return self._body

    def digest(self) -> bytes:
        """What identifies the body, all of it."""
        content_type = text(self._request.headers.get("Content-Type"))
        if self._kept is not None:
            self._kept.drain()
            return digest([self._kept.kept.content()], content_type)
        if self._start is not None:
            rewind(self._body, self._start)
            return digest(iter(lambda: _octets(self._body.read(_CHUNK)), b""), content_type)
        return digest([_octets(self._body or b"")], content_type)


class _KeptIterator:
    """An iterable body that remembers what it gave."""

    def __init__(self, source: Iterable[Any], limit: int) -> None:
        self._source = source
        self._rest: Iterator[Any] | None = None
        self.kept = Kept(limit)

    def __iter__(self) -> Iterator[Any]:
        self.kept.restart()
        self._rest = iter(self._source)
        yield from self._keeping()

    def drain(self) -> None:
        """Read what the server did not wait for, as far as it would be kept."""
        if self._rest is None:
            self._rest = iter(self._source)
        for _ in self._keeping():
            if self.kept.full:
                return

    def _keeping(self) -> Iterator[Any]:
        assert self._rest is not None
        for chunk in self._rest:
            self.kept.keep(_octets(chunk))
            yield chunk
        self.kept.whole = True


class _KeptFile:
    """A file that cannot be rewound, and remembers what it gave."""

    def __init__(self, source: Any, limit: int) -> None:
        self._source = source
        self.kept = Kept(limit)

    def read(self, size: int = -1) -> bytes:
        chunk = _octets(
            self._source.read(size)
        )  # urllib3 encodes what text files give; this one looks like no text file
        self.kept.keep(chunk)
        if not chunk or size is None or size < 0:
            self.kept.whole = True
        return chunk

    def __iter__(self) -> Iterator[Any]:
        return iter(lambda: self.read(_CHUNK), b"")

    def drain(self) -> None:
        """Read what the server did not wait for, as far as it would be kept."""
        while not self.kept.whole and not self.kept.full:
            self.read(_CHUNK)


def _kept(body: Any, limit: int) -> Any:
    if hasattr(body, "read"):
        return _KeptFile(body, limit)
    return _KeptIterator(body, limit) if hasattr(body, "__iter__") else None  # None: the library says what is wrong


def _octets(chunk: Any) -> bytes:
    return chunk.encode("utf-8") if isinstance(chunk, str) else bytes(chunk)


def text(value: str | bytes | None) -> str:
    """A header's value: requests leaves bytes as they are."""
    return value.decode("latin-1") if isinstance(value, bytes) else value or ""


@contextmanager
def speaking_of(request: requests.PreparedRequest) -> Iterator[None]:
    """What is raised here names the request as the caller made it: not our clone, and not the payment."""
    try:
        yield
    except requests.RequestException as failure:
        failure.request = request
        if isinstance(failure.response, requests.Response):
            failure.response.request = request
        raise


def _with_body(request: requests.PreparedRequest, body: Any) -> requests.PreparedRequest:
    """A clone with its own headers, so that the original never carries what the clone does."""
    clone = request.copy()
    clone.body = body
    return clone


class Courier:
    """A session's hands for one request."""

    def __init__(
        self,
        buyer: Buyer,
        inner: BaseAdapter,
        request: requests.PreparedRequest,
        body: Body,
        call: Call,
        arguments: tuple[tuple[Any, ...], dict[str, Any]],
    ) -> None:
        self._buyer, self._inner, self._request, self._body, self._call = buyer, inner, request, body, call
        self._arguments = arguments
        self._asked: list[requests.Response] = []

    def reply(self, response: requests.Response) -> Reply:
        """A response as the flow sees it."""
        if response.status_code == 402:
            self._asked.append(response)
        return Reply(response.status_code, response.headers.get, response)

    def peek(self, reply: Reply) -> bytes | None:
        """The body of a 402, if it is within bounds; its connection goes back to the pool."""
        response: requests.Response = reply.native
        if _consumed(response):
            return response.content or b""
        limit = self._buyer.bounds.terms_body
        deadline = time.monotonic() + self._buyer.bounds.terms_time
        chunks: list[bytes] = []
        while sum(map(len, chunks)) <= limit:
            chunk = _read(response.raw)
            if not chunk:
                response.raw = _rejoined(response, chunks, None)
                encodings = response.headers.get("Content-Encoding") or ""
                return decoded(b"".join(chunks), encodings, limit)
            chunks.append(chunk)
            if time.monotonic() > deadline:
                response.raw.close()
                raise self._too_slow()
        response.raw = _rejoined(response, chunks, response.raw)
        return None

    def digest(self) -> bytes:
        """The digest of the request's body."""
        return self._body.digest()

    def send(self, header: tuple[str, str] | None) -> Reply:
        """The request once more, with a payment or without."""
        clone = _with_body(self._request, self._body.again())
        self._carry_cookies(clone)
        args, kwargs = self._arguments
        if header is not None:
            clone.headers[header[0]] = header[1]
            args, kwargs = _patient(args, kwargs, self._buyer.settle_timeout)
        self.let_go()
        with speaking_of(self._request):
            response = self._inner.send(clone, *args, **kwargs)
        response.request = self._request
        return self.reply(response)

    def hand_over(self, reply: Reply) -> requests.Response:
        """The library's own response, with what we know attached."""
        response: requests.Response = reply.native
        if reply.outcome is None:
            return response
        response.x402 = reply.outcome  # type: ignore[attr-defined]
        # Sessions read the cookies of every response in the history: that is how the 402's reach the jar.
        response.history = [*self._asked, *response.history]
        if 200 <= reply.status < 300:
            self._watch(response, Delivery(self._call, reply.outcome))
        return response

    def explain(self, error: X402Error, first: Reply) -> None:
        """Let whoever catches an error read the response that it speaks of."""
        if error.response is None and error.money == "untouched":
            error.response = first.native
        if error.response is not None:
            error.response.request = self._request
            if _in_memory(error.response):
                with suppress(ContentDecodingError):  # a body that lies about its encoding is not the news
                    _ = error.response.content
        self.let_go()

    def let_go(self) -> None:
        """Give connections back."""
        for response in self._asked:
            if not (_consumed(response) or _in_memory(response)):
                response.close()

    def _watch(self, response: requests.Response, delivery: Delivery) -> None:
        answers = Answers(self._buyer, self)
        if _consumed(response):
            run(delivery.done(), answers)
            return
        if not isinstance(response.raw, HTTPResponse):  # a plain file, which cannot be watched by itself
            response.raw = _rejoined(response, [], response.raw)
        _watch(response.raw, delivery, answers)

    def _carry_cookies(self, clone: requests.PreparedRequest) -> None:
        lines = [line for response in self._asked for line in _set_cookies(response)]
        cookie = cookie_header(clone.url or "", text(clone.headers.get("Cookie")), lines) if lines else None
        if cookie:
            clone.headers["Cookie"] = cookie

    def _too_slow(self) -> MalformedQuote:
        return MalformedQuote(
            f"The body of the 402 of {self._call.url} did not end within {self._buyer.bounds.terms_time:g} seconds. "
            "Nothing was paid."
        )


def _read(raw: Any) -> bytes:
    """What has arrived, as it arrived. Failures are requests' own, as ``Response.iter_content`` raises them."""
    try:
        return _read_some(raw, _CHUNK)
    except ProtocolError as failure:
        raise ChunkedEncodingError(failure) from failure
    except ReadTimeoutError as failure:
        raise ConnectionError(failure) from failure
    except urllib3.exceptions.SSLError as failure:
        raise SSLError(failure) from failure


class _Joined(io.RawIOBase):
    """A body in two parts: what was looked at, and what is still to come."""

    def __init__(self, head: bytes, rest: Any) -> None:
        self._head, self._rest = io.BytesIO(head), rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._head.read(len(buffer)) or _read_some(self._rest, len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._rest.close()
        release = getattr(self._rest, "release_conn", None)
        if release is not None:  # a pool that blocks waits for its place, not only for the socket
            release()
        super().close()


def _read_some(raw: Any, size: int) -> bytes:
    read = getattr(raw, "read1", raw.read)
    # Some inner adapters have a plain file for raw; it has no encodings to undo.
    return bytes(read(size, decode_content=False) if isinstance(raw, HTTPResponse) else read(size))


def _rejoined(response: requests.Response, chunks: list[bytes], rest: Any) -> HTTPResponse:
    """A raw response whose body starts with what was read of it already."""
    raw, head = response.raw, b"".join(chunks)
    return HTTPResponse(
        body=io.BytesIO(head) if rest is None else _Joined(head, rest),
        headers=getattr(raw, "headers", None),
        status=getattr(raw, "status", response.status_code),
        version=getattr(raw, "version", 11),
        reason=getattr(raw, "reason", None),
        preload_content=False,
        original_response=getattr(raw, "_original_response", None),
        enforce_content_length=False,
    )


def _consumed(response: requests.Response) -> bool:
    # An inner adapter may set the content itself, and then there need not be a raw response.
    content: Any = response._content
    return bool(response._content_consumed) or content is not False or response.raw is None  # type: ignore[attr-defined]


def _in_memory(response: requests.Response) -> bool:
    return isinstance(getattr(response.raw, "_fp", None), io.BytesIO)


def _set_cookies(response: requests.Response) -> list[str]:
    headers = getattr(response.raw, "headers", None)
    getlist = getattr(headers, "getlist", None)
    if getlist is not None:
        return list(getlist("Set-Cookie"))
    line = response.headers.get("Set-Cookie")
    return [line] if line else []


def _watch(raw: Any, delivery: Delivery, answers: Answers) -> None:
    """Notice the end of a body, by whichever of its methods it is read. The object stays urllib3's own."""
    stream, read, close = getattr(raw, "stream", None), raw.read, raw.close

    def at_end(data: Any, whole: bool) -> None:
        if whole or not data or getattr(raw, "length_remaining", None) == 0:
            run(delivery.done(), answers)

    def watched_read(*args: Any, **kwargs: Any) -> Any:
        try:
            data = read(*args, **kwargs)
        except BaseException as failure:
            delivery.broke(failure)
            raise
        size = args[0] if args else kwargs.get("amt")
        if size != 0:
            at_end(data, size is None or size < 0)
        return data

    def watched_stream(*args: Any, **kwargs: Any) -> Iterator[bytes]:
        assert stream is not None
        try:
            yield from stream(*args, **kwargs)
        except BaseException as failure:
            delivery.broke(failure)
            raise
        run(delivery.done(), answers)

    def watched_close() -> None:
        close()
        # io.IOBase closes what is dropped unread; nobody has decided that the answer is done with.
        if getattr(raw, "_finalizing", False):
            delivery.dropped()
        run(delivery.closed(), answers)

    raw.read, raw.close = watched_read, watched_close
    if stream is not None:
        raw.stream = watched_stream


def _patient(args: tuple[Any, ...], kwargs: dict[str, Any], settle: float | None) -> tuple[Any, Any]:
    """A read timeout fit for settlement; None, which waits for ever, stays None."""
    if settle is None:
        return args, kwargs
    if len(args) > 1:  # send(request, stream, timeout, ...): a caller may pass it by place
        return (args[0], _longer(args[1], settle), *args[2:]), kwargs
    return args, {**kwargs, "timeout": _longer(kwargs.get("timeout"), settle)}


def _longer(timeout: Any, settle: float) -> Any:
    if timeout is None:
        return None  # some inner adapters have a default of their own for it
    if isinstance(timeout, Timeout):
        longer = timeout.clone()
        longer._read, longer.total = _most(timeout._read, settle), _most(timeout.total, settle)
        return longer
    connect, read = timeout if isinstance(timeout, tuple) else (timeout, timeout)
    return (connect, _most(read, settle))


def _most(read: Any, settle: float) -> Any:
    return max(read, settle) if isinstance(read, (int, float)) else read
