"""The content of answers through aiohttp: a 402 that is looked at and given back, a paid answer that is watched."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any

from aiohttp import ClientConnectionError, ClientPayloadError, ClientResponse, ClientResponseError
from aiohttp.base_protocol import BaseProtocol
from aiohttp.connector import Connection
from aiohttp.http_exceptions import ContentEncodingError
from aiohttp.streams import StreamReader
from multidict import CIMultiDict, CIMultiDictProxy

from ..core.delivery import Delivery
from ..wire.content_encoding import decoded
from .refusals import lines_about_refusal

#: Errors from limits that the caller gave to a read. The stream is still sound.
_BOUNDS = (asyncio.IncompleteReadError, ValueError)


async def peek(response: ClientResponse, limit: int) -> bytes | None:
    """Return the body of a 402 without its content encoding, or None if it is too large. The answer stays unread.

    The connection of a body that was read to its end is free again.
    """
    content, chunks, size = response.content, list[bytes](), 0
    if content.at_eof():
        return b""  # all answers without a body share one stream in aiohttp
    try:
        while size <= limit and (chunk := await content.readany()):
            chunks.append(chunk)
            size += len(chunk)
    except ClientPayloadError as failure:
        if not isinstance(failure.__cause__, ContentEncodingError):
            raise
        return b""  # its encoding is not the one that it names: no terms can be read
    body = b"".join(chunks)
    unread(content, body)
    if size > limit:
        return None
    if content.total_compressed_bytes is not None:
        return body
    # Under auto_decompress=False the bytes are as they were sent. The call's frame alone knows that setting.
    return decoded(body, response.headers.get("Content-Encoding", ""), limit)


def unread(content: StreamReader, data: bytes) -> None:
    """Put data back into a stream. ``StreamReader.unread_data`` does this, and warns that it is deprecated."""
    if not data:
        return
    if content._buffer_offset:
        content._buffer[0] = content._buffer[0][content._buffer_offset :]
        content._buffer_offset = 0
    content._size += len(data)
    content._cursor -= len(data)
    content._buffer.appendleft(data)
    content._eof_counter = 0


def part_from_connection(response: ClientResponse) -> None:
    """Clear a later connection error from an answer whose whole content is here.

    aiohttp sets a time-out on the latest content that it read from a connection, also after that content's end. The
    connection may have been used again, to present the payment once more.
    """
    content = response.content
    if content.is_eof() and isinstance(content.exception(), ClientConnectionError):
        content._exception = None


def replace_content(response: ClientResponse, body: bytes) -> None:
    """Give a 402 that was read to its end other content, and the header lines that fit it."""
    lines = lines_about_refusal(response.headers.items(), body)
    response._headers = CIMultiDictProxy(CIMultiDict(lines))
    response._raw_headers = tuple((name.encode(), value.encode("utf-8", "surrogateescape")) for name, value in lines)
    for name in ("headers", "raw_headers"):  # aiohttp caches them once they were read
        response._cache.pop(name, None)
    loop = asyncio.get_running_loop()
    response.content = StreamReader(BaseProtocol(loop), 2 * len(body) + 1, loop=loop)
    response.content.feed_data(body)
    response.content.feed_eof()


def watch(response: ClientResponse, delivery: Delivery) -> None:
    """Let a delivery know what becomes of an answer's content."""
    watched = Watched(response.content, delivery, shows_its_end=_shows_its_end(response))
    _let_it_be_collected(response, watched)
    response.content = watched


def _shows_its_end(response: ClientResponse) -> bool:
    """Return False for a body that ends with its connection. aiohttp takes each end of that for the body's own."""
    headers = response.headers
    return "Content-Length" in headers or "chunked" in headers.get("Transfer-Encoding", "").lower()


class Watched(StreamReader):
    """The content of a paid answer. It stands before the original stream and sees what the caller does with it.

    The parser goes on feeding the original. The slots of ``StreamReader`` stay empty here: reading or setting one goes
    to the original, so that inherited methods work on that. Only ``ClientResponse.close`` and ``release`` call
    ``set_exception`` of this object. aiohttp sets failures of the connection on the original.
    """

    __slots__ = (
        "__weakref__",
        "_closed",
        "_delivery",
        "_interrupted",
        "_left",
        "_put_off",
        "_shows_its_end",
        "_source",
    )

    def __init__(self, source: StreamReader, delivery: Delivery, shows_its_end: bool) -> None:
        self._own(_source=source, _delivery=delivery, _shows_its_end=shows_its_end)
        self._own(_closed=False, _interrupted=False, _left=None, _put_off=False)

    def _own(self, **values: Any) -> None:
        """Set attributes of this object, not of the original."""
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "_source"), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._source, name, value)

    async def _seen(self, reading: Coroutine[Any, Any, Any]) -> Any:
        try:
            data = await reading
        except BaseException as failure:
            self._failed(failure)
            if isinstance(failure, asyncio.IncompleteReadError):
                self._read_along(failure.partial)
                self._at_end()
            raise
        self._own(_interrupted=False)
        self._read_along(data[0] if isinstance(data, tuple) else data)
        self._at_end()
        return data

    def _read_along(self, data: bytes) -> None:
        if self._delivery.answer is not None:
            self._delivery.answer.add(data)

    @contextmanager
    def read_whole(self) -> Iterator[None]:
        """Put the delivery off until the block ends."""
        self._own(_put_off=True)
        try:
            yield
        except BaseException as failure:
            self._delivery.broke(failure)
            raise
        finally:
            self._own(_put_off=False)
        self._at_end()

    def _at_end(self) -> None:
        if self._put_off or not self._source.at_eof():
            return
        if self._delivery.has_let_go and not self._shows_its_end:
            self._delivery.dropped()  # its client was closed, which ends the connection, too
        else:
            self._delivery.done()

    def _failed(self, failure: BaseException) -> None:
        """Judge a read that failed. A sound stream may be read again, so only closing it is final."""
        if self._source.exception() is not None or isinstance(failure, TimeoutError):
            self._delivery.broke(failure)
            self.let_go()
        elif not isinstance(failure, _BOUNDS):
            self._own(_interrupted=True)

    async def read(self, n: int = -1) -> bytes:
        return await self._seen(self._source.read(n))  # type: ignore[no-any-return]

    async def readany(self) -> bytes:
        return await self._seen(self._source.readany())  # type: ignore[no-any-return]

    async def readchunk(self) -> tuple[bytes, bool]:
        return await self._seen(self._source.readchunk())  # type: ignore[no-any-return]

    async def readline(self, **limits: Any) -> bytes:
        return await self._seen(self._source.readline(**limits))  # type: ignore[no-any-return]

    async def readuntil(self, separator: bytes = b"\n", **limits: Any) -> bytes:
        return await self._seen(self._source.readuntil(separator, **limits))  # type: ignore[no-any-return]

    async def readexactly(self, n: int) -> bytes:
        return await self._seen(self._source.readexactly(n))  # type: ignore[no-any-return]

    def read_nowait(self, n: int = -1) -> bytes:
        data: bytes = self._source.read_nowait(n)
        self._read_along(data)
        self._at_end()
        return data

    def set_exception(self, exc: Any, exc_cause: Any = None) -> None:
        """Note that the answer was closed: by the caller, or by a failure."""
        self._own(_closed=True)
        self._source.set_exception(exc)
        if self._interrupted:
            self._delivery.cut_off()
        else:
            self._delivery.closed(whole=self._shows_its_end and self._source.is_eof())

    def answer_closed(self) -> None:
        """Note that the answer is closed whose connection failed before it was read: aiohttp tells nothing then."""
        failure = self._source.exception()
        if failure is not None and not self._closed:
            self._own(_closed=True)
            self._delivery.cut_off(failure if isinstance(failure, Exception) else None)

    def transport_closed(self) -> None:
        """Note that its connector was closed."""
        self._delivery.client_closed()

    def take_over(self, connection: Connection, upload: asyncio.Task[None] | None) -> None:
        """Keep the connection of a response that was dropped, as long as its content is read."""
        self._own(_left=(connection, upload))

    def let_go(self) -> None:
        """Give that connection back."""
        if self._left is not None:
            connection, upload = self._left
            self._own(_left=None)
            connection.release()
            if upload is not None:
                upload.cancel()

    def __del__(self) -> None:
        with suppress(AttributeError):  # it was never made
            self._delivery.dropped()
            self.let_go()


def _let_it_be_collected(response: ClientResponse, watched: Watched) -> None:
    """Let a dropped answer be garbage-collected.

    aiohttp's connection holds the stream until its end, the stream holds a callback of the response, and the connector
    holds the connection. So a large answer that is dropped unread would stay until the session is closed.
    """
    callbacks = response.content._eof_callbacks
    its_response, its_content = weakref.ref(response), weakref.ref(watched)

    def at_eof() -> None:
        found, content = its_response(), its_content()
        if found is not None:
            found._response_eof()
        elif content is not None:
            content.let_go()

    callbacks[:] = [at_eof if getattr(one, "__self__", None) is response else one for one in callbacks]


class _Paid:
    """A paid answer. Its content can outlive it, as in plain aiohttp."""

    async def read(self) -> bytes:
        """Read the whole body. It is delivered when this returns: aiohttp may wait once more after the body's end."""
        content = self.content  # type: ignore[attr-defined]
        if not isinstance(content, Watched):
            return await super().read()  # type: ignore[misc,no-any-return]
        with content.read_whole():
            return await super().read()  # type: ignore[misc,no-any-return]

    def close(self) -> None:
        """Close it. The same request may present its payment again if its connection failed before it was read."""
        self._tell_content()
        super().close()  # type: ignore[misc]

    def release(self) -> Any:
        """Give the connection back. As with ``close``, one that failed is told."""
        self._tell_content()
        return super().release()  # type: ignore[misc]

    def _tell_content(self) -> None:
        content = self.__dict__.get("content")
        if isinstance(content, Watched):
            content.answer_closed()

    def raise_for_status(self) -> None:
        """Raise aiohttp's error with the outcome on it. The error does not lead to this answer."""
        try:
            super().raise_for_status()  # type: ignore[misc]
        except ClientResponseError as failure:
            failure.outcome = getattr(self, "x402", None)  # type: ignore[attr-defined]
            raise

    def __del__(self) -> None:
        response: Any = self
        content, connection = self.__dict__.get("content"), response._connection
        if connection is not None and not response._closed and isinstance(content, Watched):
            response._connection, response._closed = None, True
            content.take_over(connection, response._writer)
        super().__del__()  # type: ignore[misc]


def paid_class(base: type[ClientResponse]) -> type[ClientResponse]:
    """Return the class for a paid answer: one of the caller's own class, under its name."""
    return _made(base)  # type: ignore[arg-type]  # by the stubs of aiohttp its classes have no hash


@lru_cache(maxsize=32)
def _made(base: type[ClientResponse]) -> type[ClientResponse]:
    return base if issubclass(base, _Paid) else type(base.__name__, (_Paid, base), {"__module__": base.__module__})
