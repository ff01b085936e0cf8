"""Bodies on their way through a requests adapter: requests that go twice, 402s given back, paid answers."""

from __future__ import annotations

import copyreg
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import requests
import urllib3.exceptions
from requests.exceptions import ChunkedEncodingError, ConnectionError, SSLError
from urllib3 import HTTPHeaderDict, HTTPResponse
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from ..core.delivery import Delivery, tell_of_the_money
from ..core.digests import NOTHING, BodyDigest, body_digest
from .failures import links
from .refusals import lines_about_refusal
from .replay import Kept, KeptStream, octets, position, rewind

_CHUNK = 16 * 1024


class Body:
    """The body of a prepared request, which can be sent a second time."""

    def __init__(self, request: requests.PreparedRequest, limit: int) -> None:
        self._request = request
        self._body: Any = request.body
        self._plain = self._body is None or isinstance(self._body, (str, bytes, bytearray))
        self._start = None if self._plain else position(self._body)
        self._kept = None if self._plain or self._start is not None else _kept(self._body, limit)

    @property
    def once(self) -> bool:
        """Return True if it can be read only once: then its content is known only while it is sent."""
        return not self._plain and self._start is None

    def first_leg(self) -> requests.PreparedRequest:
        """Return the request itself, or a clone if its body has to be kept on the way."""
        return self._request if self._kept is None else with_body(self._request, self._kept)

    def again(self) -> Any:
        """Return the body for another send."""
        if self._kept is not None:
            return io.BytesIO(self._kept.kept.content()) if hasattr(self._body, "read") else [self._kept.kept.content()]
        if self._start is not None:
            rewind(self._body, self._start)
        return self._body

    @property
    def unread(self) -> bool:
        """Return True if it can be read only once, and nothing of it was read."""
        return self._kept is not None and self._kept.unread

    def digest(self) -> BodyDigest:
        """Return the digest of the whole body, which identifies it."""
        if self._body is None:
            return NOTHING
        content_type = text(self._request.headers.get("Content-Type"))
        if self._kept is not None:
            self._kept.drain()
            return body_digest(self._kept.kept.content(), content_type)
        if self._start is None:
            return body_digest(octets(self._body or b""), content_type)
        here = position(self._body)  # a redirect goes on from there, as without us
        rewind(self._body, self._start)
        found = body_digest(iter(lambda: octets(self._body.read(_CHUNK)), b""), content_type)
        rewind(self._body, self._start if here is None else here)
        return found


class _KeptFile:
    """A file that cannot be rewound. It remembers what it gave."""

    def __init__(self, source: Any, limit: int) -> None:
        self._source = source
        self.kept = Kept(limit)
        #: True if nothing of it was read.
        self.unread = True

    def read(self, size: int = -1) -> bytes:
        self.unread = False
        # urllib3 encodes what text files give, and this object does not look like a text file.
        chunk = octets(self._source.read(size))
        self.kept.keep(chunk)
        if not chunk or size is None or size < 0:
            self.kept.whole = True
        return chunk

    def __iter__(self) -> Iterator[Any]:
        return iter(lambda: self.read(_CHUNK), b"")

    def drain(self) -> None:
        """Read the rest that the server did not wait for, up to the bound of what is kept."""
        while not self.kept.whole and not self.kept.full:
            self.read(_CHUNK)


def _kept(body: Any, limit: int) -> Any:
    if hasattr(body, "read"):
        return _KeptFile(body, limit)
    return KeptStream(body, limit) if hasattr(body, "__iter__") else None  # None: the library itself says what is wrong


def text(value: str | bytes | None) -> str:
    """Return a header's value as text: requests leaves bytes as they are."""
    return value.decode("latin-1") if isinstance(value, bytes) else value or ""


def with_body(request: requests.PreparedRequest, body: Any) -> requests.PreparedRequest:
    """Return a clone with ``body`` and headers of its own.

    So the original never carries the clone's headers.
    """
    clone = request.copy()
    clone.body = body
    return clone


def read(raw: Any) -> bytes:
    """Read what has arrived, as it arrived.

    Failures are requests' own, as ``Response.iter_content`` raises them.
    """
    try:
        return _read_some(raw, _CHUNK)
    except ProtocolError as failure:
        raise ChunkedEncodingError(failure) from failure
    except ReadTimeoutError as failure:
        raise ConnectionError(failure) from failure
    except urllib3.exceptions.SSLError as failure:
        raise SSLError(failure) from failure


class _Joined(io.RawIOBase):
    """A body in two parts: the chunks that were read, and those still to come."""

    def __init__(self, head: bytes, rest: Any) -> None:
        self._head, self._rest = io.BytesIO(head), rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._head.read(len(buffer)) or _read_some(self._rest, len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def read1(self, size: int = -1) -> bytes:
        return self.read(size if size > 0 else _CHUNK) or b""

    def close(self) -> None:
        self._rest.close()
        release = getattr(self._rest, "release_conn", None)
        if release is not None:  # a pool that blocks waits until the connection is released, not only closed
            release()
        super().close()


def _read_some(raw: Any, size: int) -> bytes:
    read = getattr(raw, "read1", raw.read)
    # Some inner adapters have a plain file for raw; it has no encodings to undo.
    return bytes(read(size, decode_content=False) if isinstance(raw, HTTPResponse) else read(size))


def rejoined(response: requests.Response, chunks: list[bytes], rest: Any) -> HTTPResponse:
    """Return a raw response whose body starts with what was read of it already."""
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


def replace_body(response: requests.Response, body: bytes) -> None:
    """Give a 402 that was read to its end another body, and the header lines that fit it."""
    lines = lines_about_refusal(response.headers.items(), body)
    response.headers.clear()
    response.headers.update(lines)
    response.encoding = "utf-8"
    response._content, response._content_consumed = False, False  # type: ignore[assignment,attr-defined]
    response.raw = rejoined(response, [body], None)
    response.raw.headers = HTTPHeaderDict(lines)


def consumed(response: requests.Response) -> bool:
    # An inner adapter may set the content itself, and then there need not be a raw response.
    content: Any = response._content
    return bool(response._content_consumed) or content is not False or response.raw is None  # type: ignore[attr-defined]


def in_memory(response: requests.Response) -> bool:
    return isinstance(getattr(response.raw, "_fp", None), io.BytesIO)


class _Watched(HTTPResponse):
    """The raw response of a paid answer. It notices the end of its body, by any method that reads it."""

    _delivery: Delivery
    _reading = False
    #: The pieces of an answer to a tool call that were read along.
    _pieces = 0

    def read(self, *args: Any, **kwargs: Any) -> bytes:
        before = self._pieces
        with self._noticing():
            data = super().read(*args, **kwargs)
        self._read_along(data, before)
        return self._given(data, args[0] if args else kwargs.get("amt"))

    def read1(self, *args: Any, **kwargs: Any) -> bytes:
        before = self._pieces
        with self._noticing():
            data = super().read1(*args, **kwargs)
        self._read_along(data, before)
        return self._given(data, args[0] if args else kwargs.get("amt"), whole=False)

    def stream(self, *args: Any, **kwargs: Any) -> Iterator[bytes]:  # type: ignore[override]
        return self._counted(super().stream(*args, **kwargs))

    def read_chunked(self, *args: Any, **kwargs: Any) -> Iterator[bytes]:  # type: ignore[override]
        return self._counted(super().read_chunked(*args, **kwargs))

    def close(self) -> None:
        super().close()
        if self._reading:
            return  # urllib3 itself closes it, to give up a broken body
        # io.IOBase closes what is dropped unread. The caller did not decide that it is done with the answer.
        if getattr(self, "_finalizing", False):
            self._delivery.dropped()
        self._delivery.closed()

    def _given(self, data: bytes, size: int | None, whole: bool = True) -> bytes:
        all_of_it = whole and (size is None or size < 0)
        if size != 0 and (all_of_it or not data or self.length_remaining == 0):
            self._delivery.done()
        return data

    def _counted(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        while True:
            before = self._pieces
            with self._noticing():
                chunk = next(chunks, None)
            if chunk is None:
                break
            self._read_along(chunk, before)
            yield chunk
        self._delivery.done()

    def _read_along(self, data: bytes, before: int) -> None:
        """Read a piece along. urllib3's methods call each other, and the inner one may have done so with this piece."""
        if self._delivery.answer is not None and data and self._pieces == before:
            self._delivery.answer.add(data)
            self._pieces += 1

    @contextmanager
    def _noticing(self) -> Iterator[None]:
        before, self._reading = self._reading, True
        try:
            yield
        except BaseException as failure:
            self._delivery.broke(failure)
            raise
        finally:
            self._reading = before


class _Paid(requests.Response):
    """A paid answer. requests wraps what urllib3 raises in an error of its own, which has to tell of the money too."""

    def iter_content(self, chunk_size: int | None = 1, decode_unicode: bool = False) -> Iterator[Any]:
        return _telling(super().iter_content(chunk_size, decode_unicode))

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        # Caches pickle answers, and find requests' own there.
        return (copyreg._reconstructor, (requests.Response, object, None), self.__getstate__())  # type: ignore[attr-defined]


def _telling(chunks: Iterator[Any]) -> Iterator[Any]:
    try:
        yield from chunks
    except Exception as failure:
        told = next((seen for seen in links(failure) if "outcome" in vars(seen)), failure)
        if told is not failure:
            tell_of_the_money(failure, vars(told)["outcome"])
        raise


def watch_or_deliver(response: requests.Response, delivery: Delivery) -> None:
    """Watch a body that is still to come, and deliver one that is already in memory."""
    if consumed(response):
        content: Any = response._content
        delivery.done(content if isinstance(content, bytes) else b"")
    else:
        _watch(response, delivery)


def _watch(response: requests.Response, delivery: Delivery) -> None:
    """Give the raw response a class that watches.

    It stays the same object, so no cycle keeps it alive.
    """
    raw: Any = response.raw
    if not isinstance(raw, HTTPResponse):  # a plain file
        raw = response.raw = rejoined(response, [], raw)
    kind = type(raw)
    if type(response) is requests.Response:
        response.__class__ = _Paid
    raw.__class__ = _Watched if kind is HTTPResponse else type(kind.__name__, (_Watched, kind), {})
    cast("_Watched", raw)._delivery = delivery
